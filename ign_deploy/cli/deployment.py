"""The commands install, rollback and promote: modules onto gateways, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.ci.summary import ModuleRow, Summary
from ign_deploy.cli.failure import failure_document
from ign_deploy.cli.formatting import describe_deployment, plain
from ign_deploy.cli.options import (
    DEPLOYING,
    EVENTS,
    REPOSITORY,
    GroupedCommand,
    common_options,
    settings_options,
)
from ign_deploy.cli.page import gateway_table, pending_steps, write_page
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.pipeline.deploy import Deployer, Order


_USUAL = (*DEPLOYING, "continue_on_error", "notes", "notes_file", "tags", *REPOSITORY, "cache_dir",
          "trust_anchor", "allow_expired", *EVENTS, "dry_run")  # fmt: skip


@click.command("install", cls=GroupedCommand, short_help="Install modules on gateways.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|FILE…")
@settings_options(
    "version",
    "ignition",
    "environment",
    *_USUAL,
    meanings={
        "version": (
            "Version or range for names without @.  [default: the newest final release]",
            "VERSION",
        ),
        "environment": ("Target environment.  [default: default]", "NAME"),
    },
)
@common_options
def install_command(session: Session, names: tuple[str, ...]) -> None:
    """Install published modules, or signed files, on gateways, and check that they run.

    NAME is a module's id or name, optionally with @VERSION or @RANGE. The version that runs is
    saved first, and comes back when the new one doesn't run. Without --gateway, it goes to the
    gateways that the config file has for the environment. Gateways are restarted only with
    --restart. With --track-only, nothing is installed: the history records the versions.
    """
    from ign_deploy.pipeline.orders import installation

    deployer = _open_deployer(session)
    _carry_out(installation(names, deployer), deployer, session)


@click.command("rollback", cls=GroupedCommand, short_help="Restore what ran before.")
@click.argument("modules", nargs=-1, metavar="[MODULE…]")
@settings_options(
    "environment",
    "to",
    *_USUAL,
    meanings={
        "environment": ("Environment to roll back.  [required]", "NAME"),
        "to": ("Version to roll back to, for every module named.", "VERSION"),
    },
)
@common_options
def rollback_command(session: Session, modules: tuple[str, ...]) -> None:
    """Bring back what ran in an environment before, on every gateway it was deployed to.

    The version is the one before the last deployment, or --to. If that deployment was rolled back
    already, there is nothing to roll back. A module that wasn't there before is uninstalled only
    with --allow-uninstall.
    """
    from ign_deploy.pipeline.rollback import leased_rollback

    deployer = _open_deployer(session)
    with leased_rollback(modules, deployer) as order:
        _carry_out(order, deployer, session)


@click.command(
    "promote", cls=GroupedCommand, short_help="Deploy one environment's versions to another."
)
@click.argument("modules", nargs=-1, metavar="[MODULE[@VERSION]…]")
@settings_options(
    "environment",
    "to",
    *_USUAL,
    meanings={
        "environment": ("Environment whose versions are deployed.  [required]", "NAME"),
        "to": ("Environment that gets them.  [required]", "NAME"),
    },
)
@common_options
def promote_command(session: Session, modules: tuple[str, ...]) -> None:
    """Deploy the versions that --environment has to the environment --to, the very same files.

    Nothing is built again. With @VERSION, nothing is deployed if --environment has another one.
    Without --gateway, it goes to the gateways that the config file has for --to.
    """
    from ign_deploy.pipeline.orders import promotion

    deployer = _open_deployer(session)
    _carry_out(promotion(modules, deployer), deployer, session)


def _open_deployer(session: Session) -> Deployer:
    from ign_deploy.pipeline.deploy import Deployer
    from ign_deploy.pipeline.unrecorded import record_kept_ends

    _ = session.context.events  # unusable settings are found before anything is changed
    record_kept_ends(session.context)
    return Deployer(session.context)


def _carry_out(order: Order, deployer: Deployer, session: Session) -> None:
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
            headline=f"{_HEADLINES.get(result, result)} {what} → {record.environment}",
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
