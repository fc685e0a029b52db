"""A report compared with what is expected: each kind of difference is named, nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from ign_deploy.deployment.conformance.comparison import find_deviations
from ign_deploy.deployment.conformance.report import ConformanceReport, Exchange, RecordedStep

BODY = {"items": [{"id": "<string>", "state": "ACTIVE", "fault": None}], "total": "<number>"}
EXCHANGE = Exchange(
    method="GET", path="/data/api/v1/modules/healthy", status=200, type="application/json",
    body=BODY,
)  # fmt: skip
STEP = RecordedStep(
    name="install", result="done", seconds=15, states=("gateway: RUNNING",), exchanges=(EXCHANGE,)
)
EXPECTED = ConformanceReport(steps=(STEP,))


def deviations(**changes: Any) -> list[tuple[str, str, str, str]]:
    """Return what differs if the exchange or, for names of a step's fields, the step does."""
    inside = {name: changes.pop(name) for name in list(changes) if name in Exchange.model_fields}
    exchange = EXCHANGE.model_copy(update=inside)
    step = STEP.model_copy(update={"exchanges": (exchange,), **changes})
    found = find_deviations(ConformanceReport(steps=(step,)), expected=EXPECTED)
    return [(each.kind, each.what, each.expected, each.found) for each in found]


REQUEST = "GET /data/api/v1/modules/healthy"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"times": 40, "milliseconds": 900},
        {"seconds": 60},
        {"body": {**BODY, "total": None}},
        {"body": {"items": [], "total": "<number>"}},
        {"body": {**BODY, "items": [{"id": "x", "state": "FAULTED", "fault": {"a": 1}}]}},
        {"exchanges": (EXCHANGE, EXCHANGE.model_copy(update={"milliseconds": 7}))},
    ],
)  # fmt: skip
def test_what_is_up_to_chance_is_no_difference(changes: dict[str, Any]) -> None:
    assert deviations(**changes) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"status": 403}, ("status", REQUEST, "200", "403")),
        ({"status": 0, "failure": "closed"}, ("status", REQUEST, "200", "closed")),
        ({"type": "text/html"},
         ("type", f"{REQUEST} 200: Content-Type", "application/json", "text/html")),
        ({"body": "<page>"}, ("type", f"{REQUEST} 200", "<object>", "<string>")),
        ({"body": {"items": BODY["items"]}},
         ("missing", f"{REQUEST} 200: total", "<number>", "none")),
        ({"body": {**BODY, "more": True}}, ("added", f"{REQUEST} 200: more", "none", "<boolean>")),
        ({"body": {**BODY, "items": [{"id": "<string>", "state": "<number>", "fault": None}]}},
         ("type", f"{REQUEST} 200: items[].state", "<string>", "<number>")),
        ({"anonymous": True},
         ("request", REQUEST, "made", "not made")),
        ({"path": "/data/api/v1/modules"}, ("request", REQUEST, "made", "not made")),
        ({"states": ("gateway: down", "gateway: RUNNING")},
         ("states", "install", "gateway: RUNNING", "gateway: down → gateway: RUNNING")),
        ({"seconds": 200}, ("timing", "install", "15 s", "200 s")),
        ({"result": "failed", "problem": "no"}, ("step", "install", "done", "failed: no")),
        ({"name": "upgrade"}, ("step", "install", "done", "missing")),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_named(
    changes: dict[str, Any], found: tuple[str, str, str, str]
) -> None:
    assert deviations(**changes)[0] == found


def test_only_new_fields_do_not_count() -> None:
    step = STEP.model_copy(
        update={"exchanges": (EXCHANGE.model_copy(update={"body": {**BODY, "more": 1}}),)}
    )
    (found,) = find_deviations(ConformanceReport(steps=(step,)), expected=EXPECTED)
    assert not found.counts
    (lost,) = find_deviations(EXPECTED, expected=ConformanceReport(steps=(step,)))
    assert lost.counts


def restarting(*states: str, failure: str = "closed") -> ConformanceReport:
    """Return a report of a gateway that was polled during a restart."""
    poll = Exchange(method="GET", path="/StatusPing", anonymous=True, failure=failure)
    up = poll.model_copy(update={"failure": "", "status": 200, "body": {"state": "RUNNING"}})
    polls = (poll, up) if "gateway: down" in states else (up,)
    return ConformanceReport(
        steps=(RecordedStep(name="install", result="done", states=states, exchanges=polls),)
    )


def test_a_phase_of_a_restart_that_no_poll_saw_is_no_difference() -> None:
    phases = ("gateway: down", "gateway: STARTING", "gateway: RUNNING")
    for seen in (phases[2:], phases[1:], (phases[0], phases[2])):
        assert find_deviations(restarting(*seen), expected=restarting(*phases)) == ()


@pytest.mark.parametrize(
    "states",
    [
        ("gateway: STARTING", "gateway: down", "gateway: RUNNING"),
        ("gateway: down", "gateway: STARTING"),
        ("gateway: down", "gateway: FAULTED", "gateway: RUNNING"),
    ],
)
def test_another_order_or_a_missing_end_of_a_restart_is_a_difference(
    states: tuple[str, ...],
) -> None:
    phases = ("gateway: down", "gateway: STARTING", "gateway: RUNNING")
    (found,) = find_deviations(restarting(*states), expected=restarting(*phases))
    assert found.kind == "states"
