"""The history of deployments in every kind of store: what runs that write it at once add is there.

Readers take the index as it is, except in a folder, which is listed.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from ign_deploy.deployment.history import INDEXES, History
from ign_deploy.deployment.records import DeploymentRecord, Outcome, timestamp
from ign_deploy.report import SilentReporter
from tests.contract.opened import Opened
from tests.support.http_steps import count_requests
from tests.support.records import Ledger, record

ENVIRONMENT = "production"
BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def history_of(store: Opened) -> History:
    """Open it as another run would."""
    return History(store.open().maintenance.ledger, reporter=SilentReporter())


def begin(history: History, number: int, *, gateway: str, previous: str = "") -> DeploymentRecord:
    started = record(
        f"1.{number}.0",
        previous=previous,
        gateway=gateway,
        id=f"{number:012x}",
        environment=ENVIRONMENT,
        started_at=timestamp(BEGIN + timedelta(minutes=number)),
    )
    history.append(started)
    return started


def end(history: History, started: DeploymentRecord) -> None:
    ended = Ledger().ended(started, Outcome.DEPLOYED)
    history.append(ended)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index keeps few deployments in full."""
    monkeypatch.setattr("ign_deploy.deployment.environment_index.RECENT", 4)
    monkeypatch.setattr("ign_deploy.deployment.environment_index._SLACK", 2)


def test_deployments_at_once_are_all_in_the_index(store: Opened) -> None:
    problems: list[BaseException] = []
    gate = threading.Barrier(3)

    def run(writer: int) -> None:
        try:
            history = history_of(store)
            gate.wait()
            previous = ""
            for number in range(3):
                here = 10 * number + writer
                started = begin(
                    history, here, gateway=f"https://plant-{writer}:8043", previous=previous
                )
                end(history, started)
                previous = f"1.{here}.0"
        except BaseException as problem:  # noqa: BLE001 - handed to the test's own thread
            problems.append(problem)

    writers = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert problems == []
    history = history_of(store)
    found = history.latest(ENVIRONMENT, limit=50)
    assert sorted(each.started.id for each in found) == sorted(
        f"{10 * number + writer:012x}" for number in range(3) for writer in range(3)
    )
    assert all(each.ended is not None for each in found)
    deployed = history.deployed(ENVIRONMENT)
    assert {(each.gateway, each.version, each.previous) for each in deployed} == {
        (f"https://plant-{writer}:8043", f"1.2{writer}.0", f"1.1{writer}.0") for writer in range(3)
    }
    assert not any(each.uncertain for each in deployed)
    stored = store.open().maintenance.ledger.read(f"{INDEXES}/{ENVIRONMENT}.json")
    assert stored is not None
    assert [each.started.id for each in found if each.started.id.encode() not in stored.data] == []


@pytest.mark.usefixtures("few")
def test_reading_costs_few_requests_and_a_killed_run_s_end_is_found(http_store: Opened) -> None:
    history = history_of(http_store)
    costs = []
    for count in (0, 12):
        for number in range(count, count + 3 if not count else 2 * count):
            previous = f"1.{number - 1}.0" if number not in (0, 12) else ""
            end(history, begin(history, number, gateway="https://plant:8043", previous=previous))
        reader = history_of(http_store)
        with count_requests() as steps:
            reader.deployed(ENVIRONMENT)
        costs.append(steps.count)
        with count_requests() as steps:
            assert len(reader.latest(ENVIRONMENT, limit=3)) == 3
        costs.append(steps.count)
    assert max(costs) <= 6
    assert costs[:2] == costs[2:]

    started = begin(history, 99, gateway="https://plant:8043", previous="1.23.0")
    ledger = http_store.open().maintenance.ledger
    ended = Ledger().ended(started, Outcome.DEPLOYED)
    ledger.add(f"ledger/deployments/{ENVIRONMENT}/{ended.file_name}", ended.to_json())
    (found,) = history_of(http_store).deployed(ENVIRONMENT)
    assert (found.version, found.uncertain) == ("1.99.0", False)
