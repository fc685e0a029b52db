"""What must be in order before several projects are released together: all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ign_deploy.errors import ConfigurationError, IgnDeployError, VerificationError
from ign_deploy.pipeline.preflight import (
    Check,
    PreflightFailed,
    check_output_folder,
    run_checks,
)
from ign_deploy.pipeline.release_checks import (
    IDENTITY,
    OUTPUT,
    PROJECT,
    VERSION,
    PreflightResult,
    branch_checks,
    check_not_over_input,
    check_project,
    check_values,
    check_version,
    deployment_checks,
    expected_size,
    guard_checks,
    repository_check,
    signing_check,
)
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings


def check_releases(
    paths: Sequence[Path], *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> tuple[PreflightResult, ...]:
    """Check everything that the jobs on all paths need; raises PreflightFailed with all problems.

    Key, repository and settings are checked once; what is wrong with a project names its path.
    """
    checks = [
        Check(VERSION, lambda: check_version(settings)),
        Check("settings", lambda: check_values(settings, env)),
        Check("paths", lambda: check_distinct(paths)),
        Check(OUTPUT, lambda: _check_room(paths, settings)),
    ]
    if not settings.skip_signing:
        checks.append(signing_check(settings, reporter=reporter))
    if not settings.skip_upload:
        checks.append(repository_check(settings, env=env, reporter=reporter))
    checks += deployment_checks(settings, env=env, reporter=reporter)
    checks += guard_checks(settings, env=env, reporter=reporter)
    titles = [f"{path}: {PROJECT}" for path in paths]
    for title, path in zip(titles, paths, strict=True):
        look = partial(_check_path, path, settings=settings, env=env, reporter=reporter)
        checks.append(Check(title, look))
    found = run_checks(checks, reporter=reporter)
    return tuple(PreflightResult(found[title], found.get(IDENTITY)) for title in titles)


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise ConfigurationError when a path is given twice, in whatever spelling."""
    seen: dict[Path, Path] = {}
    for path in paths:
        first = seen.setdefault(path.resolve(), path)
        if first is not path:
            raise ConfigurationError(
                f"{path} is given twice" if path == first else f"{first} and {path} are one",
                hint="give each path once.",
            )


def name_path(problem: IgnDeployError, path: Path) -> IgnDeployError:
    """Return the problem with the path in its message, and as the file of its findings."""
    message = _with_path(problem.message, path)
    # Not through the constructor: some kinds take more than a message.
    named = type(problem).__new__(type(problem), message)
    vars(named).update(vars(problem))
    named.message = message
    if isinstance(named, VerificationError):
        named.file = named.file or str(path)
    return named


def _with_path(message: str, path: Path) -> str:
    return message if str(path) in message and str(path) != "." else f"{path}: {message}"


def _check_room(paths: Sequence[Path], settings: Settings) -> None:
    check_output_folder(settings.output_dir, needed=sum(map(expected_size, paths)))


def _check_path(
    path: Path, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> object:
    """Return the project; raises PreflightFailed with all that is wrong with it."""
    project = partial(check_project, path, settings=settings, env=env, reporter=reporter)
    checks = [Check(PROJECT, project), *branch_checks(path, settings=settings, env=env)]
    if not settings.skip_signing:
        checks.append(Check("not over input", lambda: check_not_over_input(path, settings)))
    found: dict[str, object] = {}
    problems: list[IgnDeployError] = []
    for check in checks:
        try:
            found[check.title] = check.run()
        except IgnDeployError as problem:
            problems += [name_path(each, path) for each in problem.causes or (problem,)]
    if problems:
        raise PreflightFailed(tuple(problems))
    return found[PROJECT]
