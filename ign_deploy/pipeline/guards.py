"""Release guards: reasons not to release that have nothing to do with the module itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ign_deploy.errors import ConfigurationError, NotInRepository, RepositoryError, VersionConflict
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError
from ign_deploy.pipeline.git import Git
from ign_deploy.pipeline.publishing import open_configured_repository
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

# What each host calls the tag that started the job.
_TAG_VARIABLES = ("CI_COMMIT_TAG", "TAG_NAME", "BITBUCKET_TAG", "CIRCLE_TAG")
_TAG_REF = "refs/tags/"
_VERSION_FIELD = "{version}"


def release_tag(settings: Settings, env: Mapping[str, str]) -> str:
    """Return the tag that is released: the setting, or what the CI host says, or nothing."""
    if settings.tag:
        return settings.tag
    if env.get("GITHUB_REF", "").startswith(_TAG_REF):
        return env["GITHUB_REF"].removeprefix(_TAG_REF)
    return next((env[name] for name in _TAG_VARIABLES if env.get(name)), "")


def with_tag_version(settings: Settings, env: Mapping[str, str]) -> Settings:
    """Return settings that demand the tag's version, where a tag pattern is set and fits.

    A tag that doesn't fit changes nothing here; ``check_tag`` explains it.
    """
    if not settings.tag_pattern or settings.version:
        return settings
    try:
        version = version_of_tag(settings.tag_pattern, release_tag(settings, env))
    except ConfigurationError:
        return settings
    return settings.model_copy(update={"version": version})


def version_of_tag(pattern: str, tag: str) -> str:
    """Return the version inside a tag; raises ConfigurationError with the reason."""
    if pattern.count(_VERSION_FIELD) != 1:
        raise ConfigurationError(
            f"the tag pattern {pattern[:100]!a} doesn't hold {_VERSION_FIELD} exactly once",
            hint="write it like v{version}, or pump-v{version} in a monorepo.",
        )
    if not tag:
        raise ConfigurationError(
            f"there is no tag, but the release must have one like {pattern!a}",
            hint="run on a tag (on: push: tags), or give --tag.",
        )
    before, after = pattern.split(_VERSION_FIELD)
    match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", tag)
    if match is None:
        raise ConfigurationError(
            f"the tag {tag[:200]!a} doesn't fit the pattern {pattern!a}",
            hint="tag the commit by the pattern, or mend --tag-pattern.",
        )
    try:
        return ModuleVersion.parse(match[1]).text
    except VersionSyntaxError as cause:
        raise ConfigurationError(
            f"the tag {tag[:200]!a} names no installable version: {cause.message}",
            hint=cause.hint,
        ) from cause


def check_tag(settings: Settings, env: Mapping[str, str]) -> None:
    """Raise ConfigurationError unless the tag names the version that is asked for."""
    tag = release_tag(settings, env)
    version = version_of_tag(settings.tag_pattern, tag)
    if settings.version and ModuleVersion.parse(settings.version) != ModuleVersion.parse(version):
        raise ConfigurationError(
            f"the tag {tag!a} is for version {version}, asked for is {settings.version}",
            hint="drop --version, or tag the right commit.",
        )


def check_branch(settings: Settings, *, folder: Path, env: Mapping[str, str]) -> None:
    """Raise ConfigurationError unless the checked-out commit is on a protected branch."""
    git = Git.at(folder, env)
    if git is None:
        raise ConfigurationError(
            f"{folder} is in no git checkout, so its commit's branch can't be checked",
            hint="check the project out with git, or drop --protected-branch.",
        )
    branches = [ref for name in settings.protected_branch for ref in git.branches(name)]
    names = ", ".join(settings.protected_branch)
    if not branches:
        raise ConfigurationError(
            f"the checkout knows no branch {names}",
            hint="fetch it: actions/checkout with `fetch-depth: 0`; GIT_DEPTH: 0 on GitLab.",
        )
    if any(git.contains(branch) for branch in branches):
        return
    if git.is_shallow():
        raise ConfigurationError(
            f"the history is cut off, so nobody can tell whether the commit is on {names}",
            hint="fetch it whole: actions/checkout with `fetch-depth: 0`; GIT_DEPTH: 0 on GitLab.",
        )
    raise ConfigurationError(
        f"the commit {git.head()[:12]} is not on {names}; releases are made of reviewed code only",
        hint="merge it first, then tag the merged commit.",
    )


def check_unpublished(
    modules: Iterable[tuple[str, str]],
    *,
    settings: Settings,
    env: Mapping[str, str],
    reporter: Reporter,
) -> None:
    """Raise VersionConflict when one of the (id, version) is published already."""
    repository = open_configured_repository(settings, env=env, reporter=reporter)
    for module_id, version in modules:
        try:
            repository.fetch(module_id, version=version)
        except NotInRepository:
            continue  # or there is no repository yet: the first publication makes it
        except RepositoryError as problem:
            raise RepositoryError(
                f"cannot tell whether {module_id} is published: {problem.message}",
                hint=problem.hint,
            ) from problem
        raise VersionConflict(
            f"{module_id} {version} is published already",
            hint="raise the version; or drop --require-unpublished to accept the same bytes.",
        )


def identities(modules: Iterable[UnsignedModule]) -> list[tuple[str, str]]:
    """Return id and version of each module."""
    return [(module.descriptor.id, module.descriptor.version) for module in modules]
