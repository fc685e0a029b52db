"""What `status --live` answers: the verdict, then what differs, then the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ign_deploy.cli.formatting import plain, table

if TYPE_CHECKING:
    from ign_deploy.pipeline.live import Attempt, LiveGateway, LiveModule

_HEADER = ("ENVIRONMENT", "GATEWAY", "MODULE", "RUNS", "RECORDED", "STATE", "LICENCE", "REMARK")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def live_document(gateways: Sequence[LiveGateway]) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "result": "as-recorded" if all(each.is_as_recorded for each in gateways) else "different",
        "gateways": [
            {
                "environment": each.environment,
                "name": each.title,
                "gateway": each.location,
                "as_recorded": each.is_as_recorded,
                "ignition": each.ignition,
                "problem": each.problem,
                "pending_restart": list(each.pending),
                "modules": [asdict(module) for module in each.modules],
            }
            for each in gateways
        ],
    }


def live_text(gateways: Sequence[LiveGateway], *, now: datetime, width: int) -> str:
    """Return the report for people: a table, or blocks where it is wider than ``width`` columns.

    What differs comes first. A ``width`` of 0 is no limit.
    """
    ordered = sorted(gateways, key=lambda each: each.is_as_recorded)
    rows = [_HEADER, *(row for each in ordered for row in _rows(each, now))]
    lines = table(rows)
    if width and max(map(len, lines)) > width:
        lines = [line for each in ordered for line in _block(each, now)]
    return "\n".join([_verdict(gateways), *lines])


def _verdict(gateways: Sequence[LiveGateway]) -> str:
    unreachable = sum(bool(each.problem) for each in gateways)
    differing = sum(not each.is_as_recorded for each in gateways) - unreachable
    total = len(gateways)
    if not unreachable and not differing:
        return f"✓ {total} of {total} gateways as recorded"
    parts = []
    if differing:
        parts.append(
            f"{differing} of {total} differ{'s' if differing == 1 else ''} from the history"
        )
    if unreachable:
        parts.append(f"{unreachable} of {total} can't be asked")
    return f"✗ {', '.join(parts)}"


def _rows(gateway: LiveGateway, now: datetime) -> Iterator[tuple[str, ...]]:
    first = (plain(gateway.environment) or "-", plain(gateway.title))
    if gateway.problem or not gateway.modules:
        remark = plain(gateway.problem) or "no modules of yours"
        yield (*first, "-", "-", "-", "-", "-", remark)
    for module in gateway.modules:
        yield (
            *first,
            plain(module.id),
            plain(module.version) or "-",
            plain(module.recorded) or "-",
            plain(module.state) or "-",
            plain(module.license_state) or "-",
            _remark(gateway, module, now),
        )


def _block(gateway: LiveGateway, now: datetime) -> Iterator[str]:
    sign = "✓" if gateway.is_as_recorded else "✗"
    yield f"{sign} {plain(gateway.title)}"
    if gateway.problem:
        yield f"    {plain(gateway.problem)}"
    for module in gateway.modules:
        yield f"  {plain(module.id)}"
        yield f"    {plain(module.version) or 'not installed'} {plain(module.state)}".rstrip()
        if remark := _remark(gateway, module, now):
            yield f"    {remark}"


def _remark(gateway: LiveGateway, module: LiveModule, now: datetime) -> str:
    """Return what isn't as recorded or is still to come, and why the last attempt failed."""
    parts = [plain(module.difference)] if module.difference else []
    if any(module.id in task.split() for task in gateway.pending):
        parts.append("restart pending")
    if not module.recorded and not module.difference:
        parts.append("not in the history")
    if module.self_signed:
        parts.append("self-signed")
    if module.attempt:
        parts.append(_attempt(module.attempt, now))
    return "; ".join(parts)


def _attempt(attempt: Attempt, now: datetime) -> str:
    reason = f": {plain(attempt.reason)}" if attempt.reason else ""
    return f"{plain(attempt.version)} {attempt.outcome} {_age(attempt.at, now)}{reason}"


def _age(at: str, now: datetime) -> str:
    try:
        seconds = (now - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"
