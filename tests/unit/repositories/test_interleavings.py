"""Runs that publish at once, their requests in any order: by chance, and by script.

Once all have ended, the indexes list every published version, and of several runs that published
the same version one did. ``IGN_DEPLOY_INTERLEAVINGS`` is the number of random orders of a kind.
"""

from __future__ import annotations

import copy
import hashlib
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import VersionConflict
from ign_deploy.repositories import (
    Publication,
    PublishOutcome,
    index_reader,
    maintenance,
    status_events,
    store_index,
)
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.folder_claims import folder_store
from ign_deploy.repositories.backends.gitlab.documents import GitLabDocuments
from ign_deploy.repositories.backends.gitlab.packages import DOCUMENTS
from ign_deploy.repositories.backends.gitlab.versions import GitLabClaims, GitLabVersions
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.index import parse_module_index
from ign_deploy.repositories.index_guard import ListingGuard, MarkGuard
from ign_deploy.repositories.maintenance import StatusChange, yank
from ign_deploy.repositories.page import PAGE_NAME, script_path
from ign_deploy.repositories.publishing import ClaimPublisher, read_record
from ign_deploy.repositories.renewal import Renewal
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.root_index import parse_root_index
from ign_deploy.repositories.status_events import status_event_names
from ign_deploy.repositories.store import Key, Store
from tests.support.interleaving import Choice, Killed, TurnLock, Turns, at_random, scripted
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.turn_objects import BEGIN, OrderedTurnObjects, TurnObjects
from tests.support.turn_packages import PackageState, TurnPackages
from tests.support.turn_transfers import Transfer, kept_in_turn

ORDERS = int(os.environ.get("IGN_DEPLOY_INTERLEAVINGS", "12"))
NOTED = ["objects", "ordered", "folders", "racy"]
LISTED = ["listing", "marked", "gitlab"]
KINDS = [*NOTED, "swaps", *LISTED]
Work = Callable[[], object]


