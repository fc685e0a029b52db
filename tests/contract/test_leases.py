"""Leases on gateways in every kind of store: of several deployers one has them at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ign_deploy.report import SilentReporter
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.leases import Holder, LeaseHeld, LeaseStore
from ign_deploy.repositories.renewal import DURATION
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import Store
from tests.contract.kinds import Kind
from tests.contract.opened import Opened
from tests.support.http_steps import count_requests

PLANT, OTHER = "https://plant:8043", "https://other:8043"


# What takes long is the machine's load, not a slow store; there is no one to wait for.
ALONE = WaitPolicy(sleep=lambda _: None, clock=lambda: 0.0)


def leases_of(store: Opened, *, later: float = 0.0, at: datetime | None = None) -> LeaseStore:
    """Open them as another run would, or at another time of the store's clock."""
    found = composed(store)

    def now() -> datetime:
        return at or found.now() + timedelta(seconds=later)

    return LeaseStore(replace(found, now=now), ALONE, SilentReporter())


def composed(store: Opened) -> Store:
    repository = store.open()
    assert isinstance(repository, StoreRepository)
    return repository.store


class SharedTime:
    """A clock that goes on only when all racers sleep or have ended, however slow the machine."""

    def __init__(self, racers: int) -> None:
        self._changed = threading.Condition()
        self._awake = racers
        self._sleeping: list[float] = []
        self._now = 0.0

    def clock(self) -> float:
        return self._now

    def now(self) -> datetime:
        return datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=self._now)

    def sleep(self, seconds: float) -> None:
        with self._changed:
            until = self._now + seconds
            self._sleeping.append(until)
            self._rest()
            self._changed.wait_for(lambda: self._now >= until)

    def end(self) -> None:
        with self._changed:
            self._rest()

    def _rest(self) -> None:
        self._awake -= 1
        if not self._awake and self._sleeping:
            self._now = min(self._sleeping)
            self._awake = sum(each <= self._now for each in self._sleeping)
            self._sleeping = [each for each in self._sleeping if each > self._now]
            self._changed.notify_all()

    def leases(self, store: Opened) -> LeaseStore:
        policy = WaitPolicy(sleep=self.sleep, clock=self.clock)
        return LeaseStore(replace(composed(store), now=self.now), policy, SilentReporter())


@dataclass
class Race:
    """Deployers that begin at once; ``taken`` are the numbers of leases, by deployer."""

    taken: dict[int, int] = field(default_factory=dict)
    held: list[LeaseHeld] = field(default_factory=list)
    problems: list[BaseException] = field(default_factory=list)

    def run(self, store: Opened, gateways: Sequence[str]) -> None:
        time = SharedTime(len(gateways))
        gate = threading.Barrier(len(gateways))

        def start(number: int) -> None:
            try:
                leases = time.leases(store)
                gate.wait()
                holder = Holder(token=f"run-{number}")
                self.taken[number] = leases.take([gateways[number]], holder)
            except LeaseHeld as problem:
                self.held.append(problem)
            except BaseException as problem:  # noqa: BLE001 - handed to the test's own thread
                self.problems.append(problem)
            finally:
                time.end()

        threads = [threading.Thread(target=start, args=(each,)) for each in range(len(gateways))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.problems == []


@pytest.mark.parametrize("count", [2, 8])
def test_of_deployers_at_once_one_has_the_gateway(store: Opened, count: int) -> None:
    race = Race()
    race.run(store, [PLANT] * count)
    ((winner, number),) = race.taken.items()
    assert [each.lease.holder.token for each in race.held] == [f"run-{winner}"] * (count - 1)
    # Given back, the next one has it at once, with a higher number.
    leases_of(store).release(Holder(token=f"run-{winner}"))
    assert leases_of(store).take([PLANT], Holder(token="next")) > number


def test_deployers_to_different_gateways_don_t_keep_each_other(store: Opened) -> None:
    race = Race()
    race.run(store, [f"{PLANT}/{number}" for number in range(3)])
    assert len(set(race.taken.values())) == 3


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
        assert taken.wait(300)
    finally:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    leases = leases_of(store)
    with pytest.raises(LeaseHeld) as held:
        leases.take([PLANT], Holder(token="second"))
    assert held.value.lease.holder.actor == "anna"
    assert 0 < held.value.remaining <= DURATION + 2
    end = held.value.lease.renewed_at + timedelta(seconds=DURATION)
    with pytest.raises(LeaseHeld):
        leases_of(store, at=end - timedelta(seconds=1)).take([PLANT], Holder(token="second"))
    number = leases_of(store, at=end).take([PLANT], Holder(token="second"))
    assert number > held.value.lease.number
    # What was killed, if it was only suspended, doesn't get it back.
    killed = leases_of(store, at=end + timedelta(seconds=1))
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
    found = composed(http_store)
    usual = 3 if found.compares() else 5  # here it looks afterwards whose it is
    leases = LeaseStore(found, ALONE, SilentReporter())
    leases.take([OTHER], Holder(token="before"))
    with count_requests() as steps:
        leases.take([PLANT], Holder(token="ours"))
        leases.release(Holder(token="ours"))
    assert steps.count <= REQUESTS.get(http_kind.schemes[0], usual)
