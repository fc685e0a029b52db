"""Ends of deployments that the store didn't take: kept as files, recorded by the next run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.deployment.records import (
    MAX_DEPLOYMENT_RECORD_SIZE,
    DeploymentRecord,
    Outcome,
    Phase,
)
from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.files import os_error_reason, read_regular, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from ign_deploy.pipeline.context import RunContext

_PREFIX = "ign-deploy-unrecorded-"
_MOST = 100


def record_end(record: DeploymentRecord, context: RunContext) -> None:
    """Write the end of a deployment to the history, or keep it as a file beside the result file.

    The run goes on, and ends with what ``require_recorded`` raises.
    """
    try:
        context.history.append(record)
    except IgnDeployError as problem:
        context.report.unrecorded = _keep(record, problem, context)
        context.reporter.warning(context.report.unrecorded.message)


def require_recorded(context: RunContext) -> None:
    """Raise RepositoryError if the end of this run's deployment isn't in the history."""
    if context.report.unrecorded is not None:
        raise context.report.unrecorded


def record_kept_ends(context: RunContext) -> None:
    """Record what earlier runs could not; raises RepositoryError if the store doesn't take it.

    Only ends of deployments that this repository has as started. Called before anything that a
    build could have written is there.
    """
    for path in sorted(context.settings.output_dir.glob(f"{_PREFIX}*.json"))[:_MOST]:
        record = _read(path, context)
        if record is None:
            continue
        if context.settings.dry_run:
            context.reporter.info(f"{path} is recorded by the next run that isn't a dry run")
        elif context.history.complete(record):
            path.unlink(missing_ok=True)
            context.reporter.info(
                f"recorded the end of deployment {record.id} to {record.environment}, which the "
                f"repository did not take before; removed {path}"
            )
        else:
            context.reporter.warning(
                f"{path} was not recorded: this repository has no deployment {record.id} to "
                f"{record.environment} that it ends"
            )


def _keep(
    record: DeploymentRecord, problem: IgnDeployError, context: RunContext
) -> RepositoryError:
    path = context.settings.output_dir / f"{_PREFIX}{record.environment}-{record.id}.json"
    what = "failed, and not" if record.outcome in _FAILED else "installed, but not"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, context.history.redacted(record).to_json(), durable=True)
    except (IgnDeployError, OSError) as cause:
        reason = os_error_reason(cause) if isinstance(cause, OSError) else cause.message
        return RepositoryError(
            f"{what} recorded: the end of deployment {record.id} to {record.environment} could not "
            f"be written to the history ({problem.message}), nor to {path} ({reason})",
            hint="run the same command again when the repository can be reached.",
        )
    return RepositoryError(
        f"{what} recorded: the end of deployment {record.id} to {record.environment} could not be "
        f"written to the history ({problem.message}); it is kept in {path}",
        hint=f"keep {path}: the next install, rollback or promote with the same output folder "
        "records it.",
    )


def _read(path: Path, context: RunContext) -> DeploymentRecord | None:
    try:
        data = read_regular(path, limit=MAX_DEPLOYMENT_RECORD_SIZE, follow_links=False)
    except OSError as cause:
        context.reporter.warning(f"cannot read {path}: {os_error_reason(cause)}")
        return None
    record = DeploymentRecord.parse(data)
    if record is None or record.phase is not Phase.ENDED:
        context.reporter.warning(f"{path} is not the record of a deployment's end; not recorded")
        return None
    return record


_FAILED = frozenset(
    {Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.ROLLBACK_FAILED, Outcome.UNTOUCHED}
)
