"""What a run did so far: stages with their times, modules, findings; also for failed runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ign_deploy.errors import IgnDeployError, PackagingError, VerificationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.descriptor import ModuleDescriptor
from ign_deploy.module.findings import Finding, Severity
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage: ``result`` is ``ok``, ``failed``, or ``skipped`` with a reason; time in seconds."""

    name: str
    result: str
    seconds: float = 0.0
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the stage as JSON values."""
        return {
            "name": self.name,
            "result": self.result,
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ModuleRecord:
    """The result for one module: the last thing that was done with it.

    ``packaged``, ``signed``, ``verified``, ``uploaded``, or ``unchanged`` when the same content
    was published before; in a batch also ``failed`` or ``skipped``, with the ``reason``.
    """

    file: Path
    descriptor: ModuleDescriptor
    result: str
    verified: VerifiedModule | None = None
    bundle: Path | None = None
    release_url: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PathRecord:
    """The result for one path of a batch: as for a module, and its own stages.

    ``modules`` are ids; there are none if the path failed or was skipped before they were known.
    """

    path: Path
    result: str
    reason: str = ""
    modules: tuple[str, ...] = ()
    stages: tuple[StageRecord, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {
            "path": str(self.path),
            "result": self.result,
            "reason": self.reason,
            "modules": list(self.modules),
            "stages": [stage.as_dict() for stage in self.stages],
        }


@dataclass(frozen=True, slots=True)
class LocatedFinding:
    """A finding and the file it belongs to."""

    finding: Finding
    file: str


@dataclass(slots=True)
class RunReport:
    """Records what happens in a run, and reports it."""

    reporter: Reporter
    clock: Callable[[], float] = time.monotonic
    stages: list[StageRecord] = field(default_factory=list)
    modules: dict[str, ModuleRecord] = field(default_factory=dict)
    findings: list[LocatedFinding] = field(default_factory=list)
    paths: list[PathRecord] = field(default_factory=list)
    """The paths of a finished batch, in the given order."""
    deployment: DeploymentRecord | None = None
    """Where the modules were deployed, or the environment it is recorded for."""
    unrecorded: IgnDeployError | None = None
    """Why the history has no end of that deployment."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enclose a stage: a log group, its time, and whether it failed."""
        with self.timed(name), self.reporter.group(name):
            yield

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Enclose a stage without a log group, for one that contains groups itself."""
        begin = self.clock()
        result = "failed"
        try:
            yield
            result = "ok"
        finally:
            self.stages.append(StageRecord(name, result, self.clock() - begin))

    def skip(self, name: str, reason: str) -> None:
        """Report that a stage is skipped, and why."""
        self.stages.append(StageRecord(name, "skipped", reason=reason))
        self.reporter.info(f"{name}: skipped, {reason}")

    def note(self, module: ModuleRecord) -> None:
        """Remember how far a module has come."""
        self.modules[module.descriptor.id] = module

    def forget_files(self) -> None:
        """After a rehearsal, keep only the names of files that are gone now, and no URLs."""
        for module_id, module in self.modules.items():
            self.modules[module_id] = replace(
                module,
                file=Path(module.file.name),
                bundle=None,
                release_url="",
                result=_rehearsed(module.result),
            )
        self.paths = [replace(each, result=_rehearsed(each.result)) for each in self.paths]

    def add_findings(self, findings: Sequence[Finding], *, file: Path) -> None:
        """Report findings that haven't been reported for this file yet."""
        for finding in findings:
            located = LocatedFinding(finding, shown_path(file))
            if located not in self.findings:
                self.findings.append(located)
                self.reporter.finding(finding, file=located.file)


def problem_findings(problem: IgnDeployError) -> tuple[tuple[Finding, str], ...]:
    """Return the error as findings, each with its file: its own, or itself as one."""
    if isinstance(problem, VerificationError) and problem.findings:
        file = shown_path(Path(problem.file)) if problem.file else ""
        return tuple((finding, file) for finding in problem.findings)
    if isinstance(problem, PackagingError) and problem.mistakes:
        mistakes = problem.mistakes
        return tuple((one, shown_path(Path(file)) if file else "") for one, file in mistakes)
    if problem.causes:
        return tuple(one for inner in problem.causes for one in problem_findings(inner))
    return ((Finding(problem.code, Severity.ERROR, problem.message, "", problem.hint), ""),)


def _rehearsed(result: str) -> str:
    return "rehearsed" if result in ("uploaded", "unchanged") else result


def shown_path(path: Path) -> str:
    """Return the path relative to the current folder (in a job, the workspace) where it is below.

    A CI host finds the file of an annotation only so.
    """
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)
