"""The jobs of a batch: one per path, how far it has come, and which of them conflict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ign_deploy.errors import IgnDeployError, VerificationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import dependency_order, repeated_id
from ign_deploy.module.findings import Finding, error
from ign_deploy.packaging.identify import KnownModule
from ign_deploy.packaging.project import ProjectKind
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.preflight import PreflightResult
from ign_deploy.pipeline.release import PreparedModules
from ign_deploy.pipeline.run_report import PathRecord, problem_findings, shown_path
from ign_deploy.settings import Settings
from ign_deploy.signing.signer import signed_name

FAILED = "failed"
SKIPPED = "skipped"
_WORST_FIRST = (FAILED, SKIPPED, "uploaded", "unchanged", "verified", "signed", "packaged")


@dataclass(slots=True)
class Job:
    """A path's own run; its report has its modules and stages. One thread has it at a time.

    ``known`` are the modules that were known before the build, ``published`` those that are in the
    repository now. ``problem`` is why it failed,
    ``reason`` why it, or the first of its modules, was skipped.
    """

    path: Path
    found: PreflightResult
    context: RunContext
    known: tuple[KnownModule, ...] = ()
    prepared: PreparedModules | None = None
    published: list[VerifiedModule] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True)
class _Output:
    """A module id and a file in the output folder that belong to one path of the batch."""

    path: Path
    module_id: str
    file: str


def check_known(jobs: Sequence[Job], *, settings: Settings) -> None:
    """Raise VerificationError when modules that are known before the build conflict."""
    outputs: list[_Output] = []
    for job in jobs:
        for module in job.known:
            # A prebuilt file that isn't signed stays where it is.
            stays = settings.skip_signing and job.found.project.kind is ProjectKind.PREBUILT
            name = "" if stays else signed_name(module.file_name)
            outputs.append(_Output(job.path, module.id, name))
    _require_distinct(outputs)
    dependency_order({each.id: each.needs for job in jobs for each in job.known})


def check_made(jobs: Iterable[Job]) -> None:
    """Raise VerificationError when two paths made modules with the same id, or the same file.

    Also of paths that failed: theirs may be the file that the other one signed.
    """
    _require_distinct(
        [
            _Output(job.path, module.descriptor.id, _location(module.file))
            for job in jobs
            for module in job.context.report.modules.values()
        ]
    )


def _location(file: Path) -> str:
    return str(file.absolute().with_name(signed_name(file.name)))


def _require_distinct(outputs: Sequence[_Output]) -> None:
    findings = [*_repeated_ids(outputs), *_repeated_files(outputs)]
    if findings:
        raise VerificationError.from_findings(*findings)


def _repeated_ids(outputs: Sequence[_Output]) -> list[Finding]:
    return [
        repeated_id(second.module_id, first.path, second.path, action="release")
        for first, second in _conflicts(outputs, [output.module_id for output in outputs])
    ]


def _repeated_files(outputs: Sequence[_Output]) -> list[Finding]:
    # A case-insensitive file system holds only one of X.modl and x.modl.
    return [
        error(
            "file-name-repeated",
            f"{first.path} and {second.path} would both become {Path(second.file).name}",
            location=str(second.path),
            hint="give each module its own file name, or release them one after another.",
        )
        for first, second in _conflicts(outputs, [output.file.lower() for output in outputs])
    ]


def _conflicts(outputs: Sequence[_Output], keys: Sequence[str]) -> list[tuple[_Output, _Output]]:
    """Return each output whose key another path had before, with that path's output."""
    first: dict[str, _Output] = {}
    found: list[tuple[_Output, _Output]] = []
    for output, key in zip(outputs, keys, strict=True):
        other = first.setdefault(key, output) if key else output
        if other.path != output.path:
            found.append((other, output))
    return found
