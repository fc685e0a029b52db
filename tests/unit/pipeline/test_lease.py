"""A lease that is renewed, lost, and not counted on near its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from ign_deploy.errors import DeploymentError, RepositoryError
from ign_deploy.pipeline.lease import GatewayLease
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.leases import LEASES, Holder, LeaseHeld, LeaseStore
from ign_deploy.repositories.renewal import DURATION, INTERVAL
from ign_deploy.repositories.store import Document, Store
from tests.support.reporting import Recorder

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLANT = ["https://plant:8043"]


@dataclass
class World:
    """A store with documents in memory, and a clock that the test moves; ``fails``: it's down."""

    seconds: float = 0.0
    compares: bool = True
    fails: bool = False
    documents: dict[str, bytes] = field(default_factory=dict)
    between: Callable[[], None] | None = None
    asleep: Callable[[], object] | None = None
    reporter: Recorder = field(default_factory=Recorder)
    requests: list[str] = field(default_factory=list)

    def read(self, path: str) -> Document | None:
        self.requests.append("read")
        if self.fails:
            raise RepositoryError("the store is down", hint="wait.")
        data = self.documents.get(path)
        return None if data is None else Document(data)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        between, self.between = self.between, None
        if between is not None:
            between()
        self.requests.append("write")
        there = self.documents.get(path)
        if self.compares and there != (None if replaces is None else replaces.data):
            return False
        self.documents[path] = data
        return True

    def sleep(self, seconds: float) -> None:
        for _ in range(int(seconds // INTERVAL)):
            self.seconds += INTERVAL
            if self.asleep is not None:
                self.asleep()
        self.seconds += seconds % INTERVAL

    def store(self) -> LeaseStore:
        store = SimpleNamespace(
            documents=self,
            now=lambda: BEGIN + timedelta(seconds=self.seconds),
            compares=lambda: self.compares,
            address="https://store.example",
        )
        policy = WaitPolicy(sleep=self.sleep, clock=lambda: self.seconds)
        return LeaseStore(cast("Store", store), policy, self.reporter)

    def taken(self, token: str = "ours") -> GatewayLease:
        lease = GatewayLease(self.store(), PLANT, Holder(token=token, actor="ben"))
        lease.renewal.clock = lambda: self.seconds
        lease.take()
        return lease


def test_a_lease_that_is_renewed_holds() -> None:
    world = World()
    lease = world.taken()
    for _ in range(10):
        world.seconds += 40
        lease.renewal.renew()
        lease.require()
    with pytest.raises(LeaseHeld):
        world.store().take(PLANT, Holder(token="other"))


def test_nothing_is_begun_near_the_end_of_a_lease_that_isn_t_renewed() -> None:
    world = World()
    lease = world.taken()
    world.fails = True
    world.seconds += 60
    lease.renewal.renew()
    lease.require()
    world.seconds += DURATION - 60 - 29
    lease.renewal.renew()
    with pytest.raises(DeploymentError, match=r"renewed in time: the store is down\)"):
        lease.require()


def test_a_run_that_finds_another_one_s_lease_has_lost_its_own() -> None:
    world = World()
    lease = world.taken()
    del world.documents[LEASES]
    world.taken("other")
    lease.renewal.renew()
    with pytest.raises(DeploymentError, match=r"lost its lease on the gateways \(ben has it now"):
        lease.require()
    # Nor does it come back when the other one has ended.
    world.store().release(Holder(token="other"))
    lease.renewal.renew()
    with pytest.raises(DeploymentError):
        lease.require()


def test_a_suspended_run_has_lost_its_lease_and_does_not_renew_it() -> None:
    world = World()
    lease = world.taken()
    world.seconds += DURATION + 1
    other = world.taken("other")
    assert other.number == lease.number + 1
    lease.renewal.renew()
    with pytest.raises(DeploymentError, match="could not be renewed in time"):
        lease.require()
    other.renewal.renew()
    other.require()


@pytest.mark.parametrize("compares", [True, False])
def test_a_run_that_writes_in_between_is_never_overlooked(*, compares: bool) -> None:
    world = World(compares=compares)
    leases: list[GatewayLease] = []
    world.between = lambda: leases.append(world.taken("other"))
    # Without comparing, the write took so long that the other one's was overwritten: it renews it.
    world.asleep = lambda: leases[0].renewal.renew()  # noqa: PLW0108 - there is none yet
    with pytest.raises(LeaseHeld) as held:
        world.taken()
    assert held.value.lease.holder.token == "other"
    leases[0].require()


def test_a_slow_run_has_the_gateway_when_the_other_one_is_dead() -> None:
    world = World(compares=False)
    leases: list[GatewayLease] = []
    world.between = lambda: leases.append(world.taken("other"))
    lease = world.taken()
    lease.require()
    leases[0].renewal.renew()
    with pytest.raises(DeploymentError):
        leases[0].require()


def test_a_lease_from_the_future_or_a_broken_document_doesn_t_hold_for_ever() -> None:
    world = World()
    world.taken()
    world.seconds -= 3600
    assert world.store().take(PLANT, Holder(token="other")) == 2
    world.documents[LEASES] = b"[]"
    with pytest.raises(RepositoryError, match="is not valid"):
        world.store().take(PLANT, Holder(token="third"))


def test_a_store_that_promises_nothing_is_warned_of_once() -> None:
    world = World(compares=False)
    leases = world.store()
    for number in range(2):
        leases.take([f"{PLANT}/{number}"], Holder(token=f"run-{number}"))
    (warning,) = world.reporter.warnings
    assert warning.startswith("https://store.example can't promise that only one of several runs")


def test_a_store_that_compares_is_not_warned_of_and_needs_three_requests() -> None:
    world = World()
    leases = world.store()
    leases.take(PLANT, Holder(token="ours"))
    leases.release(Holder(token="ours"))
    assert world.requests == ["read", "write", "write"]
    assert world.reporter.warnings == []


def test_what_another_run_wrote_in_between_survives_a_release() -> None:
    world = World()
    leases = world.store()
    leases.take(PLANT, Holder(token="ours"))
    other = world.store()
    other.take(["https://other:8043"], Holder(token="other"))
    leases.release(Holder(token="ours"))
    with pytest.raises(LeaseHeld):
        leases.take(["https://other:8043"], Holder(token="third"))
    leases.take(PLANT, Holder(token="third"))


def test_a_release_finds_the_lease_also_when_another_thread_wrote_before() -> None:
    world = World()
    leases = world.store()
    leases.take(PLANT, Holder(token="ours"))
    world.store().take(["https://other:8043"], Holder(token="other"))
    leases.release(Holder(token="unknown"))
    leases.release(Holder(token="ours"))
    world.store().take(PLANT, Holder(token="next"))
