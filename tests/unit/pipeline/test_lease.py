"""A lease that is renewed, lost, and not counted on near its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from ign_deploy.errors import DeploymentError, IgnDeployError, RepositoryError
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.lease import GatewayLease, lease_gateways
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.leases import LEASES, Holder, Lease, LeaseHeld, LeaseStore, _Leases
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
    afterwards: Callable[[], None] | None = None
    short_asleep: Callable[[], None] | None = None

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
        afterwards, self.afterwards = self.afterwards, None
        if afterwards is not None:
            afterwards()
        return True

    def sleep(self, seconds: float) -> None:
        for _ in range(int(seconds // INTERVAL)):
            self.seconds += INTERVAL
            if self.asleep is not None:
                self.asleep()
        self.seconds += seconds % INTERVAL
        if self.short_asleep is not None and seconds < INTERVAL:
            self.short_asleep()

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
        lease = GatewayLease(
            self.store(), PLANT, Holder(token=token, actor="ben", environment="production")
        )
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


def test_a_release_finds_the_lease_also_when_another_thread_was_slower() -> None:
    world = World()
    leases = world.store()
    leases.take(["https://other:8043"], Holder(token="thread"))
    late = leases._written
    leases.take(PLANT, Holder(token="ours"))
    leases._written = late
    leases.release(Holder(token="ours"))
    world.store().take(PLANT, Holder(token="next"))


@pytest.mark.parametrize("compares", [True, False])
def test_a_lease_that_another_run_has_had_since_is_not_renewed(*, compares: bool) -> None:
    world = World(compares=compares)
    lease = world.taken()
    world.seconds += DURATION
    world.taken("other")
    world.seconds += DURATION
    with pytest.raises(RepositoryError, match="another run has had it since"):
        world.store().renew(PLANT, lease.holder, lease.number)


@dataclass
class Asked(threading.Event):
    """Ends a renewal's thread after so many waits, in no time."""

    times: int
    waits: list[float | None] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) > self.times:
            self.done.set()
            return True
        return False


def test_a_lease_is_renewed_while_the_run_works() -> None:
    world = World()
    lease = world.taken()
    asked = lease.renewal._ended = Asked(times=3)
    before = len(world.requests)
    with lease.renewal.kept():
        assert asked.done.wait(60)
    assert asked.waits == [INTERVAL] * 4
    assert world.requests[before:] == ["read", "write"] * 3
    assert asked.is_set()


def context_of(world: World, *, wait_for_lock: int = 0) -> RunContext:
    provenance = SimpleNamespace(actor="anna", run_url="https://ci.example/7")
    context = SimpleNamespace(
        repository=SimpleNamespace(maintenance=SimpleNamespace(leases=world.store())),
        published=SimpleNamespace(provenance=provenance),
        settings=SimpleNamespace(
            wait_for_lock=wait_for_lock,
            gateways=[SimpleNamespace(name="line-1", url="https://plant:8043/")],
        ),
        now=datetime(2026, 1, 31, 12, 3, tzinfo=UTC),
        reporter=world.reporter,
        redact=str,
    )
    return cast("RunContext", context)


@pytest.mark.parametrize("error", [ValueError, IgnDeployError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_a_deployment_gives_the_gateways_back(error: type[BaseException]) -> None:
    world = World()

    def deploy() -> None:
        with lease_gateways(PLANT, "production", context_of(world)):
            with pytest.raises(LeaseHeld) as held:
                world.taken("other")
            assert held.value.lease.holder.run_url == "https://ci.example/7"
            raise error("something happened")

    with pytest.raises(error):
        deploy()
    world.taken("other").require()


def test_a_lease_is_renewed_from_its_taking_to_the_deployment_s_end() -> None:
    with lease_gateways(PLANT, "production", context_of(World())) as lease:
        assert not lease.renewal._ended.is_set()
    assert lease.renewal._ended.is_set()


@pytest.mark.parametrize("error", [RepositoryError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("compares", [True, False])
def test_what_ends_the_taking_gives_back_what_the_store_has_already(
    error: type[BaseException], *, compares: bool
) -> None:
    world = World(compares=compares)

    def fail() -> None:
        assert len(world.documents) == 1
        raise error("something happened")

    world.afterwards = fail
    with pytest.raises(error), lease_gateways(PLANT, "production", context_of(world)):
        raise AssertionError
    world.taken("other").require()


def test_a_run_waits_as_long_as_it_should_for_the_lease_of_another_one() -> None:
    world = World()
    world.taken("other")
    begin = world.seconds
    context = context_of(world, wait_for_lock=12)
    with (
        pytest.raises(DeploymentError) as problem,
        lease_gateways(PLANT, "production", context),
    ):
        raise AssertionError
    assert world.seconds - begin == 12
    assert problem.value.message == (
        "ben started to deploy production to line-1 3 min ago and has not ended (lease 1) after "
        "waiting 12 s; nothing was changed"
    )
    assert "if it was killed, its lease ends in 138 s" in problem.value.hint
    (info,) = world.reporter.infos
    assert info.endswith("(lease 1); waiting up to 12 s for it")


def test_a_run_that_waits_gets_a_killed_one_s_lease_when_it_is_over() -> None:
    world = World()
    world.taken("other")
    with lease_gateways(PLANT, "production", context_of(world, wait_for_lock=600)) as lease:
        lease.require()
        assert lease.number == 2
        assert DURATION <= world.seconds <= DURATION + 5


def leases_of(token: str) -> _Leases:
    holder = Holder(token=token)
    lease = Lease(name=PLANT[0], number=1, holder=holder, since=BEGIN, renewed_at=BEGIN)
    return _Leases(last_number=1, leases=(lease,))


def test_of_several_losers_each_names_the_run_that_has_it_in_the_end() -> None:
    """In a store that doesn't compare, the last one to write has it."""
    world = World(compares=False)
    world.store()._write(leases_of("first"), None)

    def another_one_writes_last() -> None:
        world.documents[LEASES] = leases_of("last").model_dump_json().encode()

    world.short_asleep = another_one_writes_last
    with pytest.raises(LeaseHeld) as held:
        world.taken("ours")
    assert held.value.lease.holder.token == "last"
