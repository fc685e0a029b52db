"""Many modules: one preflight, then work in parallel, then uploads in dependency order."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ign_deploy.errors import IgnDeployError, VerificationError
from ign_deploy.module.parallel import map_parallel, sharing_processors, usable_processors
from ign_deploy.packaging.identify import known_modules
from ign_deploy.pipeline.batch.distinct import check_known, check_made
from ign_deploy.pipeline.batch.failure import BatchFailed
from ign_deploy.pipeline.batch.job import SKIPPED, Job
from ign_deploy.pipeline.batch.uploads import upload_in_order
from ign_deploy.pipeline.batch_checks import check_releases, name_path
from ign_deploy.pipeline.release import RunContext, deploy_modules, prepare
from ign_deploy.pipeline.release_checks import PreflightResult
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.process import stop_running
from ign_deploy.report import BufferedReporter


def release_all(paths: Sequence[Path], run: RunContext) -> str:
    """Take the projects (or module files) at ``paths`` as far as the settings say.

    Returns the same as ``pipeline.release``. Nothing is begun unless everything is in order, and
    nothing is uploaded before all modules are verified. Raises PreflightFailed, VerificationError
    for modules that clash, and BatchFailed in the end; ``run.story`` tells how far each path came.
    """
    with run.report.stage("preflight"):
        found = check_releases(paths, settings=run.settings, env=run.env, reporter=run.reporter)
        jobs = [_job(path, ready, run) for path, ready in zip(paths, found, strict=True)]
        check_known(jobs, settings=run.settings)
    if run.settings.dry_run:
        run.reporter.info("dry run: nothing is built, signed or uploaded")
        return "dry-run"
    try:
        with run.report.timed("package, sign and verify"):
            _prepare_all(jobs, run)
        clash = _publish_all(jobs, run)
    finally:
        _collect(jobs, run.report)
    run.report.paths.extend(job.record() for job in jobs)
    result = _result(jobs, clash)
    if run.settings.skip_upload:
        return result
    published = [
        module for job in jobs if job.prepared is not None for module in job.prepared.modules
    ]
    return deploy_modules(published, run) or result


def _job(path: Path, ready: PreflightResult, run: RunContext) -> Job:
    report = RunReport(BufferedReporter(run.reporter), clock=run.report.clock)
    try:
        known = known_modules(ready.project)
    except (IgnDeployError, OSError):
        known = ()  # it will fail, and say why, when its turn comes
    return Job(path, ready, replace(run, report=report), known)


def _prepare_all(jobs: Sequence[Job], run: RunContext) -> None:
    """Build, sign and verify in parallel; after a failure begin nothing new, unless told to."""
    workers = min(run.settings.max_parallel or usable_processors(), len(jobs))
    failed: list[Job] = []
    speaking = threading.Lock()

    def work(job: Job) -> None:
        if failed and not run.settings.continue_on_error:
            job.skip(f"not begun, since {failed[0].path} failed")
            return
        with sharing_processors(workers):
            _prepare(job)
        if job.problem is not None:
            failed.append(job)
        with speaking:
            _play_back(job, run)

    map_parallel(work, jobs, workers=workers, interrupt=stop_running)


def _prepare(job: Job) -> None:
    try:
        job.prepared = prepare(job.ready, job.run)
    except IgnDeployError as problem:
        job.fail(name_path(problem, job.path))


def _play_back(job: Job, run: RunContext) -> None:
    """Tell what happened on a path, as one group; what follows is told as it happens."""
    buffered = job.run.reporter
    names = ", ".join(
        f"{each.descriptor.id} {each.descriptor.version}"
        for each in job.run.report.modules.values()
    )
    with run.reporter.group(f"{job.path}: {names + ', ' if names else ''}{job.result}"):
        if isinstance(buffered, BufferedReporter):
            buffered.play_back()
    job.run.report.reporter = run.reporter


def _publish_all(jobs: Sequence[Job], run: RunContext) -> VerificationError | None:
    """Upload what may be uploaded; nothing where modules clash, for the reason returned."""
    try:
        check_made(jobs)
        upload_in_order(jobs, run)
    except VerificationError as clash:
        for job in jobs:
            job.skip(f"not uploaded: {clash.message}")
        return clash
    return None


def _collect(jobs: Sequence[Job], report: RunReport) -> None:
    for job in jobs:
        report.modules.update(job.run.report.modules)
        report.findings.extend(
            item for item in job.run.report.findings if item not in report.findings
        )


def _result(jobs: Sequence[Job], clash: VerificationError | None) -> str:
    """Return the result of the whole; raises BatchFailed when anything failed."""
    problems = [job.problem for job in jobs if job.problem is not None]
    results = [job.result for job in jobs]
    if clash is not None:
        raise BatchFailed(clash.message, problems=[*problems, clash])
    if problems:
        rest = f", {results.count(SKIPPED)} left out" if SKIPPED in results else ""
        message = f"{len(problems)} of {len(jobs)} paths failed{rest}"
        raise BatchFailed(message, problems=problems)
    return "uploaded" if "uploaded" in results else results[0]


__all__ = ["BatchFailed", "release_all"]
