"""Carrying out an order for a deployment, and answering how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ign_deploy.ci.summary import ModuleRow, Summary
from ign_deploy.cli.failure import failure_document
from ign_deploy.cli.formatting import describe_deployment, partly, plain
from ign_deploy.cli.page import gateway_table, pending_steps, write_page
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.pipeline.deploy import Deployer, Order


def open_deployer(session: Session) -> Deployer:
    """Return what carries out orders, once the settings were found usable."""
    from ign_deploy.pipeline.deploy import Deployer
    from ign_deploy.pipeline.unrecorded import record_kept_ends

    _ = session.context.events  # unusable settings are found before anything is changed
    record_kept_ends(session.context)
    return Deployer(session.context)


def carry_out(order: Order, deployer: Deployer, session: Session) -> None:
    """Carry out an order, and report how it ended, also when it failed."""
    from ign_deploy.deployment.rollout import require_success
    from ign_deploy.pipeline.unrecorded import require_recorded

    record = deployer.deploy(order)
    if not order.parts:
        _answer_unchanged(session, order)
        return
    try:
        if not session.settings.dry_run:
            require_success(record.gateways)
            require_recorded(session.context)
    except IgnDeployError as problem:
        _answer(session, record, order, problem=problem)
        raise
    _answer(session, record, order)


def _answer_unchanged(session: Session, order: Order) -> None:
    """Answer that there was nothing to do: the history has no entry for it."""
    count = len(order.unchanged)
    write_page(
        session,
        Summary(
            headline="Unchanged: the gateway is up to date"
            if count == 1
            else f"Unchanged: {count} gateways are up to date",
            succeeded=True,
            tables=[gateway_table(order.unchanged)],
        ),
    )
    session.answer(
        {"result": "unchanged", "deployment": None, **_unchanged_document(order)},
        "\n".join(plain(gateway.message) for gateway in order.unchanged),
    )


def _unchanged_document(order: Order) -> dict[str, Any]:
    return {"unchanged": [gateway.model_dump(mode="json") for gateway in order.unchanged]}


def _answer(
    session: Session,
    record: DeploymentRecord,
    order: Order,
    *,
    problem: IgnDeployError | None = None,
) -> None:
    """Answer with how a deployment ended, or in a dry run with what it would do."""
    document = _deployment_document(record, is_dry_run=session.settings.dry_run)
    document |= _unchanged_document(order)
    result = document["result"]
    problem = None if problem is None else session.wording.problem(problem)
    _write_page(session, record, order, result, problem=problem)
    if problem is not None:
        document |= failure_document(problem) | {"result": result}
    lines = describe_deployment(record, result, problem=problem, wording=session.wording.text)
    lines += [f"  {plain(gateway.message)}" for gateway in order.unchanged]
    session.answer(
        document,
        "\n".join(lines),
        outputs=_deployment_outputs(record, result, head=session.context.audit.head),
    )


def _deployment_document(record: DeploymentRecord, *, is_dry_run: bool) -> dict[str, Any]:
    """Return a deployment as JSON values."""
    outcome = record.outcome.value if record.outcome else "unfinished"
    return {
        "result": "dry-run" if is_dry_run else outcome,
        "deployment": record.model_dump(mode="json"),
    }


def _deployment_outputs(record: DeploymentRecord, result: str, *, head: str) -> Mapping[str, str]:
    """Return the action's outputs of a deployment."""
    modules = {module.id: module for gateway in record.gateways for module in gateway.modules}
    return {
        "result": result,
        "deployment-id": record.id,
        "audit-head": head,
        "module-id": "\n".join(modules),
        "module-version": "\n".join(module.version for module in modules.values()),
        "sha256": "\n".join(module.sha256 for module in modules.values()),
    }


_HEADLINES = {
    "deployed": "Deployed",
    "uninstalled": "Uninstalled",
    "unchanged": "Unchanged:",
    "recorded": "Recorded",
    "restart-pending": "Installed, but not running before a restart:",
    "rolled-back": "Not deployed, and rolled back:",
    "failed": "Not deployed:",
    "rollback-failed": "Needs manual repair:",
    "dry-run": "Dry run, nothing was changed:",
}
_NAMED = 5
"""How many modules the headline names; the others are counted."""


def _write_page(
    session: Session,
    record: DeploymentRecord,
    order: Order,
    result: str,
    *,
    problem: IgnDeployError | None,
) -> None:
    modules = {module.id: module for gateway in record.gateways for module in gateway.modules}
    names = [f"{each.id} {each.version}".strip() for each in modules.values()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = f"{', '.join(names[:_NAMED])}{more}"
    write_page(
        session,
        Summary(
            headline=f"{deployment_headline(record, result)} {what} → {record.environment}",
            succeeded=problem is None,
            error=problem.message if problem else "",
            hint=problem.hint if problem else "",
            tables=[
                gateway_table(
                    [*record.gateways, *order.unchanged], said=problem.message if problem else ""
                )
            ],
            modules=[
                ModuleRow(id=each.id, version=each.version, sha256=each.sha256)
                for each in modules.values()
                if each.version
            ],
            next_steps=pending_steps(record.gateways),
        ),
    )


def deployment_headline(record: DeploymentRecord, result: str) -> str:
    """Return what a page says first; a failure on some gateways isn't one of all."""
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES

    if not partly(record):
        return _HEADLINES.get(result, result)
    done = sum(gateway.outcome in DEPLOYED_OUTCOMES for gateway in record.gateways)
    repair = ", needs manual repair" if result == "rollback-failed" else ""
    return f"Deployed on {done} of {len(record.gateways)} gateways only{repair}:"
