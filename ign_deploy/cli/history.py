"""The command history: which deployments there were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ign_deploy.cli.environments import NOTHING, chosen_environments, unknown_environment
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.cli.timeline import deployment_lines, timeline
from ign_deploy.errors import ConfigurationError, NotInRepository

if TYPE_CHECKING:
    from ign_deploy.deployment.history import Deployment


@click.command("history", short_help="Show deployments, or forget an environment.")
@click.argument("what", nargs=-1, metavar="[MODULE|show DEPLOYMENT|forget ENVIRONMENT]")
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
    """Show the deployments of an environment (or of all) as a timeline, newest first.

    With the id of a MODULE, only those of the module. `history show DEPLOYMENT` shows everything
    about one. `history forget ENVIRONMENT --confirm ENVIRONMENT` hides an environment and its
    deployments, such as one that was created by a typing error.
    """
    action, names = (what[0], what[1:]) if what[:1] in (("show",), ("forget",)) else ("", what)
    if action == "forget":
        _forget(session, names)
        return
    if len(names) > 1 or (action and not names):
        raise ConfigurationError(
            f"{len(names) or 'no'} ids were given, expected one",
            hint="write `ign-deploy history MODULE` or `ign-deploy history show DEPLOYMENT`.",
        )
    shown: Sequence[Deployment]
    if action == "show":
        shown = [_named(session, names[0])]
        lines = deployment_lines(shown[0], session)
    else:
        shown = _newest(session, names[0] if names else "", limit)
        lines = timeline(shown, session) or [NOTHING]
    documents = [each.last.model_dump(mode="json") for each in shown]
    session.answer({"deployments": documents}, "\n".join(lines))


def _named(session: Session, name: str) -> Deployment:
    """Return the deployment with that id; raises NotInRepository."""
    for each in chosen_environments(session):
        if found := session.context.history.find(each, name):
            return found
    raise NotInRepository(
        f"the history has no deployment {name[:200]!r}",
        hint="run `ign-deploy history` to see the ids of deployments.",
    )


def _newest(session: Session, name: str, limit: int) -> Sequence[Deployment]:
    """Return the newest deployments, or those of that module; raises NotInRepository for none."""
    history, environments = session.context.history, chosen_environments(session)
    found = [
        each
        for environment in environments
        for each in history.latest(environment, limit=limit, module_id=name)
    ]
    if name and not found:
        raise _no_module(session, name, environments)
    return sorted(found, key=lambda each: each.started.started_at, reverse=True)[:limit]


def _no_module(session: Session, name: str, environments: Sequence[str]) -> NotInRepository:
    history = session.context.history
    if any(history.find(each, name) for each in environments):
        return NotInRepository(
            f"{name} is a deployment, not a module", hint=f"run `ign-deploy history show {name}`."
        )
    known = {each.id for one in environments for each in history.state(one).modules}
    return NotInRepository(
        f"the history has no module {name[:200]!r}",
        hint=f"give the id of a module: {', '.join(sorted(known))}."
        if known
        else "nothing was deployed yet.",
    )


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
