"""Leases on gateways in every kind of store: of several deployers one has them at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ign_deploy.report import SilentReporter
from ign_deploy.repositories.leases import Holder, LeaseHeld, LeaseStore
from ign_deploy.repositories.renewal import DURATION
from ign_deploy.repositories.repository import StoreRepository
from tests.contract.kinds import Kind
from tests.contract.opened import QUICK, Opened
from tests.support.http_steps import count_requests

PLANT, OTHER = "https://plant:8043", "https://other:8043"


def leases_of(store: Opened, *, later: float = 0.0) -> LeaseStore:
    """Open them as another run would, or when the store's clock has gone on for some seconds."""
    repository = store.open()
    assert isinstance(repository, StoreRepository)
    now = repository.store.now

    def at() -> datetime:
        return now() + timedelta(seconds=later)

    return LeaseStore(replace(repository.store, now=at), QUICK, SilentReporter())


@dataclass
class Race:
    """Deployers that begin at once."""

    numbers: list[int] = field(default_factory=list)
    held: list[LeaseHeld] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    def run(self, count: int, deploy: Callable[[int], int]) -> None:
        gate = threading.Barrier(count)

        def start(number: int) -> None:
            try:
                gate.wait()
                self.numbers.append(deploy(number))
            except LeaseHeld as problem:
                self.held.append(problem)
            except BaseException as problem:  # noqa: BLE001 - handed to the test's own thread
                self.problems.append(problem)

        threads = [threading.Thread(target=start, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.problems == []


@pytest.mark.parametrize("count", [2, 8])
def test_of_deployers_at_once_one_has_the_gateway(store: Opened, count: int) -> None:
    race = Race()
    opened = [leases_of(store) for _ in range(count)]

    def deploy(number: int) -> int:
        opened[number].take([PLANT], Holder(token=f"run-{number}"))
        return number

    race.run(count, deploy)
    (winner,) = race.numbers
    assert [each.lease.holder.token for each in race.held] == [f"run-{winner}"] * (count - 1)
    # Given back, the next one has it at once, with a higher number.
    opened[winner].release(Holder(token=f"run-{winner}"))
    assert leases_of(store).take([PLANT], Holder(token="next")) > race.held[0].lease.number


def test_deployers_to_different_gateways_don_t_keep_each_other(store: Opened) -> None:
    race = Race()
    opened = [leases_of(store) for _ in range(3)]
    race.run(
        3, lambda number: opened[number].take([f"{PLANT}/{number}"], Holder(token=f"run-{number}"))
    )
    assert len(set(race.numbers)) == 3


def _take_and_hang(store: Opened, taken: Any) -> None:
    leases_of(store).take([PLANT, OTHER], Holder(token="killed", actor="anna"))
    taken.set()
    signal.pause()


def test_a_killed_deployer_s_lease_is_taken_over_when_it_is_over(store: Opened) -> None:
    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Event()
    process = spawn.Process(target=_take_and_hang, args=(store, taken))
    process.start()
    try:
        assert taken.wait(60)
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    leases = leases_of(store)
    with pytest.raises(LeaseHeld) as held:
        leases.take([PLANT], Holder(token="second"))
    assert held.value.lease.holder.actor == "anna"
    assert 0 < held.value.remaining <= DURATION + 2
    with pytest.raises(LeaseHeld):
        leases_of(store, later=DURATION - 60).take([PLANT], Holder(token="second"))
    number = leases_of(store, later=DURATION + 1).take([PLANT], Holder(token="second"))
    assert number > held.value.lease.number
    # What was killed, if it was only suspended, doesn't get it back.
    killed = leases_of(store, later=DURATION + 2)
    with pytest.raises(LeaseHeld):
        killed.renew([PLANT, OTHER], Holder(token="killed"), held.value.lease.number)


def test_a_renewed_lease_goes_on(store: Opened) -> None:
    leases = leases_of(store)
    holder = Holder(token="first")
    number = leases.take([PLANT], holder)
    leases_of(store, later=DURATION - 10).renew([PLANT], holder, number)
    with pytest.raises(LeaseHeld):
        leases_of(store, later=DURATION + 10).take([PLANT], Holder(token="second"))


# Where a document is a file and a listing, or a blob and a manifest.
REQUESTS = {"gitlab": 9, "oci": 9, "nexus+http": 7}


def test_a_lease_costs_few_requests(http_kind: Kind, http_store: Opened) -> None:
    repository = http_store.open()
    assert isinstance(repository, StoreRepository)
    usual = 3 if repository.store.compares() else 5  # here it looks afterwards whose it is
    leases = repository.maintenance.leases
    leases.take([OTHER], Holder(token="before"))
    with count_requests() as steps:
        leases.take([PLANT], Holder(token="ours"))
        leases.release(Holder(token="ours"))
    assert steps.count <= REQUESTS.get(http_kind.schemes[0], usual)
