"""Many modules: one preflight, then work in parallel, then uploads in dependency order."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import CombinedError, IgnDeployError, VerificationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.module.parallel import map_parallel, sharing_processors, usable_processors
from ign_deploy.packaging.identify import known_modules
from ign_deploy.pipeline.batch_job import FAILED, SKIPPED, Job, check_known, check_made
from ign_deploy.pipeline.checks import given_or_found, name_path
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.preflight import PreflightResult, check_releases
from ign_deploy.pipeline.release import PreparedModules, deploy_modules, prepare, upload_module
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.process import stop_running
from ign_deploy.report import BufferedReporter


def release_batch(paths: Sequence[Path], context: RunContext) -> str:
    """Take the projects (or module files) at ``paths`` as far as the settings say.

    Without paths, all projects below the working directory. Returns the same as
    ``pipeline.release``. Nothing starts unless everything is in order, and nothing is uploaded
    before all modules are verified. Raises CombinedError, before the start or in the end, or
    VerificationError for modules that conflict; ``context.report`` says how far each path got.
    """
    with context.report.stage("preflight"):
        paths = given_or_found(paths, context)
        found = check_releases(paths, context)
        jobs = [_job(path, each, context) for path, each in zip(paths, found, strict=True)]
        check_known(jobs, settings=context.settings)
    if context.settings.dry_run:
        context.reporter.info("dry run: nothing is built, signed or uploaded")
        return "dry-run"
    try:
        with context.report.timed("package, sign and verify"):
            _prepare_all(jobs, context)
        conflict = _publish_all(jobs, context)
    finally:
        _collect(jobs, context.report)
    context.report.paths.extend(job.record() for job in jobs)
    result = _result(jobs, conflict)
    if context.settings.skip_upload:
        return result
    published = [module for job in jobs for module in job.published]
    return deploy_modules(published, context) or result


def _job(path: Path, found: PreflightResult, context: RunContext) -> Job:
    report = RunReport(BufferedReporter(context.reporter), clock=context.report.clock)
    try:
        known = known_modules(found.project)
    except (IgnDeployError, OSError):
        known = ()  # it will fail, and say why, when its turn comes
    return Job(path, found, context.with_report(report), known)


def _prepare_all(jobs: Sequence[Job], context: RunContext) -> None:
    """Build, sign and verify in parallel; after a failure start nothing new, unless requested."""
    workers = min(context.settings.max_parallel or usable_processors(), len(jobs))
    failed: list[Job] = []
    ended: list[Job] = []
    speaking = threading.Lock()

    def work(job: Job) -> None:
        if failed and not context.settings.continue_on_error:
            job.skip(f"not started, because {failed[0].path} failed")
            with speaking:
                ended.append(job)
                context.reporter.info(f"[{len(ended)}/{len(jobs)}] {job.path}: {SKIPPED}")
            return
        with sharing_processors(workers):
            _prepare(job)
        if job.problem is not None:
            failed.append(job)
        with speaking:
            ended.append(job)
            _play_back(job, context, count=f"[{len(ended)}/{len(jobs)}]")

    map_parallel(work, jobs, workers=workers, interrupt=stop_running)


def _prepare(job: Job) -> None:
    try:
        job.prepared = prepare(job.found, job.context)
    except IgnDeployError as problem:
        job.fail(name_path(problem, job.path))


def _play_back(job: Job, context: RunContext, *, count: str) -> None:
    """Report what happened on a path; what follows is reported as it happens.

    A success is one line, and its warnings, unless there is a build's output and it is folded away.
    """
    buffered = job.context.reporter
    names = ", ".join(
        f"{each.descriptor.id} {each.descriptor.version}"
        for each in job.context.report.modules.values()
    )
    title = f"{count} {job.path}: {names + ', ' if names else ''}{job.result}"
    if isinstance(buffered, BufferedReporter):
        is_folded = context.reporter.folds and buffered.has_output
        if job.result == FAILED or context.verbose or is_folded:
            with context.reporter.group(title):
                buffered.play_back()
        else:
            context.reporter.info(title)
            buffered.play_back_remarks()
    job.context.report.reporter = context.reporter


def _publish_all(jobs: Sequence[Job], context: RunContext) -> VerificationError | None:
    """Upload what may be uploaded; return the conflict if modules conflict: nothing is then."""
    try:
        check_made(jobs)
        upload_in_order(jobs, context)
    except VerificationError as conflict:
        for job in jobs:
            job.skip(f"not uploaded: {conflict.message}")
        return conflict
    return None


def _collect(jobs: Sequence[Job], report: RunReport) -> None:
    for job in jobs:
        report.modules.update(job.context.report.modules)
        report.findings.extend(
            item for item in job.context.report.findings if item not in report.findings
        )


def _result(jobs: Sequence[Job], conflict: VerificationError | None) -> str:
    """Return the result of the whole; raises CombinedError when anything failed."""
    problems = [job.problem for job in jobs if job.problem is not None]
    results = [job.result for job in jobs]
    if conflict is not None:
        raise _batch_failed(conflict.message, [*problems, conflict])
    if problems:
        skipped = f", {results.count(SKIPPED)} skipped" if SKIPPED in results else ""
        raise _batch_failed(f"{len(problems)} of {len(jobs)} paths failed{skipped}", problems)
    return "uploaded" if "uploaded" in results else results[0]


def _batch_failed(message: str, problems: Sequence[IgnDeployError]) -> CombinedError:
    return CombinedError(
        message,
        causes=problems,
        hint="fix the causes and run the same command again; published versions stay as they are.",
        code="batch",
        mixed_exit_code=problems[0].exit_code,
    )


def upload_in_order(jobs: Sequence[Job], context: RunContext) -> None:
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
    if context.settings.skip_upload:
        context.report.skip("upload", "--skip-upload was given")
        return
    with context.report.stage("upload"):
        uploads = _Uploads(
            waiting, lost=_lost(jobs), continue_on_error=context.settings.continue_on_error
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
    """Return the modules that nothing may depend on any more, and what became of them."""
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

    def take(self, module_id: str) -> None:
        """Upload the module, or skip it with the reason."""
        item = self.waiting[module_id]
        reason = self._obstacle(item)
        if reason:
            item.job.reason = item.job.reason or reason
            item.job.mark(module_id, result=SKIPPED, reason=reason)
            item.job.context.reporter.info(f"{module_id}: skipped, {reason}")
            self.lost[module_id] = SKIPPED
            return
        try:
            done = upload_module(item.module, item.prepared, item.job.context)
            item.job.published.append(done)
        except IgnDeployError as problem:
            item.job.mark(module_id, result=FAILED, reason=problem.message)
            item.job.blame(name_path(problem, item.job.path))
            self.lost[module_id] = FAILED
            self.stopped_by = self.stopped_by or str(item.job.path)

    def _obstacle(self, item: _Waiting) -> str:
        if self.stopped_by and not self.continue_on_error:
            return f"not uploaded, because {self.stopped_by} failed"
        lost = sorted(Needs.of(item.module.descriptor).required & self.lost.keys())
        if not lost:
            return ""
        verb = "failed" if self.lost[lost[0]] == FAILED else "was skipped"
        return f"it depends on {lost[0]}, which {verb}"
