"""How a deployment is told: to people, to programs, to the CI host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ign_deploy.ci.outputs import write_summary
from ign_deploy.ci.summary import ModuleRow, Stage, Summary, render_summary
from ign_deploy.cli.failure import failure_document
from ign_deploy.cli.formatting import plain
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord


def answer_deployment(session: Session, record: DeploymentRecord) -> None:
    """Tell that a deployment succeeded, or what it would do."""
    document = deployment_document(record, is_rehearsed=session.settings.dry_run)
    _write_page(session, record, document["result"], problem=None)
    session.answer(
        document,
        "\n".join(describe_deployment(record, document["result"])),
        outputs=deployment_outputs(record, document["result"], head=session.context.audit.head),
    )


def answer_failed_deployment(
    session: Session, record: DeploymentRecord, problem: IgnDeployError
) -> None:
    """Tell that a deployment failed, and what it left behind."""
    document = deployment_document(record, is_rehearsed=False)
    _write_page(session, record, document["result"], problem=problem)
    outputs = deployment_outputs(record, document["result"], head=session.context.audit.head)
    text = "\n".join(describe_deployment(record, document["result"]))
    failure = {**failure_document(problem), "result": document["result"]}
    session.answer({**document, **failure}, text, outputs=outputs)


def deployment_document(record: DeploymentRecord, *, is_rehearsed: bool) -> dict[str, Any]:
    """Return a deployment as JSON values."""
    outcome = record.outcome.value if record.outcome else "unfinished"
    return {
        "result": "dry-run" if is_rehearsed else outcome,
        "deployment": record.model_dump(mode="json"),
    }


def deployment_outputs(record: DeploymentRecord, result: str, *, head: str) -> Mapping[str, str]:
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


def describe_deployment(record: DeploymentRecord, result: str) -> list[str]:
    """Return what people read: a line for each module on each gateway, then what to do."""
    lines = [f"{result}: deployment {record.id} to {plain(record.environment)}"]
    rows = [
        (
            plain(gateway.name or gateway.gateway or "(no gateway)"),
            plain(module.id),
            f"{plain(module.previous) or '-'} → {plain(module.version) or '-'}",
            module.outcome.value
            + (f", {plain(module.license_state)}" if module.license_state else ""),
        )
        for gateway in record.gateways
        for module in gateway.modules
    ]
    lines += table(rows)
    lines += [f"  {plain(gateway.message)}" for gateway in record.gateways if gateway.message]
    return lines


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return aligned columns, indented by two."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _write_page(
    session: Session, record: DeploymentRecord, result: str, *, problem: IgnDeployError | None
) -> None:
    names = ", ".join(
        dict.fromkeys(
            f"{module.id} {module.version or '(uninstalled)'}"
            for gateway in record.gateways
            for module in gateway.modules
        )
    )
    summary = Summary(
        headline=f"{result}: {names} → {record.environment}",
        succeeded=problem is None,
        error=problem.message if problem else "",
        hint=problem.hint if problem else "",
        modules=[
            ModuleRow(
                id=module.id,
                version=module.version,
                name=gateway.name or gateway.gateway,
                sha256=module.sha256,
                result=f"{module.outcome.value} (before: {module.previous or 'none'})",
            )
            for gateway in record.gateways
            for module in gateway.modules
        ],
        stages=[
            Stage(
                gateway.name or gateway.gateway or "no gateway",
                gateway.seconds,
                "ok" if problem is None else "failed",
                gateway.message,
            )
            for gateway in record.gateways
        ],
        next_steps=[gateway.message for gateway in record.gateways if gateway.message],
    )
    page = render_summary(summary, masker=session.masker)
    session.pages.append(page)
    write_summary(page, host=session.host, env=session.env, masker=session.masker)
