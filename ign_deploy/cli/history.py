"""The commands status and history: what runs where, and how it got there."""

from __future__ import annotations

from typing import Any

import click

from ign_deploy.cli.formatting import plain, table
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session


@click.command("status", short_help="Show what runs in an environment.")
@settings_options("environment", *REPOSITORY)
@common_options
def status_command(session: Session) -> None:
    """Show what runs where, since when, by whom, and back to which version it can be rolled.

    Without --environment, of all environments. It is what deployments wrote down: the gateways
    themselves aren't asked.
    """
    history = session.context.history
    names = [session.settings.environment] if session.settings.environment else None
    deployed = [each for name in names or history.environments() for each in history.deployed(name)]
    document = {
        "deployed": [
            {
                "environment": each.environment,
                "gateway": each.gateway,
                "id": each.id,
                "version": each.version,
                "sha256": each.sha256,
                "previous": each.previous,
                "rollback_version": each.rollback_version,
                "outcome": each.outcome.value,
                "since": each.since,
                "actor": each.actor,
                "deployment": each.deployment,
                "uncertain": each.uncertain,
            }
            for each in deployed
        ]
    }
    rows = [("ENVIRONMENT", "GATEWAY", "MODULE", "VERSION", "SINCE", "BY", "BEFORE")]
    rows += [
        (
            plain(each.environment),
            plain(each.gateway) or "-",
            plain(each.id),
            (plain(each.version) or "-")
            + (" (uncertain)" if each.uncertain else "")
            + (" (restart pending)" if each.outcome.value == "restart-pending" else ""),
            plain(each.since[:16]),
            plain(each.actor) or "-",
            plain(each.previous) or "-",
        )
        for each in deployed
    ]
    session.answer(document, "\n".join(table(rows)) if deployed else "nothing was deployed yet")


@click.command("history", short_help="Show an environment's deployments.")
@click.argument("module", required=False, metavar="[MODULE]")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Number of deployments to show, newest first.",
)
@settings_options("environment", *REPOSITORY)
@common_options
def history_command(session: Session, module: str | None, limit: int) -> None:
    """Show the deployments of an environment (or of all), newest first."""
    from ign_deploy.deployment.history import Deployment

    history = session.context.history
    names = [session.settings.environment] if session.settings.environment else None
    found: list[Deployment] = [
        each
        for name in names or history.environments()
        for each in history.deployments(name)
        if module is None or any(one.id == module for g in each.last.gateways for one in g.modules)
    ]
    found = sorted(found, key=lambda each: each.started.started_at, reverse=True)[:limit]
    documents: list[dict[str, Any]] = [each.last.model_dump(mode="json") for each in found]
    rows = [("STARTED", "ENVIRONMENT", "DEPLOYMENT", "KIND", "OUTCOME", "BY", "MODULES")]
    for each in found:
        record = each.last
        modules = dict.fromkeys(
            f"{plain(one.id)} {plain(one.previous) or '-'} → {plain(one.version) or '-'}"
            for gateway in record.gateways
            for one in gateway.modules
        )
        rows.append(
            (
                plain(record.started_at[:16]),
                plain(record.environment),
                record.id,
                record.kind.value,
                record.outcome.value if record.outcome else "unfinished",
                plain(record.actor) or "-",
                ", ".join(modules),
            )
        )
    session.answer(
        {"deployments": documents},
        "\n".join(table(rows)) if found else "nothing was deployed yet",
    )
