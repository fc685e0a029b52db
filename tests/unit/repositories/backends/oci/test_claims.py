"""Claims where nothing can be written conditionally: late writers, wake-ups, and takeovers.

Time is counted, not waited for: a clock of the test advances where the test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import RepositoryError, VersionConflict
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.publishing import require_same
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.store import Key, Publishing, Store
from tests.support.releases import release_of
from tests.support.stores import claims_of, store_below
from tests.unit.repositories.backends.oci.oci_registry import Registry, oci_registry
from tests.unit.repositories.backends.oci.opening import oci_url

KEY = Key("com.acme.thing", "1.0.0")
NOW = datetime(2026, 1, 31, tzinfo=UTC)
WAIT = 1.0  # with the usual wait_policy


@dataclass
class Clock:
    """Seconds that pass by sleeping, or when ``at_sleep`` says so."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    at_sleep: list[Callable[[], object]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        if self.at_sleep:
            self.at_sleep.pop(0)()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    @property
    def wait_policy(self) -> WaitPolicy:
        return WaitPolicy(sleep=self.sleep, clock=lambda: self.now)


@pytest.fixture
def server() -> Iterator[Registry]:
    with oci_registry(Registry()) as running:
        yield running


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return release_of(tmp_path)[0]


@pytest.fixture
def other(tmp_path: Path) -> Release:
    return release_of(tmp_path, content=b"other")[0]


def store_of(server: Registry, clock: Clock) -> Store:
    access = Access(wait_policy=clock.wait_policy)
    return store_below(open_repository(oci_url(server.url), access=access))


def claim_of(release: Release, holder: str, *, generation: int = 0) -> Claim:
    return Claim(holder, generation, NOW, release)


def claim_late(
    store: Store, server: Registry, clock: Clock, claim: Claim, *, by: float = 5.0
) -> bool:
    """Claim, with so many seconds between looking and the answer to writing."""
    hooked = server.hook
    server.hook = lambda method, path: (
        clock.sleep(by) if method == "PUT" and "/manifests/_c." in path else None
    )
    try:
        return claims_of(store).claim(KEY, claim)
    finally:
        server.hook = hooked


def put_files(store: Store, release: Release, folder: Path, content: bytes) -> None:
    _, files = release_of(folder, content=content)
    claims_of(store).put_files(KEY, release, files=files, progress=lambda _: None)


def test_who_claims_first_holds_it_and_waits_before_believing_it(
    server: Registry, release: Release, other: Release
) -> None:
    clock = Clock()
    mine = claim_of(release, "me")
    assert claims_of(store_of(server, clock)).claim(KEY, mine)
    assert clock.slept == [WAIT]
    second = store_of(server, clock)
    assert not claims_of(second).claim(KEY, claim_of(other, "another"))
    assert clock.slept == [WAIT]
    assert claims_of(second).current_claim(KEY) == mine


def test_of_two_that_saw_nothing_the_last_one_holds_it(
    server: Registry, release: Release, other: Release
) -> None:
    clock = Clock()
    second = store_of(server, Clock())
    # Both looked before either wrote: the second writes while the first one waits.
    took: list[bool] = []
    tags = dict(server.tags)

    def intervene() -> None:
        seen, server.tags = server.tags, tags
        server.hook = lambda method, path: (
            server.tags.update(seen) if method == "PUT" and "/manifests/_c." in path else None
        )
        took.append(claims_of(second).claim(KEY, claim_of(other, "second")))

    clock.at_sleep.append(intervene)
    assert not claims_of(store_of(server, clock)).claim(KEY, claim_of(release, "first"))
    assert took == [True]


def test_a_claim_that_was_written_late_is_not_counted_on(
    server: Registry, release: Release
) -> None:
    clock = Clock()
    store = store_of(server, clock)
    mine = claim_of(release, "me")
    assert not claim_late(store, server, clock, mine)
    # It is there, but another may hold the version: as if it were another's.
    found = claims_of(store).current_claim(KEY)
    assert found is not None
    assert (found.holder, found.release) == ("", release)
    assert claims_of(store_of(server, clock)).current_claim(KEY) == mine
    # Its next generation is waited for twice as long.
    assert claims_of(store).claim(KEY, claim_of(release, "me", generation=1))
    assert clock.slept[-1] == 2 * WAIT


def test_a_look_that_took_too_long_is_looked_again(server: Registry, release: Release) -> None:
    clock = Clock()
    looks: list[str] = []

    def slow(method: str, path: str) -> None:
        if method == "GET" and "/manifests/_c." in path:
            looks.append(path)
            clock.now += 0.7 if len(looks) == 1 else 0.0

    server.hook = slow
    assert claims_of(store_of(server, clock)).claim(KEY, claim_of(release, "me"))
    assert len(looks) == 3
    assert clock.slept == [2 * WAIT]


def test_the_holder_gives_way_to_who_has_published_in_its_place(
    server: Registry, release: Release, other: Release, tmp_path: Path
) -> None:
    clock = Clock()
    holder, late = store_of(server, clock), store_of(server, clock)
    assert claims_of(holder).claim(KEY, claim_of(release, "holder"))
    put_files(holder, release, tmp_path, b"module")
    server.tags.clear()  # what the late one saw
    assert not claim_late(late, server, clock, claim_of(other, "late"))
    second = claim_of(other, "late", generation=1)
    assert claims_of(late).claim(KEY, second)
    put_files(late, other, tmp_path, b"other")
    clock.at_sleep.append(lambda: claims_of(late).put_record(KEY, second, other.to_json()))
    claims_of(holder).put_record(KEY, claim_of(release, "holder"), release.to_json())
    assert holder.versions.read_record(KEY) == other.to_json()


