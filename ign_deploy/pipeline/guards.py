"""Release guards: reasons not to release that have nothing to do with the module itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ign_deploy.errors import ConfigurationError, NotInRepository, RepositoryError, VersionConflict
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.git import Git

# What each host calls the tag that started the job.
_TAG_VARIABLES = ("CI_COMMIT_TAG", "TAG_NAME", "BITBUCKET_TAG", "CIRCLE_TAG")
_TAG_REF = "refs/tags/"
_VERSION_FIELD = "{version}"


def release_tag(context: RunContext) -> str:
    """Return the tag to release: the setting, or the CI host's; empty when there is none."""
    env = context.env
    if context.settings.tag:
        return context.settings.tag.removeprefix(_TAG_REF)
    if env.get("GITHUB_REF", "").startswith(_TAG_REF):
        return env["GITHUB_REF"].removeprefix(_TAG_REF)
    return next((env[name] for name in _TAG_VARIABLES if env.get(name)), "")


def with_tag_version(context: RunContext) -> RunContext:
    """Return a context whose required version is the tag's, where a tag pattern is set and fits.

    A tag that doesn't fit changes nothing here; ``check_tag`` explains it.
    """
    settings = context.settings
    if not settings.tag_pattern or settings.version:
        return context
    try:
        version = version_of_tag(settings.tag_pattern, release_tag(context))
    except ConfigurationError:
        return context
    return context.with_settings(version=version)


def version_of_tag(pattern: str, tag: str) -> str:
    """Return the version inside a tag; raises ConfigurationError with the reason."""
    if pattern.count(_VERSION_FIELD) != 1:
        raise ConfigurationError(
            f"the tag pattern {pattern[:100]!r} doesn't contain {_VERSION_FIELD} exactly once",
            hint="write it like v{version}, or pump-v{version} in a monorepo.",
        )
    if not tag:
        raise ConfigurationError(
            f"no tag given, but the release must have one like {pattern!r}",
            hint="push such a tag and run on it, or give --tag.",
        )
    before, after = pattern.removeprefix(_TAG_REF).split(_VERSION_FIELD)
    match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", tag)
    if match is None:
        raise ConfigurationError(
            f"the tag {tag[:200]!r} doesn't match the pattern {pattern!r}",
            hint="tag the commit according to the pattern, or correct --tag-pattern.",
        )
    try:
        return ModuleVersion.parse(match[1]).text
    except VersionSyntaxError as cause:
        raise ConfigurationError(
            f"the tag {tag[:200]!r} has no installable version: {cause.message}",
            hint=cause.hint,
        ) from cause


def check_tag(context: RunContext) -> None:
    """Raise ConfigurationError unless the tag names the required version."""
    settings, tag = context.settings, release_tag(context)
    version = version_of_tag(settings.tag_pattern, tag)
    if settings.version and ModuleVersion.parse(settings.version) != ModuleVersion.parse(version):
        raise ConfigurationError(
            f"version {settings.version} was requested, but the tag {tag!r} is for {version}",
            hint="drop --version, or tag the right commit.",
        )


def check_branch(folder: Path, context: RunContext) -> None:
    """Raise ConfigurationError unless the checked-out commit is on a protected branch."""
    git = Git.at(folder, context.env)
    if git is None:
        raise ConfigurationError(
            f"cannot check the branch of {folder}: it is not in a git checkout",
            hint="check the project out with git, or drop --protected-branch.",
        )
    protected = context.settings.protected_branch
    branches = [ref for name in protected for ref in git.branches(name)]
    names = ", ".join(protected)
    if not branches:
        raise ConfigurationError(
            f"the checkout has no branch {names}",
            hint="fetch it, or correct --protected-branch; in CI, check out the whole history: "
            "`fetch-depth: 0` for actions/checkout, GIT_DEPTH: 0 on GitLab."
            if git.head
            else "commit the project first.",
        )
    if any(git.contains(branch) for branch in branches):
        return
    if git.is_shallow():
        raise ConfigurationError(
            f"cannot tell whether the commit is on {names}: the checkout is shallow",
            hint="fetch the whole history: `fetch-depth: 0` for actions/checkout, GIT_DEPTH: 0 on "
            "GitLab.",
        )
    raise ConfigurationError(
        f"the commit {git.head[:12]} is not on {names}; releases are made of reviewed code only",
        hint="merge it first, then tag the merged commit.",
    )


def check_unpublished(modules: Iterable[tuple[str, str]], context: RunContext) -> None:
    """Raise VersionConflict when one of the (id, version) is already published."""
    repository = context.baseline
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
            f"{module_id} {version} is already published",
            hint="raise the version, or drop --require-unpublished to accept the same bytes.",
        )


def identities(modules: Iterable[UnsignedModule], *, resign: int) -> list[tuple[str, str]]:
    """Return id and version of each module, as it will be signed."""
    return [
        (module.descriptor.id, signed_version(module.descriptor.version, resign=resign))
        for module in modules
    ]


def signed_version(version: str, *, resign: int) -> str:
    """Return the version under which a module is published; ``resign`` is its new build number."""
    from ign_deploy.module.build_number import with_build_number

    return with_build_number(version, resign) if resign else version
