"""Publishing exactly once, against a store in memory: killed anywhere, slow, at the same time."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.errors import IgnDeployError, RepositoryError, VersionConflict
from ign_deploy.repositories import Publication, PublishOutcome
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.publishing import require_same
from ign_deploy.repositories.repository import StoreRepository
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.unit.repositories.memory_objects import Killed, Memory, MemoryObjects

QUICK = WaitPolicy(grace=0.05, poll=0.005)


def repository(
    objects: MemoryObjects, *, wait_policy: WaitPolicy = QUICK, reported: Recorder | None = None
) -> StoreRepository:
    reporter = reported or Recorder()
    return StoreRepository(
        object_store(objects, access=Access(wait_policy=wait_policy, reporter=reporter)),
        reporter=reporter,
    )


def publish(
    objects: MemoryObjects,
    folder: Path,
    *,
    content: bytes = b"module",
    version: str = "1.0.0",
    wait_policy: WaitPolicy = QUICK,
    reported: Recorder | None = None,
) -> Publication:
    release, files = release_of(folder, content=content, version=version)
    return repository(objects, wait_policy=wait_policy, reported=reported).publish(
        release, files=files
    )


def content_of(memory: Memory, version: str = "1.0.0") -> bytes:
    stream = io.BytesIO()
    repository(MemoryObjects(memory)).fetch("com.acme.thing", version=version, to=stream)
    return stream.getvalue()


def killing(step: int, *, when: str) -> Callable[[MemoryObjects], MemoryObjects]:
    def kill(number: int) -> None:
        if number == step:
            raise Killed

    def equip(objects: MemoryObjects) -> MemoryObjects:
        if when == "before":
            objects.before_step = kill
        else:
            objects.after_step = kill
        return objects

    return equip


def test_a_version_is_published_and_listed(tmp_path: Path) -> None:
    memory = Memory()
    assert publish(MemoryObjects(memory), tmp_path).outcome is PublishOutcome.PUBLISHED
    assert content_of(memory) == b"module"
    assert not [path for path in memory.objects if "claim" in path]
    entries = repository(MemoryObjects(memory)).catalogue()
    assert [(entry.id, entry.version) for entry in entries] == [("com.acme.thing", "1.0.0")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("again", [b"module", b"other bytes"], ids=["same", "other"])
def test_killed_at_any_request_it_shows_all_or_nothing_and_converges(
    tmp_path: Path, when: str, again: bytes
) -> None:
    whole = MemoryObjects(Memory())
    publish(whole, tmp_path)
    killed = 0
    for step in range(1, whole.steps + 1):
        memory = Memory()
        try:
            publish(killing(step, when=when)(MemoryObjects(memory)), tmp_path)
        except Killed:
            killed += 1
        was_published = "modules/com.acme.thing/1.0.0/release.json" in memory.objects
        if was_published:
            assert content_of(memory) == b"module"
        memory.ahead = 3600  # beyond any lease: other bytes have to wait for that
        if was_published and again != b"module":
            with pytest.raises(VersionConflict):
                publish(MemoryObjects(memory), tmp_path, content=again)
            continue
        outcome = publish(MemoryObjects(memory), tmp_path, content=again).outcome
        assert (outcome is PublishOutcome.ALREADY_PUBLISHED) == was_published
        assert content_of(memory) == again
        listed = repository(MemoryObjects(memory)).catalogue("com.acme.thing")
        assert [entry.version for entry in listed] == ["1.0.0"]
    assert killed > 12


def test_the_same_bytes_go_on_without_waiting_for_the_lease(tmp_path: Path) -> None:
    memory = Memory()
    with pytest.raises(Killed):
        publish(killing(5, when="before")(MemoryObjects(memory)), tmp_path)
    assert publish(MemoryObjects(memory), tmp_path).outcome is PublishOutcome.PUBLISHED


def test_other_bytes_wait_for_a_living_claim_and_say_so(tmp_path: Path) -> None:
    memory, reported = Memory(), Recorder()
    with pytest.raises(Killed):
        publish(killing(5, when="before")(MemoryObjects(memory)), tmp_path)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        memory.ahead += 10

    publish(
        MemoryObjects(memory), tmp_path, content=b"other", reported=reported,
        wait_policy=WaitPolicy(grace=0.05, poll=0.5, sleep=sleep),
    )  # fmt: skip
    assert content_of(memory) == b"other"
    assert 15 <= len(waits) <= 18  # for what the store counts as three minutes at most
    assert "another run is publishing com.acme.thing 1.0.0; waiting for it" in reported.messages[0]
    assert len([line for line in reported.messages if "waiting" in line]) == 1


def test_a_run_that_slept_through_its_lease_does_not_write_over_its_successor(
    tmp_path: Path,
) -> None:
    """The first run stops while it uploads; a second one, with other bytes, takes over."""
    memory = Memory()
    slept = False
    seconds = 0.0

    def sleep_once(number: int) -> None:
        nonlocal slept, seconds
        if not slept and any("claim-0" in path for path in memory.objects):
            slept = True
            memory.ahead, seconds = 3600, 3600
            publish(MemoryObjects(memory), tmp_path, content=b"second")

    sleeper = MemoryObjects(memory, before_step=sleep_once)
    wait_policy = WaitPolicy(grace=0.05, poll=0.005, clock=lambda: seconds)
    with pytest.raises(VersionConflict):
        publish(sleeper, tmp_path, content=b"first", wait_policy=wait_policy)
    assert slept


def test_a_long_upload_is_claimed_again_before_its_record_is_written(tmp_path: Path) -> None:
    memory = Memory()
    seconds = 0.0

    def dawdle(number: int) -> None:
        nonlocal seconds
        claims.update(path for path in memory.objects if "claim-" in path)
        if claims:
            seconds += 25  # the lease is longer, but would not last for the record

    claims: set[str] = set()
    wait_policy = WaitPolicy(grace=0.05, poll=0.005, clock=lambda: seconds)
    objects = MemoryObjects(memory, after_step=dawdle)
    assert publish(objects, tmp_path, wait_policy=wait_policy).outcome is PublishOutcome.PUBLISHED
    assert content_of(memory) == b"module"
    assert len(claims) == 2


@pytest.mark.parametrize("swaps", [True, False])
def test_of_twelve_writers_one_wins_and_nothing_is_mixed(tmp_path: Path, swaps: bool) -> None:
    for round_number in range(5):
        memory = Memory()
        outcomes: list[str] = []
        start = threading.Barrier(12)

        def write(
            writer: int,
            memory: Memory = memory,
            outcomes: list[str] = outcomes,
            start: threading.Barrier = start,
            number: int = round_number,
        ) -> None:
            start.wait()
            try:
                publish(
                    MemoryObjects(memory, swaps=swaps),
                    tmp_path / f"{number}-{writer}",
                    content=f"of {writer}".encode() * 100,
                )
                outcomes.append(f"of {writer}")
            except VersionConflict:
                outcomes.append("conflict")

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes.count("conflict") == 11
        (winner,) = (each for each in outcomes if each != "conflict")
        assert content_of(memory) == winner.encode() * 100


@pytest.mark.parametrize(
    "claim", [b"", b"not json", b"[]", b'{"claimed_at": 7}', b"\xff" * 100, b"x" * (3 << 20)]
)
def test_a_claim_that_cannot_be_read_is_taken_over_after_the_grace(
    tmp_path: Path, claim: bytes
) -> None:
    memory = Memory({"modules/com.acme.thing/1.0.0/claim-0.json": claim})
    assert publish(MemoryObjects(memory), tmp_path).outcome is PublishOutcome.PUBLISHED
    assert content_of(memory) == b"module"


@pytest.mark.parametrize("record", [b"", b"not json", b"{}", b'{"id": "../../x"}'])
def test_a_record_that_cannot_be_read_stops_publishing(tmp_path: Path, record: bytes) -> None:
    location = "modules/com.acme.thing/1.0.0/release.json"
    memory = Memory({location: record})
    with pytest.raises(RepositoryError):
        publish(MemoryObjects(memory), tmp_path)
    assert memory.objects == {location: record}


def test_the_record_of_another_version_is_rejected(tmp_path: Path) -> None:
    memory = Memory()
    publish(MemoryObjects(memory), tmp_path)
    record = memory.objects["modules/com.acme.thing/1.0.0/release.json"]
    memory.objects["modules/com.acme.thing/2.0.0/release.json"] = record
    with pytest.raises(RepositoryError, match=r"is that of com\.acme\.thing 1\.0\.0"):
        repository(MemoryObjects(memory)).fetch("com.acme.thing", version="2.0.0")


def test_an_index_that_cannot_be_written_is_only_a_warning(tmp_path: Path) -> None:
    memory, reported = Memory(), Recorder()

    def refuse(number: int) -> None:
        if "modules/com.acme.thing/1.0.0/release.json" in memory.objects:
            refused.append(number)
            if len(refused) > 4:
                raise RepositoryError("the store is tired")

    refused: list[int] = []
    outcome = publish(
        MemoryObjects(memory, before_step=refuse), tmp_path, reported=reported
    ).outcome
    assert outcome is PublishOutcome.PUBLISHED
    assert any("run `ign-deploy reindex`" in line for line in reported.messages)
    found = repository(MemoryObjects(memory)).reindex()
    assert (found.modules, found.versions) == (1, 1)


@pytest.mark.parametrize("swaps", [True, False])
def test_fifty_versions_at_once_are_all_in_the_index(tmp_path: Path, swaps: bool) -> None:
    memory = Memory()

    def write(number: int) -> None:
        publish(
            MemoryObjects(memory, swaps=swaps),
            tmp_path / str(number),
            content=str(number).encode(),
            version=f"1.0.{number}",
        )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = repository(MemoryObjects(memory))
    versions = {entry.version for entry in opened.catalogue("com.acme.thing")}
    assert versions == {f"1.0.{number}" for number in range(50)}


def test_nothing_but_our_errors_ends_a_publication(tmp_path: Path) -> None:
    release, _ = release_of(tmp_path)
    with pytest.raises(IgnDeployError, match="no such file was given"):
        repository(MemoryObjects(Memory())).publish(release, files={})


def test_a_claim_that_follows_a_whole_publication_changes_nothing(tmp_path: Path) -> None:
    memory = Memory()

    def overtake(step: int) -> None:
        # No record was there at the first look, and no claim yet.
        if step == 2:
            publish(MemoryObjects(memory), tmp_path / "first", content=b"first")

    late = MemoryObjects(memory, before_step=overtake)
    with pytest.raises(VersionConflict):
        publish(late, tmp_path / "late", content=b"late")
    assert content_of(memory) == b"first"


def test_a_claim_is_not_taken_for_left_behind_by_a_late_answer(tmp_path: Path) -> None:
    memory = Memory(objects={"modules/com.acme.thing/1.0.0/claim-0.json": b"being written"})
    now, sleeps = 0.0, 0

    def delay(step: int) -> None:
        # The second look at the claim: asked within the grace, answered after it.
        nonlocal now
        now += 40.0 if step == 8 else 0.0

    def sleep(_: float) -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 2:
            publish(MemoryObjects(memory), tmp_path / "first", content=b"first")

    wait_policy = WaitPolicy(grace=15, sleep=sleep, clock=lambda: now)
    late = MemoryObjects(memory, after_step=delay)
    with pytest.raises(VersionConflict):
        publish(late, tmp_path / "late", content=b"late", wait_policy=wait_policy)
    assert content_of(memory) == b"first"


@pytest.mark.parametrize(
    ("published", "offered", "hint"),
    [
        ("8.1.20", "8.3.0", "is for Ignition 8.1, this one for 8.3: give each its own version"),
        ("8.1.20", "8.1.33", "raise the module's version"),
        ("8.1.20", "", "raise the module's version"),
    ],
)
def test_a_version_that_was_built_for_two_lines_of_ignition_has_a_way_out(
    tmp_path: Path, published: str, offered: str, hint: str
) -> None:
    first, _ = release_of(tmp_path, content=b"1", required_ignition_version=published)
    second, _ = release_of(tmp_path, content=b"2", required_ignition_version=offered)
    with pytest.raises(VersionConflict) as caught:
        require_same(first, second)
    assert hint in caught.value.hint
    assert ("1.4.2.81 and 1.4.2.83" in caught.value.hint) == ("8.3" in offered)
