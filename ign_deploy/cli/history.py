"""The commands status and history: what runs where, and how it got there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.formatting import describe_deployment, plain, table
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, NotInRepository

if TYPE_CHECKING:
    from ign_deploy.deployment.history import DeployedVersion, Deployment

GATEWAYS_DIFFER = 10
"""The exit code of ``status --live --exit-code`` when a gateway isn't as recorded."""
_NOTHING = "nothing was deployed yet"


@click.command("status", short_help="Show what runs in an environment.")
@click.option("--live", is_flag=True, help="Ask the gateways, and compare them with the history.")
@click.option(
    "--exit-code", is_flag=True, help="With --live: end with 10 unless all are as recorded."
)
@settings_options(
    "environment",
    *REPOSITORY,
    "gateway",
    "gateway_ca",
    "gateway_pin",
    "insecure_http",
    meanings={"environment": ("Environment to show.", "NAME")},
)
@common_options
def status_command(session: Session, *, live: bool, exit_code: bool) -> None:
    """Show what runs where, since when, by whom, and back to which version it can be rolled.

    Without --environment, of all environments. It is what deployments wrote down; with --live, the
    gateways of --gateway or of the config file are asked as well, for at most 30 seconds each.
    Modules that were uninstalled are listed without a version.
    """
    if live:
        _answer_live(session, exit_code=exit_code)
        return
    if exit_code or session.settings.gateway:
        given = "--exit-code" if exit_code else "--gateway"
        raise ConfigurationError(
            f"{given} was given without --live", hint="add --live to ask the gateways."
        )
    history = session.context.history
    modules = [each for name in _environments(session) for each in history.state(name).modules]
    here = [each for each in modules if each.version or each.uncertain]
    gone = [each for each in modules if not (each.version or each.uncertain)]
    rows = [("ENVIRONMENT", "GATEWAY", "MODULE", "VERSION", "SINCE", "BY", "BEFORE")]
    rows += [
        (
            plain(each.environment),
            plain(each.gateway) or "-",
            plain(each.id),
            _shown_version(each),
            plain(each.since[:16]),
            plain(each.actor) or "-",
            "unknown" if each.contradiction else plain(each.previous) or "-",
        )
        for each in (*here, *gone)
    ]
    document = {
        "deployed": [_deployed_document(each) for each in here],
        "not_installed": [_deployed_document(each) for each in gone],
    }
    session.answer(document, "\n".join(table(rows)) if modules else _NOTHING)


def _answer_live(session: Session, *, exit_code: bool) -> None:
    from ign_deploy.cli.live import live_document, live_text
    from ign_deploy.pipeline.live import ask_gateways

    found = ask_gateways(session.context)
    width = shutil.get_terminal_size().columns if session.out.isatty() else 0
    session.answer(live_document(found), live_text(found, now=session.now, width=width))
    if exit_code and not all(gateway.is_as_recorded for gateway in found):
        click.get_current_context().exit(GATEWAYS_DIFFER)


def _shown_version(deployed: DeployedVersion) -> str:
    """Return the version for people, with what they have to know of it."""
    remarks = []
    if deployed.uncertain:
        remarks.append("uncertain")
    elif not deployed.version and deployed.previous:
        remarks.append("uninstalled")
    elif not deployed.version and deployed.undone:
        is_back = deployed.undone_outcome.value == "rolled-back"
        what = "was rolled back" if is_back else "was not installed"
        remarks.append(f"{plain(deployed.undone)} {what}")
    if deployed.outcome.value == "restart-pending":
        remarks.append("restart pending")
    return " ".join([plain(deployed.version) or "-", *(f"({each})" for each in remarks)])


def _deployed_document(deployed: DeployedVersion) -> dict[str, Any]:
    """Return what runs on a gateway as JSON values."""
    return {
        "environment": deployed.environment,
        "gateway": deployed.gateway,
        "id": deployed.id,
        "version": deployed.version,
        "sha256": deployed.sha256,
        "previous": deployed.previous,
        "rollback_version": deployed.rollback_version,
        "outcome": deployed.outcome.value,
        "since": deployed.since,
        "actor": deployed.actor,
        "deployment": deployed.deployment,
        "uncertain": deployed.uncertain,
    }


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
        return [_NOTHING]
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
    history, environments = session.context.history, _environments(session)
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


def _environments(session: Session) -> list[str]:
    """Return the requested environment, or all; raises NotInRepository for an unknown one."""
    from ign_deploy.deployment.records import check_environment

    name, known = session.settings.environment, session.context.history.environments()
    if not known:
        session.context.require_repository()
    if not name:
        return known
    configured = {entry.environment for entry in session.settings.gateways}
    if check_environment(name) in {*known, *configured}:
        return [name]
    raise _unknown(name, known)


def _unknown(name: str, known: Sequence[str]) -> NotInRepository:
    return NotInRepository(
        f"the history has no environment {name[:200]!r}",
        hint=f"give one of these: {', '.join(known)}." if known else "nothing was deployed yet.",
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
        raise _unknown(name, known)
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
