"""The timeline of deployments, on any terminal and in any zone, whatever texts the records have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import pytest

from ign_deploy.cli.formatting import shown_time
from ign_deploy.cli.session import Session
from ign_deploy.cli.timeline import deployment_lines, timeline
from ign_deploy.deployment.records import DeploymentRecord, GatewayRecord, Outcome, Phase
from ign_deploy.deployment.state import Deployment
from tests.support.records import record

EVIL = "\x1b[2K\n::error::evil\u202e"


@dataclass
class Reader:
    """What the timeline has to know of the session."""

    width: int = 0
    is_local: bool = False
    now: datetime = datetime(2026, 1, 31, 15, tzinfo=UTC)

    def shown_time(self, text: str) -> str:
        return shown_time(text, is_local=self.is_local)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def ended(
    outcome: Outcome, *, begin: str = "2026-01-31T12:00:00.000000Z", message: str = ""
) -> Deployment:
    started = record("1.1.0", previous="1.0.0", actor="anna").model_copy(
        update={"started_at": begin}
    )
    gateways = tuple(
        each.model_copy(update={"name": "line-1", "message": message}) for each in started.gateways
    )
    last = started.model_copy(
        update={
            "phase": Phase.ENDED,
            "outcome": outcome,
            "ended_at": begin.replace(":00.", ":12."),
            "gateways": gateways,
        }
    )
    return Deployment(started, last)


def shown(*deployments: Deployment, **reader: object) -> list[str]:
    return timeline(deployments, cast("Session", Reader(**reader)))  # type: ignore[arg-type]


def test_each_day_has_its_deployments_with_how_they_ended() -> None:
    failed = ended(Outcome.ROLLED_BACK, message="line-1: no database")
    before = ended(Outcome.DEPLOYED, begin="2026-01-30T23:30:00.000000Z")
    lines = shown(Deployment(failed.started), failed, before)
    name = failed.started.id
    assert lines == [
        "2026-01-31 UTC",
        "  12:00  ? unfinished  production  com.example.pump 1.0.0 → 1.1.0",
        f"           deployment {name}, https://plant-1:8043, by anna",
        "  12:00  ✗ rolled-back  production  com.example.pump 1.0.0 → 1.1.0",
        f"           deployment {name}, line-1, by anna",
        "           line-1: no database",
        "2026-01-30 UTC",
        "  23:30  ✓ deployed  production  com.example.pump 1.0.0 → 1.1.0",
        f"           deployment {name}, line-1, by anna",
    ]


def test_people_have_their_own_day_and_zone(in_berlin: None) -> None:
    before = ended(Outcome.DEPLOYED, begin="2026-01-30T23:30:00.000000Z")
    lines = shown(ended(Outcome.DEPLOYED), before, is_local=True)
    assert [lines[0], lines[1][:7], lines[3][:7]] == ["2026-01-31 CET", "  13:00", "  00:30"]
    summer = ended(Outcome.DEPLOYED, begin="2026-07-01T12:00:00.000000Z")
    assert shown(summer, is_local=True)[:2][0] == "2026-07-01 CEST"


def test_a_time_has_its_zone_and_a_wrong_one_stays() -> None:
    assert shown_time("2026-01-31T12:00:59.000000Z", is_local=False) == "2026-01-31 12:00 UTC"
    assert shown_time("9999-99-99T12:00:00.000000Z", is_local=False) == "9999-99-99T12:00"


@pytest.mark.parametrize("width", [40, 80])
def test_it_fits_on_a_narrow_terminal(width: int) -> None:
    failed = ended(Outcome.ROLLED_BACK, message="line-1: " + "the database is not there " * 5)
    assert max(map(len, shown(failed, width=width))) <= width
    assert max(map(len, deployment_lines(failed, cast("Session", Reader(width))))) <= width


def hostile() -> DeploymentRecord:
    """Return a record that has such a text in every field that may have one."""
    module = record("1.0.0").gateways[0].modules[0]
    evil = module.model_copy(update={"id": EVIL, "version": EVIL, "previous": EVIL})
    gateway = GatewayRecord(gateway=EVIL, name=EVIL, message=EVIL, modules=(evil,))
    texts = dict.fromkeys(("actor", "commit", "run_url", "notes", "source"), EVIL)
    return record("1.0.0").model_copy(update={**texts, "gateways": (gateway,), "tags": (EVIL,)})


@pytest.mark.parametrize("width", [0, 40])
def test_no_text_of_a_record_reaches_the_terminal_as_it_is(width: int) -> None:
    reader = cast("Session", Reader(width))
    deployment = Deployment(hostile())
    for line in (*timeline([deployment], reader), *deployment_lines(deployment, reader)):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")


def test_one_deployment_has_everything() -> None:
    one = ended(Outcome.DEPLOYED)
    assert one.ended
    full = one.ended.model_copy(
        update={"notes": "after the audit", "tags": ("a", "b"), "run_url": "https://ci.example/7"}
    )
    lines = deployment_lines(Deployment(one.started, full), cast("Session", Reader()))
    assert lines[-7:] == [
        "  kind     deployment",
        "  started  2026-01-31 12:00 UTC (3 h ago)",
        "  ended    2026-01-31 12:00 UTC, after 12 s",
        "  by       anna",
        "  run      https://ci.example/7",
        "  tags     a, b",
        "  notes    after the audit",
    ]


def test_one_that_did_not_end_says_so() -> None:
    lines = deployment_lines(Deployment(record("1.0.0")), cast("Session", Reader()))
    assert (
        "  ended    not yet: it is still running, or was killed; see `ign-deploy status`" in lines
    )
