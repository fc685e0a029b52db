"""The command status: what runs where, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.ci.summary import Summary, SummaryTable
from ign_deploy.cli.environments import NOTHING, chosen_environments
from ign_deploy.cli.formatting import is_too_wide, plain, table, wrap
from ign_deploy.cli.options import REPOSITORY, common_options, settings_options
from ign_deploy.cli.page import write_page
from ign_deploy.cli.remaining import Remaining, difference_steps, remaining_steps
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.environment import gateway_name

if TYPE_CHECKING:
    from ign_deploy.deployment.state import DeployedVersion, EnvironmentState

GATEWAYS_DIFFER = 10
"""The exit code of ``status --live --exit-code`` when a gateway isn't as recorded."""
_ONLY_LIVE = ("gateway", "expiry_warning_days", "metrics_file", "pushgateway_url", "otlp_endpoint")
_HEADER = ("Environment", "Gateway", "Module", "Version", "Since", "By", "Before")


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
    "expiry_warning_days",
    "metrics_file",
    "pushgateway_url",
    "metrics_job",
    "otlp_endpoint",
    "notification_ca",
    meanings={"environment": ("Environment to show.", "NAME")},
)
@common_options
def status_command(session: Session, *, live: bool, exit_code: bool) -> None:
    """Show what runs where, since when, by whom, and back to which version it can be rolled.

    Without --environment, of all environments. It is what deployments wrote down; with --live, the
    gateways of --gateway or of the config file are asked as well, for at most 30 seconds each.
    Modules that were uninstalled are listed without a version. What is left to do, such as after a
    run that was killed, comes last.
    """
    if live:
        _answer_live(session, exit_code=exit_code)
        return
    given = [f"--{name.replace('_', '-')}" for name in _ONLY_LIVE if _is_option(session, name)]
    if exit_code:
        given.insert(0, "--exit-code")
    if given:
        raise ConfigurationError(
            f"{given[0]} was given without --live", hint="add --live to ask the gateways."
        )
    states = _states(chosen_environments(session), session)
    modules = [each for state in states.values() for each in state.modules]
    here = [each for each in modules if each.version or each.uncertain]
    gone = [each for each in modules if not (each.version or each.uncertain)]
    steps = remaining_steps(states, session)
    document = {
        "deployed": [_deployed_document(each) for each in here],
        "not_installed": [_deployed_document(each) for each in gone],
        "next": [step.document() for step in steps],
    }
    rows = _rows([*here, *gone], session)
    write_page(session, _summary(here, rows, steps))
    lines = _lines(rows, session) if modules else [NOTHING]
    session.answer(document, "\n".join([*lines, *_next_lines(steps, session)]))


def _states(environments: Sequence[str], session: Session) -> dict[str, EnvironmentState]:
    return {name: session.context.history.state(name) for name in environments}


def _is_option(session: Session, name: str) -> bool:
    return session.resolved.origin(name).startswith("--")


def _answer_live(session: Session, *, exit_code: bool) -> None:
    from ign_deploy.cli.live import LiveView, live_document, live_summary, live_text
    from ign_deploy.pipeline.live import LiveResult, ask_gateways, overall_result
    from ign_deploy.pipeline.live_metrics import check_metrics, measure_gateways

    check_metrics(session.context)
    view = LiveView(session.now, session.settings.expiry_warning_days)
    found = ask_gateways(session.context)
    states = _states(sorted({each.environment for each in found}), session)
    steps = remaining_steps(states, session, is_live=True)
    steps += difference_steps(found, states, session)
    write_page(session, live_summary(found, view=view, next_steps=_page_steps(steps)))
    document = live_document(found) | {"next": [step.document() for step in steps]}
    text = live_text(found, view=view, width=session.width)
    session.answer(document, "\n".join([text, *_next_lines(steps, session)]))
    measure_gateways(found, session.context)
    if exit_code and overall_result(found) is not LiveResult.AS_RECORDED:
        click.get_current_context().exit(GATEWAYS_DIFFER)


def _summary(
    here: Sequence[DeployedVersion],
    rows: Sequence[tuple[str, ...]],
    steps: Sequence[Remaining],
) -> Summary:
    """Return the run's page: how much runs where, and what is left to do."""
    gateways = len({(each.environment, each.gateway) for each in here})
    uncertain = sum(each.uncertain for each in here)
    headline = f"{_count(len(here), 'module')} on {_count(gateways, 'gateway')}"
    if uncertain:
        headline += f", {uncertain} uncertain"
    return Summary(
        headline=headline if rows else f"{NOTHING[:1].upper()}{NOTHING[1:]}",
        succeeded=not uncertain,
        tables=[SummaryTable("Modules", _HEADER, rows)],
        next_steps=_page_steps(steps),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _page_steps(steps: Sequence[Remaining]) -> list[str]:
    return [" ".join([each.text, *(f"`{one}`" for one in each.commands)]) for each in steps]


def _rows(deployed: Sequence[DeployedVersion], session: Session) -> list[tuple[str, ...]]:
    return [
        (
            plain(each.environment),
            plain(gateway_name(each.gateway, session.settings)) or "-",
            plain(each.id),
            _shown_version(each),
            session.shown_time(each.since),
            plain(each.actor) or "-",
            "unknown" if each.contradiction else plain(each.previous) or "-",
        )
        for each in deployed
    ]


def _lines(rows: Sequence[tuple[str, ...]], session: Session) -> list[str]:
    """Return a table, or blocks where it is wider than the terminal."""
    heading = tuple(title.upper() for title in _HEADER)
    lines = table([heading, *rows])
    if not is_too_wide(lines, session.width):
        return lines
    return [line for row in rows for line in _block(row, session.width)]


def _block(row: tuple[str, ...], width: int) -> Iterator[str]:
    environment, gateway, module, version, since, actor, before = row
    yield from wrap(f"{environment}  {gateway}", width)
    yield from wrap(f"{module} {version}", width, first="  ", rest="    ")
    yield from wrap(f"since {since} by {actor}, before {before}", width, first="    ", rest="    ")


def _next_lines(steps: Sequence[Remaining], session: Session) -> Iterator[str]:
    if steps:
        yield from ("", "what to do:")
    for number, step in enumerate(steps, start=1):
        indent = " " * (len(str(number)) + 4)
        yield from wrap(plain(step.text), session.width, first=f"  {number}. ", rest=indent)
        yield from (f"{indent}  {plain(command)}" for command in step.commands)


def _shown_version(deployed: DeployedVersion) -> str:
    """Return the version for people, with what they have to know of it."""
    remarks = []
    if deployed.uncertain:
        other = " or ".join(map(plain, deployed.attempted))
        remarks.append(f"uncertain, perhaps {other}" if other else "uncertain")
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
