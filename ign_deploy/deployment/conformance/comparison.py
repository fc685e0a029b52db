"""A gateway's report compared with what is expected: statuses, shapes, states and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ign_deploy.deployment.conformance.redaction import MIXED, kind_of, merged
from ign_deploy.deployment.conformance.report import (
    ConformanceReport,
    Deviation,
    Exchange,
    RecordedStep,
)

# Only what is far from expected: machines differ.
_TIMES, _SECONDS = 4, 60
_NULL = "<null>"
# Phases of a restart that may lie between two polls.
_PASSING = ("gateway: down", "gateway: STARTING")


def find_deviations(
    report: ConformanceReport, *, expected: ConformanceReport
) -> tuple[Deviation, ...]:
    """Return everything in which a report differs from what is expected, step by step."""
    found = {step.name: step for step in report.steps}
    known = {step.name: step for step in expected.steps}
    deviations: list[Deviation] = []
    for name in dict.fromkeys((*known, *found)):
        if name in known and name in found:
            deviations += _compare_steps(found[name], known[name])
            continue
        expectation, outcome = ("done", "missing") if name in known else ("none", "additional")
        deviations.append(_deviation(name, "step", name, expectation, outcome))
    return tuple(deviations)


def _deviation(step: str, kind: Any, what: str, expected: str, found: str) -> Deviation:
    return Deviation(step=step, kind=kind, what=what, expected=expected[:300], found=found[:300])


def _compare_steps(found: RecordedStep, known: RecordedStep) -> Iterator[Deviation]:
    name = found.name
    if found.result != known.result:
        outcome = f"{found.result}: {found.problem}" if found.problem else found.result
        yield _deviation(name, "step", name, known.result, outcome)
    requests = _by_request(found.exchanges)
    expectations = _by_request(known.exchanges)
    for request in dict.fromkeys((*expectations, *requests)):
        here, there = requests.get(request, []), expectations.get(request, [])
        if here and there:
            yield from _compare_answers(name, request, here, there)
        else:
            shown = ("made", "not made") if there else ("not made", "made")
            yield _deviation(name, "request", request, *shown)
    states = [each for each in known.states if each in found.states or each not in _PASSING]
    if list(found.states) != states:
        order = " → ".join(known.states), " → ".join(found.states)
        yield _deviation(name, "states", name, *order)
    if found.seconds > max(_TIMES * known.seconds, known.seconds + _SECONDS):
        yield _deviation(name, "timing", name, f"{known.seconds:.0f} s", f"{found.seconds:.0f} s")


def _by_request(exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        token = " without a token" if exchange.anonymous and "/api/" in exchange.path else ""
        form = f"?{'&'.join(sorted(exchange.query))}" if exchange.query else ""
        key = f"{exchange.method} {exchange.path}{form}{token}"
        found.setdefault(key, []).append(exchange)
    return found


def _compare_answers(
    step: str, request: str, found: list[Exchange], known: list[Exchange]
) -> Iterator[Deviation]:
    """Compare all answers to a request in a step: how often it was polled is up to chance."""
    outcomes, expected = _outcomes(found), _outcomes(known)
    # Polled while it restarts; what it said is compared as states.
    is_poll = all(each.path == "/StatusPing" for each in found)
    if outcomes.keys() != expected.keys() and not is_poll:
        shown = ", ".join(sorted(expected)), ", ".join(sorted(outcomes))
        yield _deviation(step, "status", request, *shown)
    for outcome in sorted(outcomes.keys() & expected.keys()):
        here, there = outcomes[outcome], expected[outcome]
        kinds = _content_types(there), _content_types(here)
        if kinds[0] != kinds[1]:
            yield _deviation(step, "type", f"{request} {outcome}: Content-Type", *kinds)
        bodies = merged(each.body for each in here), merged(each.body for each in there)
        yield from _compare_shapes(step, f"{request} {outcome}", *bodies)


def _outcomes(exchanges: Iterable[Exchange]) -> dict[str, list[Exchange]]:
    found: dict[str, list[Exchange]] = {}
    for exchange in exchanges:
        found.setdefault(str(exchange.status or exchange.failure), []).append(exchange)
    return found


def _content_types(exchanges: Iterable[Exchange]) -> str:
    return ", ".join(sorted({each.type for each in exchanges})) or "none"


def _compare_shapes(step: str, what: str, found: Any, known: Any) -> Iterator[Deviation]:
    """Compare fields and types; a null says nothing about the type of a field."""
    here, there = kind_of(found), kind_of(known)
    if here != there:
        if not {here, there} & {_NULL, MIXED}:
            yield _deviation(step, "type", what, there, here)
        return
    if isinstance(found, Mapping) and isinstance(known, Mapping):
        for name in dict.fromkeys((*known, *found)):
            if name not in found:
                yield _deviation(step, "missing", f"{what}: {name}", kind_of(known[name]), "none")
            elif name not in known:
                yield _deviation(step, "added", f"{what}: {name}", "none", kind_of(found[name]))
            else:
                inside = f"{what}: {name}" if ": " not in what else f"{what}.{name}"
                yield from _compare_shapes(step, inside, found[name], known[name])
    elif isinstance(found, list) and isinstance(known, list) and found and known:
        yield from _compare_shapes(step, f"{what}[]", merged(found), merged(known))
    elif here == there == "<string>" and _is_mark(found, known) and found != known:
        yield _deviation(step, "type", what, known, found)


def _is_mark(*values: object) -> bool:
    """Return whether any of them is ``<empty>``, ``<page>`` or ``<text>`` instead of a document."""
    return any(value in ("<empty>", "<page>", "<text>") for value in values)
