"""What `status --live` answers: the verdict, then what differs, then the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ign_deploy.ci.summary import Summary, SummaryTable
from ign_deploy.cli.formatting import is_too_wide, plain, table, wrap
from ign_deploy.deployment.gateway.comparison import common_name
from ign_deploy.pipeline.live import LiveResult, overall_result
from ign_deploy.report import shown_age

if TYPE_CHECKING:
    from ign_deploy.pipeline.live import LiveGateway
    from ign_deploy.pipeline.live_comparison import Attempt, LiveModule

_HEADER = (
    "Environment",
    "Gateway",
    "Module",
    "Runs",
    "Recorded",
    "State",
    "Licence",
    "Signer",
    "Remark",
)
_UNLISTED = "this kind of gateway doesn't list its modules"
_SIGNS = {LiveResult.AS_RECORDED: "✓", LiveResult.NOT_COMPARABLE: "-"}


@dataclass(frozen=True, slots=True)
class LiveView:
    """What the report depends on: the time, and when a certificate's end is worth a remark."""

    now: datetime
    expiry_warning_days: int


def live_document(gateways: Sequence[LiveGateway]) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "result": overall_result(gateways).value,
        "gateways": [
            {
                "environment": each.environment,
                "name": each.title,
                "gateway": each.location,
                "result": each.result.value,
                "ignition": each.ignition,
                "problem": each.problem,
                "pending_restart": list(each.pending),
                "modules": [asdict(module) for module in each.modules],
            }
            for each in gateways
        ],
    }


def live_text(gateways: Sequence[LiveGateway], *, view: LiveView, width: int) -> str:
    """Return the report for people: a table, or blocks where it is wider than ``width`` columns.

    What differs comes first. A ``width`` of 0 is no limit.
    """
    ordered = _ordered(gateways)
    heading = tuple(title.upper() for title in _HEADER)
    lines = table([heading, *(row for each in ordered for row in _rows(each, view))])
    verdict = [_verdict(gateways)]
    if is_too_wide(lines, width):
        verdict = wrap(verdict[0], width)
        several = len({each.environment for each in gateways}) > 1
        lines = [
            line
            for each in ordered
            for line in _block(each, view, width, where=each.environment if several else "")
        ]
    return "\n".join([*verdict, *lines])


def live_summary(
    gateways: Sequence[LiveGateway], *, view: LiveView, next_steps: Sequence[str] = ()
) -> Summary:
    """Return the report as a page."""
    sign, _, headline = _verdict(gateways).partition(" ")
    return Summary(
        headline=headline,
        succeeded=sign != "✗",
        tables=[
            SummaryTable(
                "Gateways",
                _HEADER,
                [row for each in _ordered(gateways) for row in _rows(each, view)],
            )
        ],
        next_steps=next_steps,
    )


def _ordered(gateways: Sequence[LiveGateway]) -> Sequence[LiveGateway]:
    order = list(LiveResult)
    return sorted(gateways, key=lambda each: (not each.needs_attention, -order.index(each.result)))


def _verdict(gateways: Sequence[LiveGateway]) -> str:
    found = Counter(each.result for each in gateways)
    total = len(gateways)
    parts = []
    if differing := found[LiveResult.DIFFERENT]:
        verb = "differs" if differing == 1 else "differ"
        parts.append(f"{differing} of {total} {verb} from the history")
    if unreachable := found[LiveResult.UNREACHABLE]:
        parts.append(f"{unreachable} of {total} can't be asked")
    sign = "✗" if parts else "✓" if found[LiveResult.AS_RECORDED] else "-"
    if not parts:
        parts.append(f"{found[LiveResult.AS_RECORDED]} of {total} gateways as recorded")
    if unlisted := found[LiveResult.NOT_COMPARABLE]:
        verb = "doesn't list its" if unlisted == 1 else "don't list their"
        parts.append(f"{unlisted} {verb} modules")
    return f"{sign} {', '.join(parts)}"


def _rows(gateway: LiveGateway, view: LiveView) -> Iterator[tuple[str, ...]]:
    first = (plain(gateway.environment) or "-", plain(gateway.title))
    if gateway.problem or not gateway.modules:
        remark = plain(gateway.problem) or _nothing(gateway)
        yield (*first, "-", "-", "-", "-", "-", "-", remark)
    for module in gateway.modules:
        yield (
            *first,
            plain(module.id),
            plain(module.version) or "-",
            plain(module.recorded) or "-",
            plain(module.state) or "-",
            plain(module.license_state) or "-",
            _signer(module),
            _remark(gateway, module, view),
        )


def _nothing(gateway: LiveGateway) -> str:
    return "no modules of yours" if gateway.lists_modules else _UNLISTED


def _block(gateway: LiveGateway, view: LiveView, width: int, *, where: str) -> Iterator[str]:
    """Yield a gateway's lines; one line if it is as recorded, and fits."""
    title = f"{_SIGNS.get(gateway.result, '✗')} {plain(gateway.title)}"
    title += f" ({plain(where)})" if where else ""
    modules = ", ".join(f"{plain(each.id)} {plain(each.version)}" for each in gateway.modules)
    is_quiet = not any(_remark(gateway, each, view) for each in gateway.modules)
    short = f"{title}  {modules or _nothing(gateway)}"
    if gateway.result is LiveResult.AS_RECORDED and is_quiet and not is_too_wide([short], width):
        yield short
        return
    yield from wrap(title, width)
    if gateway.problem or not gateway.modules:
        yield from wrap(
            plain(gateway.problem) or _nothing(gateway), width, first="    ", rest="    "
        )
    for module in gateway.modules:
        shown = plain(module.version) or "not installed"
        if not gateway.lists_modules:
            shown = f"{plain(module.recorded) or 'nothing'} recorded"
        yield from wrap(plain(module.id), width, first="  ", rest="    ")
        yield from wrap(f"{shown} {plain(module.state)}".rstrip(), width, first="    ", rest="    ")
        if remark := _remark(gateway, module, view):
            yield from wrap(remark, width, first="    ", rest="    ")


def _remark(gateway: LiveGateway, module: LiveModule, view: LiveView) -> str:
    """Return what isn't as recorded or is still to come, and why the last attempt failed."""
    parts = [plain(module.difference)] if module.difference else []
    if any(module.id in task.split() for task in gateway.pending):
        parts.append("restart pending")
    if not gateway.lists_modules:
        parts.append(_UNLISTED)
    elif not module.recorded and not module.difference:
        parts.append("not in the history")
    if module.days_left is not None and module.days_left < view.expiry_warning_days:
        days = f"expires in {module.days_left} days" if module.days_left >= 0 else "has expired"
        parts.append(f"its certificate {days} ({module.certificate_expires[:10]})")
    if module.attempt:
        parts.append(_attempt(module.attempt, view.now))
    return "; ".join(parts)


def _signer(module: LiveModule) -> str:
    """Return the signer's common name, and whether it vouches only for itself."""
    name = plain(common_name(module.signer))
    if module.self_signed:
        return f"{name} (self-signed)" if name else "self-signed"
    return name or "-"


def _attempt(attempt: Attempt, now: datetime) -> str:
    reason = f": {plain(attempt.reason)}" if attempt.reason else ""
    return f"{plain(attempt.version)} {attempt.outcome} {shown_age(attempt.at, now)}{reason}"
