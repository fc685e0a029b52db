"""Deployments for people: a timeline by days, and everything about one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from ign_deploy.cli.formatting import describe_deployment, partly, plain, wrap
from ign_deploy.cli.session import Session
from ign_deploy.report import shown_age

if TYPE_CHECKING:
    from ign_deploy.deployment.records import DeploymentRecord
    from ign_deploy.deployment.state import Deployment

_UNFINISHED = "unfinished"
_MOST_NAMED = 3


def timeline(deployments: Sequence[Deployment], session: Session) -> list[str]:
    """Return the deployments by day, in their order, each with what it did and how it ended."""

    def moment(deployment: Deployment) -> tuple[str, str, str]:
        # A record's time that can't be read stays as it is.
        date, _, rest = session.shown_time(deployment.started.started_at).partition(" ")
        time, _, zone = rest.partition(" ")
        return date, time, zone

    lines: list[str] = []
    for (date, zone), found in groupby(deployments, key=lambda each: moment(each)[::2]):
        lines.append(f"{date} {zone}".rstrip())
        for each in found:
            lines += _entry(each.last, moment(each)[1], session.width)
    return lines


def _entry(record: DeploymentRecord, time: str, width: int) -> Iterator[str]:
    indent = " " * 9
    changes = dict.fromkeys(
        f"{plain(module.id)} {plain(module.previous) or '-'} → {plain(module.version) or '-'}"
        for gateway in record.gateways
        for module in gateway.modules
    )
    outcome = f"{_outcome(record)}{partly(record)}"
    title = f"{_sign(record)} {outcome}  {plain(record.environment)}  {', '.join(changes)}"
    yield from wrap(title, width, first=f"  {time}  ".ljust(9), rest=f"{indent}  ")
    gateways = [plain(each.name or each.gateway) for each in record.gateways if each.gateway]
    about = [
        f"{record.kind.value} {record.id}",
        *([_listed(gateways)] if gateways else []),
        *([f"by {plain(record.actor)}"] if record.actor else []),
    ]
    yield from wrap(", ".join(about), width, first=f"{indent}  ", rest=f"{indent}  ")
    for gateway in record.gateways[: len(record.gateways) if _sign(record) != "✓" else 0]:
        if gateway.message:
            name = plain(gateway.name or gateway.gateway)
            reason = plain(gateway.message)
            shown = reason if reason.startswith(name) else f"{name}: {reason}"
            yield from wrap(shown, width, first=f"{indent}  ", rest=f"{indent}    ")


def _sign(record: DeploymentRecord) -> str:
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES

    if record.outcome is None:
        return "?"
    return "✓" if record.outcome in DEPLOYED_OUTCOMES else "✗"


def _outcome(record: DeploymentRecord) -> str:
    return record.outcome.value if record.outcome else _UNFINISHED


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def deployment_lines(deployment: Deployment, session: Session) -> list[str]:
    """Return everything about one deployment."""
    record = deployment.last
    age = shown_age(record.started_at, session.now)
    facts = [
        ("kind", record.kind.value + (f" from {record.source}" if record.source else "")),
        ("started", f"{session.shown_time(record.started_at)} ({age})"),
        ("ended", _end(record, session)),
        ("by", record.actor),
        ("commit", record.commit),
        ("run", record.run_url),
        ("tags", ", ".join(record.tags)),
        ("notes", record.notes),
    ]
    lines: list[str] = []
    for line in describe_deployment(record, _outcome(record)):
        indent = line[: len(line) - len(line.lstrip())]
        lines += wrap(line.lstrip(), session.width, first=indent, rest=f"{indent}  ")
    for title, value in facts:
        if value:
            lines += wrap(plain(value), session.width, first=f"  {title:<9}", rest=" " * 11)
    return lines


def _end(record: DeploymentRecord, session: Session) -> str:
    if not record.ended_at:
        return "not yet: it is still running, or was killed; see `ign-deploy status`"
    begin, end = (datetime.fromisoformat(each) for each in (record.started_at, record.ended_at))
    return f"{session.shown_time(record.ended_at)}, after {(end - begin).total_seconds():.0f} s"