def test_the_holder_never_writes_over_another_run_that_is_silent(
    server: Registry, release: Release, other: Release, tmp_path: Path
) -> None:
    clock = Clock()
    holder = store_of(server, clock)
    mine = claim_of(release, "holder")
    assert claims_of(holder).claim(KEY, mine)
    put_files(holder, release, tmp_path, b"module")
    server.tags.clear()
    assert claims_of(store_of(server, clock)).claim(KEY, claim_of(other, "late"))
    clock.at_sleep += [
        lambda: clock.pass_by(100),
        lambda: clock.pass_by(40),
        lambda: clock.pass_by(20),
    ]
    with pytest.raises(RepositoryError, match="took over"):
        claims_of(holder).put_record(KEY, mine, release.to_json())
    assert holder.versions.read_record(KEY) is None
    assert clock.at_sleep == []


def test_a_claim_is_renewed_without_waiting_while_no_other_run_may_take_it(
    server: Registry, release: Release, other: Release
) -> None:
    clock = Clock()
    holder = store_of(server, clock)
    mine = replace(claim_of(release, "holder"), claimed_at=datetime.now(UTC))
    assert claims_of(holder).claim(KEY, mine)
    clock.slept.clear()
    # However long the registry takes: what is uploaded takes all of the line.
    server.hook = lambda *_: clock.pass_by(5)
    assert claims_of(holder).claim(KEY, replace(mine, generation=1))
    assert clock.slept == []
    server.hook = None
    current = claims_of(store_of(server, clock)).current_claim(KEY)
    assert current is not None
    assert (current.holder, current.generation) == ("holder", 1)
    # Another run's is not replaced.
    server.tags.clear()
    assert claims_of(store_of(server, clock)).claim(KEY, claim_of(other, "next", generation=2))
    assert not claims_of(holder).claim(KEY, replace(mine, generation=2))


def test_a_claim_that_may_have_ended_is_renewed_as_others_claim(
    server: Registry, release: Release
) -> None:
    clock = Clock()
    holder = store_of(server, clock)
    long_ago = replace(
        claim_of(release, "holder"), claimed_at=datetime.now(UTC) - timedelta(seconds=100)
    )
    assert claims_of(holder).claim(KEY, long_ago)
    clock.slept.clear()
    assert claims_of(holder).claim(KEY, claim_of(release, "holder", generation=1))
    assert clock.slept == [WAIT]


def test_a_silent_run_with_the_same_bytes_is_no_obstacle(
    server: Registry, release: Release, tmp_path: Path
) -> None:
    clock = Clock()
    holder = store_of(server, clock)
    mine = claim_of(release, "holder")
    assert claims_of(holder).claim(KEY, mine)
    put_files(holder, release, tmp_path, b"module")
    assert claims_of(store_of(server, clock)).claim(KEY, claim_of(release, "same", generation=1))
    clock.at_sleep += [lambda: clock.pass_by(20), lambda: clock.pass_by(20)]
    claims_of(holder).put_record(KEY, mine, release.to_json())
    assert holder.versions.read_record(KEY) == release.to_json()
    assert clock.at_sleep == []
    assert clock.now < 60


def test_a_claim_that_wakes_up_late_never_hides_what_was_published(
    server: Registry, release: Release, other: Release, tmp_path: Path
) -> None:
    clock = Clock()
    holder, sleeper = store_of(server, clock), store_of(server, clock)
    mine = claim_of(release, "holder")

    def publish() -> None:
        assert claims_of(holder).claim(KEY, mine)
        put_files(holder, release, tmp_path, b"module")
        claims_of(holder).put_record(KEY, mine, release.to_json())

    def between(method: str, path: str) -> None:
        if method == "PUT" and "/manifests/_c." in path:
            server.hook = None
            publish()

    server.hook = between
    path = tmp_path / "other.modl"
    path.write_bytes(b"other")
    wanted = Publishing(
        other,
        {other.module_file.name: path},
        lambda _: None,
        lambda there: require_same(there, other),
    )
    with pytest.raises(VersionConflict):
        sleeper.publisher.publish(wanted)
    assert sleeper.versions.read_record(KEY) == release.to_json()


@pytest.mark.parametrize("artifact", ["claim", "foreign"])
def test_a_claim_that_cannot_be_read_counts_as_unfinished(
    server: Registry, release: Release, artifact: str
) -> None:
    clock = Clock()
    store = store_of(server, clock)
    assert claims_of(store).claim(KEY, claim_of(release, "me", generation=3))
    tag = "_c.com.acme.thing_v1.0.0"
    manifest = server.manifests[server.tags[tag]]
    if artifact == "foreign":
        server.tags[tag] = server.put(manifest.replace(b'ign-deploy.claim.v1"', b'other"'))
    else:
        server.blobs = {}
    found = claims_of(store_of(server, clock)).current_claim(KEY)
    assert found == Claim("", 3)


def test_a_record_whose_files_are_not_there_is_rejected(server: Registry, release: Release) -> None:
    clock = Clock()
    store = store_of(server, clock)
    mine = claim_of(release, "me")
    assert claims_of(store).claim(KEY, mine)
    with pytest.raises(RepositoryError, match="MANIFEST_BLOB_UNKNOWN"):
        claims_of(store).put_record(KEY, mine, release.to_json())
    assert store.versions.read_record(KEY) is None
