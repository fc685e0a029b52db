"""One path of a batch: what to do for it, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ign_deploy.errors import IgnDeployError
from ign_deploy.packaging.identify import KnownModule
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.preflight import PreflightResult
from ign_deploy.pipeline.release import PreparedModules
from ign_deploy.pipeline.run_report import PathRecord, problem_findings, shown_path

FAILED = "failed"
SKIPPED = "skipped"
_WORST_FIRST = (FAILED, SKIPPED, "uploaded", "unchanged", "verified", "signed", "packaged")


@dataclass(slots=True)
class Job:
    """A path's own run; its report has its modules and stages. One thread has it at a time.

    ``known`` are the modules that were known before the build. ``problem`` is why it failed,
    ``reason`` why it, or the first of its modules, was skipped.
    """

    path: Path
    found: PreflightResult
    context: RunContext
    known: tuple[KnownModule, ...] = ()
    prepared: PreparedModules | None = None
    problem: IgnDeployError | None = None
    reason: str = ""

    @property
    def result(self) -> str:
        """The result of the path: the worst of its modules' results."""
        if self.problem is not None:
            return FAILED
        results = {module.result for module in self.context.report.modules.values()}
        if not results:
            return SKIPPED
        return min(results, key=_WORST_FIRST.index)

    @property
    def module_ids(self) -> tuple[str, ...]:
        """The ids of its modules, as far as they are known."""
        made = list(self.context.report.modules)
        return tuple(dict.fromkeys([*made, *(each.id for each in self.known)]))

    def fail(self, problem: IgnDeployError) -> None:
        """Record and report why the path failed, and with it all its modules."""
        self.blame(problem)
        for module_id in list(self.context.report.modules):
            self.mark(module_id, result=FAILED, reason=problem.message)

    def blame(self, problem: IgnDeployError) -> None:
        """Record and report why the path, or one of its modules, failed."""
        self.problem = self.problem or problem
        report = self.context.report
        reported = {item.finding for item in report.findings}
        for finding, file in problem_findings(problem):
            if finding not in reported:
                report.add_findings([finding], file=Path(file or shown_path(self.path)))

    def skip(self, reason: str) -> None:
        """Skip everything of the path that isn't published yet."""
        self.reason = self.reason or reason
        for module_id in list(self.context.report.modules):
            self.mark(module_id, result=SKIPPED, reason=reason)

    def mark(self, module_id: str, *, result: str, reason: str) -> None:
        """Note that a module failed or was skipped, unless it has ended already."""
        record = self.context.report.modules[module_id]
        if record.result not in ("uploaded", "unchanged", FAILED, SKIPPED):
            self.context.report.note(replace(record, result=result, reason=reason))

    def record(self) -> PathRecord:
        """Return the record of the path for the batch's report."""
        report = self.context.report
        return PathRecord(
            self.path,
            self.result,
            self.problem.message if self.problem else self.reason,
            tuple(report.modules),
            tuple(report.stages),
        )
