"""The command history: which deployments there were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ign_deploy.cli.environments import NOTHING, chosen_environments, unknown_environment
from ign_deploy.cli.formatting import describe_deployment, plain, table
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, NotInRepository

if TYPE_CHECKING:
    from ign_deploy.deployment.history import Deployment


@click.command("history", short_help="Show deployments, or forget an environment.")
@click.argument("what", nargs=-1, metavar="[DEPLOYMENT|MODULE|forget ENVIRONMENT]")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Number of deployments to show, newest first.",
)
@settings_options(
    "environment",
    "confirm",
    *REPOSITORY,
    "audit_file",
    meanings={
        "environment": ("Environment to show.", "NAME"),
        "confirm": ("For `history forget`: the ENVIRONMENT again.", "ENVIRONMENT"),
    },
)
@common_options
def history_command(session: Session, what: tuple[str, ...], limit: int) -> None:
    """Show the deployments of an environment (or of all), newest first.

    With the id of a DEPLOYMENT, show that one; with the id of a MODULE, those of the module.
    `history forget ENVIRONMENT --confirm ENVIRONMENT` hides an environment and its deployments,
    such as one that was created by a typing error.
    """
    if what[:1] == ("forget",):
        _forget(session, what[1:])
        return
    if len(what) > 1:
        raise ConfigurationError(
            f"{len(what)} arguments were given, expected one", hint="give one id."
        )
    shown = _newest(session, what[0] if what else "", limit)
    documents = [each.last.model_dump(mode="json") for each in shown]
    session.answer({"deployments": documents}, "\n".join(_lines(shown, what)))


def _lines(found: Sequence[Deployment], what: Sequence[str]) -> list[str]:
    """Return what people read: a table, or everything about the one deployment they named."""
    if not found:
        return [NOTHING]
    if [each.started.id for each in found] == list(what):
        record = found[0].last
        outcome = record.outcome.value if record.outcome else "unfinished"
        by = f"by {plain(record.actor)}" if record.actor else ""
        return [
            *describe_deployment(record, outcome),
            f"  {record.kind.value}, started {plain(record.started_at[:16])}Z {by}".rstrip(),
        ]
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
    return table(rows)


def _newest(session: Session, name: str, limit: int) -> Sequence[Deployment]:
    """Return the newest deployments, or the one with that id, or those of that module.

    Raises NotInRepository if there is neither.
    """
    history, environments = session.context.history, chosen_environments(session)
    named = [history.find(each, name) for each in environments] if name else []
    found = [each for each in named if each is not None] or [
        each
        for environment in environments
        for each in history.latest(environment, limit=limit, module_id=name)
    ]
    if name and not found:
        known = {each.id for one in environments for each in history.state(one).modules}
        raise NotInRepository(
            f"the history has no deployment and no module {name[:200]!r}",
            hint=f"give the id of a deployment, or of a module: {', '.join(sorted(known))}."
            if known
            else "nothing was deployed yet.",
        )
    return sorted(found, key=lambda each: each.started.started_at, reverse=True)[:limit]


def _forget(session: Session, names: tuple[str, ...]) -> None:
    if len(names) != 1:
        raise ConfigurationError(
            "no single environment to forget given",
            hint="write `ign-deploy history forget ENVIRONMENT --confirm ENVIRONMENT`.",
        )
    (name,) = names
    context = session.context
    known = context.history.environments()
    if not known:
        context.require_repository()
    if name not in known:
        raise unknown_environment(name, known)
    if session.settings.confirm != (name,):
        raise ConfigurationError(
            f"forgetting {name}, which hides all of its deployments, is not confirmed",
            hint=f"repeat its name: --confirm {name}.",
        )
    context.history.forget(name, actor=context.provenance.actor)
    context.audit.record("forget", "forgotten", now=context.now, subject={"environment": name})
    session.answer(
        {"result": "forgotten", "environment": name},
        f"forgotten: {name}; its modules and gateways were not changed",
    )