@pytest.fixture(autouse=True)
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that an update starts would have no turn."""

    def map_in_turn(work: Callable[[Any], Any], items: Any, *, workers: int) -> list[Any]:
        return [work(item) for item in items]

    for module in (index_reader, maintenance, status_events, store_index):
        monkeypatch.setattr(module, "map_parallel", map_in_turn)
    monkeypatch.setattr(Renewal, "kept", kept_in_turn)


@dataclass
class World:
    """A store of a kind, and the runs that use it."""

    kind: str
    folder: Path
    choose: Choice
    kills: Mapping[str, int] = field(default_factory=dict)
    has_page: bool = False
    poll: float = 0.5
    reporter: Recorder = field(default_factory=Recorder)
    objects: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    packages: PackageState = field(default_factory=PackageState)

    def __post_init__(self) -> None:
        self.turns = Turns(self.choose, kills=self.kills)

    def open(self, **options: Any) -> StoreRepository:
        """Return the repository as one more run sees it; for the options see ``TurnObjects``."""
        wait_policy = WaitPolicy(
            poll=self.poll, sleep=self.turns.sleep, clock=lambda: self.turns.clock
        )
        access = Access(wait_policy=wait_policy, reporter=self.reporter)
        if self.kind == "gitlab":
            store = self._gitlab_store(access, options.get("transfer", Transfer()))
        else:
            store = self._object_store(access, **options)
        opened = StoreRepository(store, reporter=self.reporter)
        opened._index._writer.sleep = self.turns.sleep
        opened._index._writing = TurnLock(self.turns)  # type: ignore[assignment]
        return opened

    def _object_store(self, access: Access, **options: Any) -> Store:
        if self.kind == "ordered":
            options["times"] = self.times
        if self.kind == "racy":
            options["is_racy"] = True
        make = OrderedTurnObjects if self.kind == "ordered" else TurnObjects
        objects = make(self.turns, self.objects, swaps=self.kind == "swaps", **options)
        if self.kind in ("folders", "racy"):
            store = folder_store(objects, access=access)
        else:
            store = object_store(objects, access=access)
        if self.kind == "listing":
            guard = ListingGuard(lambda: _listing(store), may_have_lost=lambda: True)
            return replace(store, guard=guard, has_page=False)
        if self.kind == "marked":
            listing = ListingGuard(lambda: _listing(store), may_have_lost=lambda: True)
            return replace(
                store, guard=MarkGuard(listing, TurnMarks(objects), objects.now), has_page=False
            )
        return replace(store, has_page=self.has_page, has_scripts=self.has_page)

    def _gitlab_store(self, access: Access, transfer: Transfer) -> Store:
        packages: Any = TurnPackages(self.turns, self.packages, transfer)
        versions = GitLabVersions(packages)
        claims = GitLabClaims(packages, reporter=self.reporter, wait_policy=access.wait_policy)
        documents = GitLabDocuments(packages, reporter=self.reporter)
        return Store(
            versions=versions,
            publisher=ClaimPublisher(versions, claims, access.wait_policy, self.reporter),
            documents=documents,
            address="memory:",
            exists=lambda: True,
            probe=TurnObjects(self.turns, {}).probe,
            location=str,
            guard=ListingGuard(versions.listing, may_have_lost=documents.take_overlap),
            now=lambda: BEGIN,
            compares=lambda: False,
        )

    def publisher(
        self, module_id: str, version: str = "2.0.0", *, content: bytes = b"module",
        by: StoreRepository | None = None, **options: Any,
    ) -> Work:  # fmt: skip
        """Return the publication of a version, by a run of its own or by the given one."""
        opened = by or self.open(**options)
        release, files = release_of(
            self.folder, module_id=module_id, version=version, content=content
        )
        return lambda: opened.publish(release, files=files)

    def later(self, seconds: float, work: Work) -> Work:
        """Return the work, begun so much later."""

        def begin() -> object:
            self.turns.sleep(seconds)
            return work()

        return begin

    def yanker(self, module_id: str, version: str = "1.0.0") -> Work:
        opened = self.open()
        release, _ = release_of(self.folder, module_id=module_id, version=version)
        return lambda: yank(opened, release, change=StatusChange(by="x", at=BEGIN, reason="bad"))

    def run(self, works: Mapping[str, Work]) -> list[object]:
        return list(self.turns.run(works).values())

    @property
    def pending(self) -> list[str]:
        return [path for path in self.objects if path.startswith("pending/")]

    def problems(self) -> list[str]:
        """Return where the indexes differ from what a reindex makes, and what has other bytes."""
        twin = World(self.kind, self.folder, self.choose, has_page=self.has_page)
        twin.objects, twin.packages = dict(self.objects), copy.deepcopy(self.packages)
        opened = twin.open()
        published = {
            key for key in opened.store.versions.versions()
            if key.id != DOCUMENTS and read_record(opened.store.versions, key)
        }  # fmt: skip
        indexes = ["index.json", *sorted({f"modules/{key.id}/index.json" for key in published})]
        paths = [*indexes, *map(script_path, indexes), PAGE_NAME]
        before = [self._read(opened, path) for path in paths]
        for path in map(script_path, indexes):
            twin.objects.pop(path, None)
        opened.reindex()
        after = [self._read(opened, path) for path in paths]
        found = [
            f"{path}: {now}, not {then}"
            for path, now, then in zip(paths, before, after, strict=True)
            if now != then
        ]
        return found + [each for key in sorted(published) if (each := self._mixed(opened, key))]

    def _read(self, opened: StoreRepository, path: str) -> object:
        document = opened.documents.read(path)
        if document is None:
            return None
        if not path.endswith(".json"):
            return document.data
        return (parse_root_index if path == "index.json" else parse_module_index)(document.data)

    def _mixed(self, opened: StoreRepository, key: Key) -> str:
        if self.kind == "gitlab":
            return ""
        record = read_record(opened.store.versions, key)
        assert record is not None
        data = self.objects.get(f"{key.folder}/{record.module_file.name}", b"")
        is_same = hashlib.sha256(data).hexdigest() == record.module_file.sha256
        return "" if is_same else f"{key} has other bytes than its record says"

    def require_unmixed(self) -> None:
        """Fail if a file isn't what its version's record says."""
        opened = self.open()
        keys = [key for key in opened.store.versions.versions() if key.id != DOCUMENTS]
        published = [key for key in keys if read_record(opened.store.versions, key)]
        if problems := [each for key in published if (each := self._mixed(opened, key))]:
            pytest.fail("\n".join([*problems, *self.reporter.messages, *self.turns.trace]))

    def require_complete(self) -> None:
        if problems := self.problems():
            pytest.fail("\n".join([*problems, *self.reporter.messages, *self.turns.trace]))


@dataclass(frozen=True)
class TurnMarks:
    """See ``index_guard.Marks``."""

    objects: TurnObjects

    def read(self, name: str) -> str:
        found = self.objects.get(f"marks/{name}", limit=1000)
        return "" if found is None else found.data.decode()

    def write(self, name: str, text: str) -> None:
        self.objects.put(f"marks/{name}", text.encode(), replaces=None)


def _listing(store: Store) -> Iterator[Key]:
    keys = list(store.versions.versions())
    yield from keys
    for module_id in {key.id for key in keys}:
        names = status_event_names(store.documents, module_id)
        yield from [Key(module_id, "")] * len(names)


def stocked(kind: str, folder: Path, choose: Choice, **more: Any) -> World:
    """Return a store in which three modules have been published."""
    world = World(kind, folder, choose, **more)
    for module_id in ("a", "b", "z"):
        world.publisher(module_id, "1.0.0")()
    return world


def works_of(world: World, chance: random.Random) -> dict[str, Work]:
    """Return what two to four runs do at once, one of them perhaps in two threads."""
    works: dict[str, Work] = {}
    for number in range(chance.randrange(2, 5)):
        what = chance.choice(["publish", "publish", "publish", "threads", "reindex", "yank"])
        name = f"{what} {number}"
        ahead = chance.choice([0, 0, -3, 5])
        if what == "publish":
            works[name] = world.publisher(chance.choice("abcd"), f"2.{number}.0", ahead=ahead)
        elif what == "threads":
            run = world.open(ahead=ahead)
            for each in range(2):
                version = f"3.{number}.{each}"
                works[f"{name}.{each}"] = world.publisher(chance.choice("abcd"), version, by=run)
        else:
            works[name] = (
                world.open(ahead=ahead).reindex if what == "reindex" else world.yanker("b")
            )
    return works


@pytest.mark.parametrize("kind", KINDS)
def test_the_indexes_are_complete_once_all_runs_have_ended(tmp_path: Path, kind: str) -> None:
    for seed in range(ORDERS):
        make = World if seed % 4 == 3 else stocked
        world = make(kind, tmp_path, at_random(seed), has_page=seed % 3 == 0)
        if make is World:
            works = {each: world.publisher(each) for each in "abcd"}
        else:
            works = works_of(world, random.Random(seed))
        results = world.run(works)
        errors = [each for each in results if isinstance(each, BaseException)]
        assert not errors, errors
        assert world.reporter.warnings == []
        world.require_complete()
        assert max(world.turns.steps.values()) < 400
        assert not any("-a-" in path for path in world.pending)
        # What is done may stay for the next run, if two ended at the same time.
        world.publisher("z", "9.0.0")()
        assert world.pending == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("contents", ["same", "other"])
def test_of_several_runs_one_publishes_a_version(tmp_path: Path, kind: str, contents: str) -> None:
    for seed in range(ORDERS):
        world = stocked(kind, tmp_path, at_random(seed))
        works = {}
        for number in range(3):
            content = b"module" if contents == "same" else b"module %d" % number
            options: dict[str, Any] = {} if kind == "gitlab" else {"is_slow": True}
            works[str(number)] = world.publisher("b", content=content, **options)
        results = world.run(works)
        counts = Counter(
            each.outcome if isinstance(each, Publication) else type(each) for each in results
        )
        lost = PublishOutcome.ALREADY_PUBLISHED if contents == "same" else VersionConflict
        assert counts == {PublishOutcome.PUBLISHED: 1, lost: 2}, results
        world.require_complete()


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_is_renewed_as_long_as_its_run_uploads(tmp_path: Path, kind: str) -> None:
    for seed in range(ORDERS):
        world = stocked(kind, tmp_path, at_random(seed), poll=5)
        slow = world.publisher("b", content=b"slow", transfer=Transfer(480))
        others = {
            str(number): world.later(30, world.publisher("b", content=b"other %d" % number))
            for number in range(2)
        }
        results = world.run({"slow": slow} | others)
        assert isinstance(results[0], Publication), results
        assert [type(each) for each in results[1:]] == [VersionConflict] * 2
        assert world.turns.clock >= 480
        world.require_complete()


@pytest.mark.parametrize("kind", KINDS)
def test_other_bytes_follow_a_killed_run_within_three_minutes(tmp_path: Path, kind: str) -> None:
    taken_over = 0
    for seed in range(ORDERS):
        kills = {"dead": 2 + seed % 12}
        world = stocked(kind, tmp_path, at_random(seed), kills=kills, poll=5)
        # With 200, it has renewed its claim several times before it dies.
        dead = world.publisher("b", content=b"dead", transfer=Transfer(200 * (seed % 2)))
        after = world.later(20, world.publisher("b", content=b"next"))
        results = world.run({"dead": dead, "next": after})
        if not world.turns.deaths:
            continue
        assert isinstance(results[1], (Publication, VersionConflict)), results
        taken_over += isinstance(results[1], Publication)
        assert world.turns.clock - world.turns.deaths["dead"] < 180
        world.require_unmixed()
    assert taken_over >= ORDERS / 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_slept_and_wakes_damages_nothing(tmp_path: Path, kind: str) -> None:
    chance, slept = random.Random(4), 0
    for seed in range(3 * ORDERS):
        world = stocked(kind, tmp_path, at_random(seed), poll=5)
        works = {}
        for number in range(3):
            suspended = chance.choice([0, 100, 160, 400, 1300])
            options: dict[str, Any] = {
                "transfer": Transfer(chance.choice([0, 0, 200]), chance.choice([0, suspended]))
            }
            if kind != "gitlab":
                options["pauses"] = {chance.randrange(1, 20): suspended}
            content = chance.choice([b"module", b"module %d" % number])
            works[str(number)] = world.publisher("b", content=content, **options)
        results = world.run(works)
        slept += world.turns.clock > 150
        counts = Counter(
            each.outcome if isinstance(each, Publication) else type(each) for each in results
        )
        assert counts[PublishOutcome.PUBLISHED] >= 1, results
        allowed = {PublishOutcome.ALREADY_PUBLISHED, PublishOutcome.PUBLISHED, VersionConflict}
        assert set(counts) <= allowed, results
        published = {
            each.release.module_file.sha256 for each in results if isinstance(each, Publication)
        }
        assert len(published) == 1, results
        world.require_unmixed()
    assert slept > ORDERS


@pytest.mark.parametrize("kind", [*NOTED, "listing", "marked"])
def test_the_next_run_completes_what_a_killed_one_left(tmp_path: Path, kind: str) -> None:
    chance = random.Random(1)
    for seed in range(ORDERS):
        kills = {"b": chance.randrange(1, 40)}
        has_page = seed % 3 == 0
        world = stocked(kind, tmp_path, at_random(seed), kills=kills, has_page=has_page)
        results = world.run({each: world.publisher(each) for each in "abc"})
        world.turns.clock += chance.choice([0, 1200])
        world.publisher("z", "9.0.0")()
        if world.problems():
            # Its own version is all that may be missing: there was no note of it yet.
            assert isinstance(results[1], Killed)
            assert kind in {"objects", "ordered", "marked"}
            assert not any("-a-b" in each for each in world.pending)
            world.publisher("b")()
        world.require_complete()
        world.turns.clock += 1200
        world.publisher("z", "9.1.0")()
        assert world.pending == []


@pytest.mark.parametrize("kind", NOTED)
def test_a_run_that_was_suspended_completes_the_indexes_or_says_so(
    tmp_path: Path, kind: str
) -> None:
    chance = random.Random(2)
    for seed in range(ORDERS):
        world = stocked(kind, tmp_path, at_random(seed))
        works = {}
        for each in "abc":
            pauses = {chance.randrange(1, 40): chance.choice([300, 601, 1300])}
            works[each] = world.publisher(each, pauses=pauses)
        world.run(works)
        assert any("reindex" in each for each in world.reporter.warnings) or not world.problems()


def test_what_a_fourth_run_repaired_is_not_forgotten(tmp_path: Path) -> None:
    choose = scripted(
        ("a", "put index.json"),  # has read the index without b 2.0.0
        ("b", ""),
        ("a", "list pending"),  # has taken out b
        ("a", "get index.json"),  # has looked: only b, which is done
        ("c", "put index.json"),  # has read the index without b 2.0.0
        ("d", "put index.json"),
        ("d", "list pending"),
        ("d", "put index.json"),  # repairs b
        ("d", "list pending"),
        ("a", ""),  # finds everything, and must leave the note of b
        ("c", "list pending"),  # takes out b and d
    )
    world = stocked("objects", tmp_path, choose)
    world.run({each: world.publisher(each) for each in "abcd"})
    world.require_complete()
    assert world.pending == []


@pytest.mark.parametrize("kind", [*NOTED, "swaps"])
@pytest.mark.parametrize("path", ["index.js", "modules/b/index.js"])
def test_a_script_that_is_written_late_takes_out_nothing(
    tmp_path: Path, kind: str, path: str
) -> None:
    """Between an index and its script, another run writes both."""
    choose = scripted(
        ("one", f"put {path}on"),
        ("one", f"put {path}"),  # has written the index, which lacks the other version
        ("other", ""),
    )
    world = stocked(kind, tmp_path, choose, has_page=True)
    world.run({"one": world.publisher("b", "2.0.0"), "other": world.publisher("b", "3.0.0")})
    world.require_complete()


@pytest.mark.parametrize("has_page", [False, True])
@pytest.mark.parametrize("until", ["list modules/z", "get modules/z/", "get index.json"])
def test_a_reindex_takes_out_nothing_where_the_store_compares(
    tmp_path: Path, until: str, has_page: bool
) -> None:
    choose = scripted(("reindex", "get index.json"), ("reindex", until), ("z", ""), ("d", ""))
    world = stocked("swaps", tmp_path, choose, has_page=has_page)
    world.run(
        {"reindex": world.open().reindex, "z": world.publisher("z"), "d": world.publisher("d")}
    )
    world.require_complete()


def test_what_a_reindex_repairs_stays_repaired(tmp_path: Path) -> None:
    """A publication that read the index before the reindex writes it after."""
    choose = scripted(("b", "put index.json"), ("reindex", ""))
    world = stocked("objects", tmp_path, choose)
    with_z = world.objects["index.json"]
    world.publisher("c")()
    world.objects["index.json"] = with_z  # lacks c
    world.run({"reindex": world.open().reindex, "b": world.publisher("b")})
    world.require_complete()


ROOT = {
    "listing": "put index.json",
    "marked": "put index.json",
    "gitlab": "put index.json of _ign-deploy root",
}


@pytest.mark.parametrize("kind", LISTED)
def test_a_yank_beside_another_publication_is_not_lost(tmp_path: Path, kind: str) -> None:
    choose = scripted(
        ("a", ROOT[kind]),  # has read the index without the yank
        ("yank", ""),
    )
    world = stocked(kind, tmp_path, choose)
    world.run({"a": world.publisher("a"), "yank": world.yanker("b")})
    world.require_complete()


def test_what_was_overtaken_before_it_could_be_seen_is_written_again(tmp_path: Path) -> None:
    choose = scripted(
        ("b", ROOT["gitlab"]),  # has read the index without a 2.0.0
        ("a", ""),
        ("b", "list _ign-deploy root"),  # has taken out a
        ("b", ROOT["gitlab"]),
        ("b", "the end of put index.json"),  # a is in it again, but not to be seen yet
        ("z", ""),  # writes the index without a, and sees no overlap
    )
    world = stocked("gitlab", tmp_path, choose)
    world.run({each: world.publisher(each) for each in "abz"})
    world.require_complete()


def test_a_claim_that_took_long_does_not_touch_what_another_run_published(tmp_path: Path) -> None:
    """Between the version's folder and the claim's content, the run is suspended."""
    world = stocked("folders", tmp_path, scripted())
    slow = world.publisher("b", content=b"slow", pauses={2: 16, 3: 40})
    fast = world.publisher("b", content=b"fast")
    results = world.run({"slow": slow, "fast": fast})
    assert isinstance(results[0], VersionConflict)
    assert isinstance(results[1], Publication)
    world.require_complete()


def test_a_record_is_not_replaced_where_the_store_compares(tmp_path: Path) -> None:
    """The run is suspended right before it writes the record, for longer than its lease."""
    choose = scripted(("late", "put modules/b/2.0.0/release.json"))
    world = stocked("swaps", tmp_path, choose)
    late = world.publisher("b", content=b"late", pauses={5: 1300})
    results = world.run({"late": late, "next": world.publisher("b", content=b"next")})
    assert isinstance(results[0], VersionConflict)
    assert isinstance(results[1], Publication)
    world.require_complete()


def test_a_claim_that_lost_does_not_win_while_claims_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of two claims of the same second, the one that was named last has the lower name.
    numbers = count(1)
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"{16 ** (2 * size) - next(numbers):x}")
    choose = scripted(
        ("loser", "put modules/b/2.0.0/claim-0.json"),  # has seen no claim
        ("winner", "get modules/b/2.0.0/release.json"),
        ("winner", "put modules/b/2.0.0/claim-0.json"),
        ("winner", "list modules/b/2.0.0/claim-0.json"),  # its claim is the older one
        ("loser", "list modules/b/2.0.0/claim-0.json"),
        ("winner", "put modules/b/2.0.0/release.json"),
        ("loser", "get modules/b/2.0.0/release.json"),
        ("loser", "list modules/b/2.0.0"),  # has seen no record
        ("winner", "list modules/b/2.0.0/claim-0.json"),
        ("winner", "delete modules/b/2.0.0/claim-0.json"),
        ("winner", "delete modules/b/2.0.0/claim-0.json"),  # its own is gone, the loser's isn't
        ("loser", ""),
    )
    world = stocked("ordered", tmp_path, choose)
    works = {
        "winner": world.publisher("b", content=b"winner"),
        "loser": world.publisher("b", content=b"loser"),
    }
    results = world.run(works)
    assert isinstance(results[0], Publication), world.turns.trace
    assert isinstance(results[1], VersionConflict), world.turns.trace
    world.require_complete()
