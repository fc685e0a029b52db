"""Preflight: every reason why a run would fail, found at once, before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, IgnDeployError
from ign_deploy.pipeline.checks import (
    Check,
    check_identity,
    check_not_over_input,
    check_output_folder,
    check_project,
    check_repository,
    check_values,
    check_version,
    name_path,
    require_no_problems,
    run_checks,
)
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.guards import check_branch, check_tag, check_unpublished, signed_version

if TYPE_CHECKING:
    from ign_deploy.packaging.project import Project
    from ign_deploy.signing.identity import SigningIdentity

PROJECT_CHECK = "build files and tools"
IDENTITY = "signing key and certificates"
REPOSITORY_CHECK = "repository"
GATEWAYS = "gateways"


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What the checks of a path found; ``identity`` is None when nothing is to be signed."""

    project: Project
    identity: SigningIdentity | None = None


def check_release(path: Path, context: RunContext) -> PreflightResult:
    """Check everything that a release needs; raises CombinedError with all problems."""
    checks = [*packaging_checks(path, context), *_release_checks(context)]
    if not context.settings.skip_signing:
        checks.append(
            Check("input and output differ", partial(check_not_over_input, path, context))
        )
    checks += _branch_checks(path, context)
    found = run_checks(checks, context)
    return PreflightResult(found[PROJECT_CHECK], found.get(IDENTITY))


def check_releases(paths: Sequence[Path], context: RunContext) -> tuple[PreflightResult, ...]:
    """Check everything that the releases of all paths need; raises CombinedError.

    Key, repository and settings are checked once; what is wrong with a project names its path.
    """
    titles = [f"{path}: {PROJECT_CHECK}" for path in paths]
    checks = [
        *_common_checks(paths, context),
        Check("paths", partial(check_distinct, paths)),
        *_release_checks(context),
        *(
            Check(title, partial(_check_path, path, context), is_quiet=True)
            for title, path in zip(titles, paths, strict=True)
        ),
    ]
    found = run_checks(checks, context)
    context.reporter.info(
        f"ok: {PROJECT_CHECK} of {len(paths)} path{'s' if len(paths) > 1 else ''}"
    )
    return tuple(PreflightResult(found[title], found.get(IDENTITY)) for title in titles)


def check_packaging(path: Path, context: RunContext) -> PreflightResult:
    """Check what a build needs; raises CombinedError with all problems."""
    return PreflightResult(run_checks(packaging_checks(path, context), context)[PROJECT_CHECK])


def packaging_checks(path: Path, context: RunContext) -> list[Check]:
    """Return the checks of a build."""
    return [
        *_common_checks([path], context),
        Check(PROJECT_CHECK, partial(check_project, path, context)),
    ]


def signing_check(context: RunContext) -> Check:
    """Return the check of keystore, passwords and alias."""
    return Check(IDENTITY, partial(check_identity, context))


def repository_check(context: RunContext) -> Check:
    """Return the check that the repository is there and writable."""
    return Check(REPOSITORY_CHECK, partial(check_repository, context))


def gateways_check(context: RunContext) -> Check:
    """Return the check that every gateway answers and can be changed."""
    from ign_deploy.pipeline.gateways import check_gateways

    return Check(GATEWAYS, partial(check_gateways, context))


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise ConfigurationError when a path is given twice, in whatever spelling."""
    seen: dict[Path, Path] = {}
    for path in paths:
        first = seen.setdefault(path.resolve(), path)
        if first is not path:
            raise ConfigurationError(
                f"{path} is given twice"
                if path == first
                else f"{first} and {path} are the same path",
                hint="give each path once.",
            )


def _common_checks(paths: Sequence[Path], context: RunContext) -> list[Check]:
    return [
        Check("version", partial(check_version, context)),
        Check("settings", partial(check_values, context)),
        Check("output folder", partial(check_output_folder, paths, context)),
    ]


def _release_checks(context: RunContext) -> list[Check]:
    """Return the checks of a release that look at no project."""
    settings = context.settings
    checks: list[Check] = []
    if not settings.skip_signing:
        checks.append(signing_check(context))
    if not settings.skip_upload:
        checks.append(repository_check(context))
    checks.append(Check("notifications, audit trail and metrics", lambda: context.events))
    if settings.gateway:
        checks.append(gateways_check(context))
    elif settings.environment and settings.gateways and not settings.skip_upload:
        checks.append(Check("environment", partial(_check_environment, context)))
    if settings.tag_pattern:
        checks.append(Check("tag", partial(check_tag, context)))
    if settings.require_unpublished and settings.module_id and settings.version:
        known = (settings.module_id, signed_version(settings.version, resign=settings.resign))
        checks.append(Check("version is unpublished", partial(check_unpublished, [known], context)))
    return checks


def _check_environment(context: RunContext) -> None:
    """Raise ConfigurationError if other environments have gateways, but this one has none."""
    from ign_deploy.pipeline.gateways import chosen_entries, no_gateways

    if not (chosen_entries(context.settings) or context.settings.track_only):
        raise no_gateways(context.settings)


def _branch_checks(path: Path, context: RunContext) -> list[Check]:
    """Return the guard that looks at the project's checkout, if the settings have one."""
    if not context.settings.protected_branch:
        return []
    return [Check("protected branch", partial(check_branch, path, context))]


def _check_path(path: Path, context: RunContext) -> Project:
    """Return the project; raises CombinedError with all that is wrong with it."""
    checks = [
        Check(PROJECT_CHECK, partial(check_project, path, context, is_quiet=True)),
        *_branch_checks(path, context),
    ]
    if not context.settings.skip_signing:
        checks.append(Check("not over input", partial(check_not_over_input, path, context)))
    found: dict[str, Project] = {}
    problems: list[IgnDeployError] = []
    for check in checks:
        try:
            found[check.title] = check.run()
        except IgnDeployError as problem:
            problems += [name_path(each, path) for each in problem.causes or (problem,)]
    require_no_problems(problems)
    return found[PROJECT_CHECK]
