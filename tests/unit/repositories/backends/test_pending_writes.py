"""Indexes that many runs write at once, in a store that can't compare and swap."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from ign_deploy.report import SilentReporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.backends.pending_writes import PENDING, new_pending_write
from ign_deploy.repositories.backends.pending_writes import parse_pending_write as parsed
from ign_deploy.repositories.repository import StoreRepository
from tests.support.releases import release_of
from tests.unit.repositories.memory_objects import Killed, Memory, MemoryObjects

QUIET = SilentReporter()


def opened(objects: MemoryObjects) -> StoreRepository:
    store = object_store(objects, access=Access())
    return StoreRepository(store, reporter=QUIET)


def publish(objects: MemoryObjects, folder: Path, module_id: str, version: str) -> None:
    release, files = release_of(folder, module_id=module_id, version=version)
    opened(objects).publish(release, files=files)


def listed(memory: Memory) -> set[tuple[str, str]]:
    repository = opened(MemoryObjects(memory, swaps=False))
    modules = repository.catalogue()
    found = {(each.id, each.version) for m in modules for each in repository.catalogue(m.id)}
    assert sum(module.versions for module in modules) == len(found)
    return found


def pending(memory: Memory) -> list[str]:
    return [path for path in memory.objects if path.startswith(f"{PENDING}/")]


def of_run(number: int) -> list[tuple[str, str]]:
    return [(f"m{(number + each) % 3}", f"{number}.{each}.0") for each in range(3)]


@pytest.mark.parametrize("seed", range(20))
def test_of_versions_published_at_once_none_is_missing(tmp_path: Path, seed: int) -> None:
    memory, chance = Memory(), random.Random(seed)
    waits = [chance.uniform(0, 0.004) for _ in range(8)]

    def run(number: int) -> None:
        objects = MemoryObjects(
            memory, swaps=False, before_step=lambda _: time.sleep(waits[number])
        )
        for each in range(3):
            publish(
                objects, tmp_path / str(number), f"m{(number + each) % 3}", f"{number}.{each}.0"
            )

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listed(memory) == {each for number in range(8) for each in of_run(number)}
    publish(MemoryObjects(memory, swaps=False), tmp_path, "m0", "9.0.0")
    assert pending(memory) == []


def test_what_a_run_overwrote_is_written_again(tmp_path: Path) -> None:
    """The other run publishes, and ends, between our reading of the root index and our writing."""
    memory = Memory()
    publish(MemoryObjects(memory, swaps=False), tmp_path, "a", "1.0.0")
    steps = MemoryObjects(memory, swaps=False)
    publish(steps, tmp_path, "b", "1.0.0")
    for step in range(1, steps.steps + 1):

        def overtake(number: int, step: int = step) -> None:
            if number == step:
                publish(MemoryObjects(memory, swaps=False), tmp_path / "in", "a", f"{step}.1.0")

        late = MemoryObjects(memory, swaps=False, before_step=overtake)
        publish(late, tmp_path, "b", f"{step}.0.0")
        assert ("b", f"{step}.0.0") in listed(memory)
        # The first publication of a module takes more steps than these.
        assert ("a", f"{step}.1.0") in listed(memory) or late.steps < step
    publish(MemoryObjects(memory, swaps=False), tmp_path, "b", "0.1.0")
    assert pending(memory) == []


def test_what_a_killed_run_left_is_completed_by_the_next_publication(tmp_path: Path) -> None:
    counted = MemoryObjects(Memory(), swaps=False)
    publish(counted, tmp_path, "a", "1.0.0")
    for step in range(1, counted.steps + 1):
        memory = Memory()
        publish(MemoryObjects(memory, swaps=False), tmp_path, "b", "1.0.0")

        def kill(number: int, step: int = step) -> None:
            if number == step:
                raise Killed

        with suppress(Killed):
            publish(MemoryObjects(memory, swaps=False, before_step=kill), tmp_path, "a", "1.0.0")
        publish(MemoryObjects(memory, swaps=False), tmp_path, "b", "1.1.0")
        is_noted = any("-a-a.json" in path for path in pending(memory))
        is_published = "modules/a/1.0.0/release.json" in memory.objects
        expected = {("b", "1.0.0"), ("b", "1.1.0")} | ({("a", "1.0.0")} if is_noted else set())
        assert listed(memory) >= expected
        assert not is_noted or is_published
        memory.ahead = timedelta(hours=1).total_seconds()
        publish(MemoryObjects(memory, swaps=False), tmp_path, "b", "1.2.0")
        publish(MemoryObjects(memory, swaps=False), tmp_path, "b", "1.3.0")
        assert pending(memory) == []


def test_a_pending_write_is_read_from_its_name() -> None:
    memory = MemoryObjects(Memory())
    write = new_pending_write("com.acme.thing", now=memory.now(), rest="~0a1b2c3d")
    assert parsed(write.name) == write
    assert parsed(new_pending_write("", now=memory.now()).name) is not None
    for name in ("", "index.json", "20269999T999999Z-01234567-a-x.json", f"{write.name}.new",
                 write.name.replace("com.acme", "..")):  # fmt: skip
        assert parsed(name) is None
