"""The uploads of a batch: each module after those it depends on, and never without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ign_deploy.errors import IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.pipeline.batch.job import FAILED, SKIPPED, Job
from ign_deploy.pipeline.batch_checks import name_path
from ign_deploy.pipeline.release import PreparedModules, RunContext, upload_module


def upload_in_order(jobs: Sequence[Job], run: RunContext) -> None:
    """Upload the verified modules; without ``continue_on_error`` only if nothing has failed.

    What went wrong is in the jobs. Raises VerificationError for a circle of dependencies, before
    anything is uploaded.
    """
    waiting = {
        module.descriptor.id: _Waiting(job, job.prepared, module)
        for job in jobs
        if job.prepared is not None
        for module in job.prepared.modules
    }
    order = dependency_order(
        {name: Needs.of(each.module.descriptor) for name, each in waiting.items()}
    )
    if run.settings.skip_upload:
        run.report.skip("upload", "asked to skip the upload")
        return
    with run.report.stage("upload"):
        uploads = _Uploads(
            waiting, lost=_lost(jobs), continue_on_error=run.settings.continue_on_error
        )
        failed = next((job for job in jobs if job.problem is not None), None)
        uploads.stopped_by = str(failed.path) if failed is not None else ""
        for module_id in order:
            uploads.take(module_id)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A module that may be uploaded, and where it comes from."""

    job: Job
    prepared: PreparedModules
    module: VerifiedModule


def _lost(jobs: Sequence[Job]) -> dict[str, str]:
    """Return the modules that nothing may rely on any more, and what became of them."""
    return {
        module_id: job.result
        for job in jobs
        if job.prepared is None
        for module_id in job.module_ids
    }


@dataclass(slots=True)
class _Uploads:
    """Uploads one module after the other, and remembers which are lost to those that follow."""

    waiting: Mapping[str, _Waiting]
    lost: dict[str, str]
    continue_on_error: bool
    stopped_by: str = ""
    _needs: dict[str, frozenset[str]] = field(default_factory=dict)

    def take(self, module_id: str) -> None:
        """Upload the module, or leave it out with the reason."""
        item = self.waiting[module_id]
        reason = self._obstacle(item)
        if reason:
            item.job.reason = item.job.reason or reason
            item.job.mark(module_id, result=SKIPPED, reason=reason)
            item.job.run.reporter.info(f"{module_id} is left out: {reason}")
            self.lost[module_id] = SKIPPED
            return
        try:
            upload_module(item.module, item.prepared, item.job.run)
        except IgnDeployError as problem:
            item.job.mark(module_id, result=FAILED, reason=problem.message)
            item.job.blame(name_path(problem, item.job.path))
            self.lost[module_id] = FAILED
            self.stopped_by = self.stopped_by or str(item.job.path)

    def _obstacle(self, item: _Waiting) -> str:
        if self.stopped_by and not self.continue_on_error:
            return f"not uploaded, since {self.stopped_by} failed"
        lost = sorted(Needs.of(item.module.descriptor).required & self.lost.keys())
        if not lost:
            return ""
        verb = "failed" if self.lost[lost[0]] == FAILED else "was left out"
        return f"it depends on {lost[0]}, which {verb}"
