"""Preflight: every reason why a run would fail, found at once, before the expensive build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ign_deploy.errors import ConfigurationError, IgnDeployError, RepositoryError
from ign_deploy.module.findings import Finding
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from ign_deploy.repositories import Capabilities, Repository

_MIN_FREE_BYTES = 256 << 20


class PreflightFailed(ConfigurationError):
    """One or more things would make the run fail; ``causes`` holds them all.

    The exit code is theirs when they agree on one, else that of a wrong configuration.
    """

    code = "preflight"

    def __init__(self, problems: tuple[IgnDeployError, ...]) -> None:
        count = len(problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(
            f"{count} {noun} found before the start; nothing was built, signed or uploaded",
            hint="mend what is listed and run again.",
        )
        self.causes = problems
        codes = {problem.exit_code for problem in problems}
        if len(codes) == 1:
            self.exit_code = codes.pop()


@dataclass(frozen=True, slots=True)
class Check:
    """A thing to try out before the start; ``run`` returns what it found, or raises our errors."""

    title: str
    run: Callable[[], Any]


def run_checks(checks: list[Check], *, reporter: Reporter) -> dict[str, Any]:
    """Run every check; return what each found, or raise PreflightFailed with all problems."""
    problems: list[IgnDeployError] = []
    found: dict[str, Any] = {}
    for check in checks:
        try:
            found[check.title] = check.run()
            reporter.info(f"ok: {check.title}")
        except PreflightFailed as several:
            problems += several.causes
        except IgnDeployError as problem:
            problems.append(problem)
    if problems:
        raise PreflightFailed(tuple(problems))
    return found


def as_problem(finding: Finding, kind: type[IgnDeployError]) -> IgnDeployError:
    """Turn a finding about the environment into an error of the given kind."""
    location = f"{finding.location}: " if finding.location else ""
    return kind(f"{location}{finding.message}", hint=finding.hint)


def check_output_folder(folder: Path, *, needed: int = 0) -> None:
    """Raise ConfigurationError unless files can be made in ``folder`` and there is room.

    ``needed`` is the expected size in bytes; some reserve is added.
    """
    existing = nearest_existing(folder)
    if not existing.is_dir():
        raise ConfigurationError(
            f"{existing} is not a folder, so {folder} can't be made",
            hint="choose another --output-dir.",
        )
    if not os.access(existing, os.W_OK | os.X_OK) or not _can_write(existing):
        raise ConfigurationError(
            f"the folder {existing} can't be written",
            hint="choose another --output-dir, or mend its permissions.",
        )
    free = shutil.disk_usage(existing).free
    if free < needed + _MIN_FREE_BYTES:
        raise ConfigurationError(
            f"{existing} has {free >> 20} MiB free, needed are {(needed + _MIN_FREE_BYTES) >> 20}",
            hint="free some disk space.",
        )


def check_repository(repository: Repository, *, reporter: Reporter) -> Capabilities:
    """Return what the repository can do; raises RepositoryError unless it is there and writable.

    What its store can't promise is told.
    """
    found = repository.check()
    if not found.writable:
        raise RepositoryError(
            f"the repository {found.location} can't be written: {found.obstacle}",
            hint="mend its permissions, or choose another --repository-url.",
        )
    for remark in found.remarks:
        tell = reporter.info if found.create_once else reporter.warning
        tell(f"repository: {remark}")
    return found


def nearest_existing(path: Path) -> Path:
    """Return the path itself, or its nearest parent that exists."""
    # Not Path.exists(), which raises where a folder on the way can't be entered.
    return next(candidate for candidate in _upwards(path.absolute()) if os.path.exists(candidate))


def _upwards(path: Path) -> Iterator[Path]:
    yield path
    yield from path.parents


def _can_write(folder: Path) -> bool:
    """Try it: root passes every permission check, also on a read-only file system."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
