"""Yank, take back, remove, prune, mirror: in a folder and in a store."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import (
    ConfigurationError,
    NotInRepository,
    RepositoryError,
    VersionConflict,
)
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.repositories import PublishOutcome, Repository
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.maintenance import StatusChange, remove, to_prune, unyank, yank
from ign_deploy.repositories.mirror import mirror
from ign_deploy.repositories.page import script_path
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.search import ListFilter, choose_version, list_modules
from ign_deploy.repositories.status_events import StatusKind, add_status_event
from tests.contract.page import shown_on_page
from tests.support.releases import release_of, verified_module
from tests.support.reporting import Recorder
from tests.unit.repositories.memory_objects import CountedObjects, Memory, MemoryObjects

ID = "com.acme.thing"
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
QUIET = SilentReporter()
Open = Callable[[], Repository]


@pytest.fixture(params=["folder", "store", "isolated store"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "folder":
        return lambda: open_repository(str(tmp_path / "repository"))
    memory = Memory()
    has_scripts = request.param == "isolated store"

    def opened() -> Repository:
        store = object_store(MemoryObjects(memory), access=Access())
        return StoreRepository(replace(store, has_scripts=has_scripts), reporter=QUIET)

    return opened


def publish(opened: Open, folder: Path, *versions: str) -> list[Release]:
    found = []
    for version in versions:
        release, files = release_of(folder, version=version, content=version.encode())
        opened().publish(release, files=files)
        found.append(release)
    return found


def shown(opened: Open) -> list[tuple[str, str | bool]] | None:
    """Return the versions that the page shows of the module, newest first; None for no module."""
    shown = shown_on_page(opened())
    assert shown is not None
    return [(version, yanked) for (_, version), yanked in reversed(shown.items())] or None


def test_the_page_follows_every_change(opened: Open, tmp_path: Path) -> None:
    old, new = publish(opened, tmp_path, "1.0.0", "1.1.0")
    assert shown(opened) == [("1.1.0", False), ("1.0.0", False)]
    yank(opened(), new, change=said("bad"))
    assert shown(opened) == [("1.1.0", "bad"), ("1.0.0", False)]
    remove(opened(), old, change=said("", after=1))
    assert shown(opened) == [("1.1.0", "bad")]
    before = shown(opened)
    opened().maintenance.reindex()
    assert shown(opened) == before
    remove(opened(), new, change=said("", after=2))
    assert shown(opened) is None


def said(reason: str = "", *, after: int = 0) -> StatusChange:
    return StatusChange("ann", BEGIN + timedelta(seconds=after), reason)


def versions(opened: Open, *, include_yanked: bool = False) -> list[str]:
    wanted = ListFilter(every_version=True, include_yanked=include_yanked)
    return [entry.version for entry in list_modules(opened(), wanted)]


def test_a_yanked_version_is_not_chosen_but_can_be_had_by_its_number(
    opened: Open, tmp_path: Path
) -> None:
    _, new = publish(opened, tmp_path, "1.0.0", "1.1.0")
    assert yank(opened(), new, change=said("leaks memory"))
    assert choose_version(opened(), module_id=ID, wanted=None) == "1.0.0"
    assert choose_version(opened(), module_id=ID, wanted=">=1") == "1.0.0"
    assert choose_version(opened(), module_id=ID, wanted="1.1.0") == "1.1.0"
    stream = io.BytesIO()
    opened().fetch(ID, version="1.1.0", to=stream)
    assert stream.getvalue() == b"1.1.0"
    assert versions(opened) == ["1.0.0"]
    assert versions(opened, include_yanked=True) == ["1.1.0", "1.0.0"]
    (entry,) = [each for each in opened().catalogue(ID) if each.yanked is not None]
    assert (entry.version, entry.yanked) == ("1.1.0", "leaks memory")
    assert opened().catalogue()[0].version == "1.0.0"


def test_yanking_again_changes_nothing_and_another_reason_is_taken(
    opened: Open, tmp_path: Path
) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    assert yank(opened(), release, change=said("bad"))
    assert not yank(opened(), release, change=said("bad", after=1))
    assert yank(opened(), release, change=said("worse", after=2))
    assert opened().catalogue(ID)[0].yanked == "worse"
    with pytest.raises(NotInRepository, match="versions are yanked"):
        choose_version(opened(), module_id=ID, wanted=None)


def test_a_yank_can_be_taken_back(opened: Open, tmp_path: Path) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    assert not unyank(opened(), release, change=said())
    yank(opened(), release, change=said("bad"))
    assert unyank(opened(), release, change=said("fine after all", after=1))
    assert choose_version(opened(), module_id=ID, wanted=None) == "1.0.0"
    assert opened().catalogue(ID)[0].yanked is None


def test_a_removed_version_is_gone_and_never_comes_back(opened: Open, tmp_path: Path) -> None:
    old, _ = publish(opened, tmp_path, "1.0.0", "1.1.0")
    remove(opened(), old, change=said("holds a password"))
    assert versions(opened, include_yanked=True) == ["1.1.0"]
    with pytest.raises(NotInRepository, match=r"removed on 2026-02-01 by ann: holds a password"):
        opened().fetch(ID, version="1.0.0", to=io.BytesIO())
    for content in (b"1.0.0", b"other bytes"):
        release, files = release_of(tmp_path, version="1.0.0", content=content)
        with pytest.raises(VersionConflict, match="nothing was changed"):
            opened().publish(release, files=files)
    with pytest.raises(NotInRepository, match="was removed"):
        yank(opened(), old, change=said("bad"))
    found = opened().maintenance.reindex()
    assert found.versions == 1
    assert versions(opened, include_yanked=True) == ["1.1.0"]
    assert opened().catalogue()[0].versions == 1


@pytest.mark.parametrize("has_scripts", [False, True])
def test_removing_many_versions_costs_one_index_write_and_no_event_is_read(
    tmp_path: Path, has_scripts: bool
) -> None:
    objects = CountedObjects(Memory())

    def opened() -> Repository:
        store = object_store(objects, access=Access())
        return StoreRepository(replace(store, has_scripts=has_scripts), reporter=QUIET)

    releases = publish(opened, tmp_path, *(f"1.{number}.0" for number in range(20)))
    objects.reads.clear()
    objects.writes.clear()
    remove(opened(), *releases[:15], change=said())
    indexes = ["index.json", f"modules/{ID}/index.json"]
    indexes += [script_path(path) for path in indexes] if has_scripts else []
    written = {
        each: count for each, count in objects.writes.items() if "/status-events/" not in each
    }
    assert written == dict.fromkeys(indexes, 1)
    assert not [path for path in objects.reads if path.startswith("ledger/")]
    assert versions(opened) == [f"1.{number}.0" for number in range(19, 14, -1)]


def test_yanking_many_versions_costs_one_index_write(tmp_path: Path) -> None:
    objects = CountedObjects(Memory())

    def opened() -> Repository:
        return StoreRepository(object_store(objects, access=Access()), reporter=QUIET)

    releases = publish(opened, tmp_path, "1.0.0", "1.1.0", "1.2.0")
    objects.writes.clear()
    assert yank(opened(), *releases, change=said("bad")) == releases
    assert objects.writes[f"modules/{ID}/index.json"] == 1
    assert unyank(opened(), *releases[:2], change=said("", after=1)) == releases[:2]
    assert versions(opened) == ["1.1.0", "1.0.0"]


def test_what_was_removed_before_a_failure_is_reported_and_off_the_index(tmp_path: Path) -> None:
    memory = Memory()
    removed: list[Release] = []

    def opened(fails: str = "") -> StoreRepository:
        objects = CountedObjects(memory, fails=fails)
        return StoreRepository(object_store(objects, access=Access()), reporter=QUIET)

    old, bad, new = publish(opened, tmp_path, "1.0.0", "1.1.0", "1.2.0")
    broken = opened(f"modules/{ID}/1.1.0/{bad.module_file.name}")
    with pytest.raises(RepositoryError, match="the disk is broken"):
        remove(broken, old, bad, change=said(), on_removed=removed.append)
    assert removed == [old]
    # The event of the one that failed is there: it is removed, and doing it again deletes it.
    assert versions(opened) == ["1.2.0"]
    assert f"modules/{ID}/1.1.0/{bad.module_file.name}" in memory.objects
    remove(opened(), bad, change=said())
    assert f"modules/{ID}/1.1.0/{bad.module_file.name}" not in memory.objects
    assert versions(opened) == [new.version]


def test_a_module_whose_versions_are_all_removed_is_not_listed(
    opened: Open, tmp_path: Path
) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    remove(opened(), release, change=said())
    remove(opened(), release, change=said())  # an interrupted one is finished
    assert opened().catalogue() == ()
    assert opened().catalogue(ID) == ()
    publish(opened, tmp_path, "1.1.0")
    assert versions(opened) == ["1.1.0"]


def test_reindex_keeps_yanks_and_finds_every_version(opened: Open, tmp_path: Path) -> None:
    old, *_ = publish(opened, tmp_path, "1.0.0", "1.1.0", "2.0.0-rc1")
    yank(opened(), old, change=said("bad"))
    before = opened().catalogue(ID)
    found = opened().maintenance.reindex()
    assert (found.modules, found.versions) == (1, 3)
    assert opened().catalogue(ID) == before


def test_pruning_keeps_the_newest_what_is_protected_and_the_newest_final(
    opened: Open, tmp_path: Path
) -> None:
    publish(opened, tmp_path, "1.0.0", "1.1.0", "1.2.0", "2.0.0-rc1", "2.0.0-rc2")
    pruned = to_prune(opened(), keep=2, protected={(ID, "1.0.0")})
    assert [entry.version for entry in pruned] == ["1.1.0"]
    assert to_prune(opened(), keep=9, protected=()) == []


def test_a_mirror_copies_records_files_and_yanks_and_converges(
    opened: Open, tmp_path: Path
) -> None:
    releases = publish(opened, tmp_path, "1.0.0", "1.1.0")
    yank(opened(), releases[0], change=said("bad"))
    target = open_repository(str(tmp_path / "target"))

    def copy() -> list[PublishOutcome]:
        entries = list_modules(opened(), ListFilter(every_version=True, include_yanked=True))
        found = mirror(
            opened(),
            target,
            entries,
            verify=lambda path: verified_module(
                path, version=path.stem.removeprefix(f"{ID}-"), licence_crc=None
            ),
            reporter=QUIET,
        )
        return [each.outcome for each in found]

    assert copy() == [PublishOutcome.PUBLISHED] * 2
    assert copy() == [PublishOutcome.ALREADY_PUBLISHED] * 2
    assert target.catalogue(ID) == opened().catalogue(ID)
    for release in releases:
        assert target.fetch(ID, version=release.version).to_json() == release.to_json()


def copy_into(
    target: Repository, source: Repository, *versions: str, reporter: Reporter = QUIET
) -> None:
    """Mirror these versions of the module."""
    entries = [entry for entry in source.catalogue(ID) if entry.version in versions]
    mirror(
        source,
        target,
        entries,
        verify=lambda path: verified_module(
            path, version=path.stem.removeprefix(f"{ID}-"), licence_crc=None
        ),
        reporter=reporter,
    )


def forge(source: Repository, kind: StatusKind, release: Release, **changes: str) -> None:
    """Add an event to the source, as whoever can write to its store does."""
    event = said("forged", after=60).event(kind, release).model_copy(update=changes)
    add_status_event(source.maintenance.documents, event)


def test_a_mirror_of_one_version_says_nothing_of_others(opened: Open, tmp_path: Path) -> None:
    """Forged events lifted a yank of the target, and removed another version of it."""
    old, new = publish(opened, tmp_path, "1.0.0", "1.1.0")
    target = open_repository(str(tmp_path / "target"))
    copy_into(target, opened(), "1.0.0", "1.1.0")
    yank(target, old, change=said("bad"))
    before = target.catalogue(ID)
    source = opened()
    forge(source, StatusKind.UNYANKED, old)
    forge(source, StatusKind.REMOVED, old)
    forge(source, StatusKind.YANKED, old, at="2026-02-01T00:02:00Z")
    copy_into(target, source, "1.1.0")
    assert target.catalogue(ID) == before
    assert not target.maintenance.status(ID).is_removed("1.0.0")
    assert new.version == "1.1.0"


def test_a_mirror_never_lifts_a_yank_of_the_target(opened: Open, tmp_path: Path) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    target = open_repository(str(tmp_path / "target"))
    copy_into(target, opened(), "1.0.0")
    yank(target, release, change=said("bad"))
    forge(opened(), StatusKind.UNYANKED, release)
    opened().maintenance.refresh(ID)
    reporter = Recorder()
    copy_into(target, opened(), "1.0.0", reporter=reporter)
    assert [entry.yanked for entry in target.catalogue(ID)] == ["bad"]
    (warning,) = reporter.warnings
    assert f"ign-deploy unyank {ID}@1.0.0" in warning


def test_a_yank_that_was_lifted_before_the_mirror_is_not_copied(
    opened: Open, tmp_path: Path
) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    yank(opened(), release, change=said("bad"))
    unyank(opened(), release, change=said(after=1))
    target = open_repository(str(tmp_path / "target"))
    copy_into(target, opened(), "1.0.0")
    assert [entry.yanked for entry in target.catalogue(ID)] == [None]
    # What the target says later counts, however often it is mirrored.
    yank(opened(), release, change=said("worse", after=2))
    copy_into(target, opened(), "1.0.0")
    assert [entry.yanked for entry in target.catalogue(ID)] == ["worse"]
    unyank(target, release, change=said(after=3))
    copy_into(target, opened(), "1.0.0")
    assert [entry.yanked for entry in target.catalogue(ID)] == [None]


@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"at": "2099-01-01T00:00:00Z"}, {"version": "1.1.0"}]
)
def test_an_event_of_another_file_or_from_the_future_is_not_mirrored(
    changes: dict[str, str], opened: Open, tmp_path: Path
) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    forge(opened(), StatusKind.YANKED, release, **changes)
    target = open_repository(str(tmp_path / "target"))
    copy_into(target, opened(), "1.0.0")
    assert [entry.yanked for entry in target.catalogue(ID)] == [None]
    assert target.maintenance.status(ID).names == ()


def test_a_removal_in_the_source_removes_nothing_in_the_target(
    opened: Open, tmp_path: Path
) -> None:
    old, _ = publish(opened, tmp_path, "1.0.0", "1.1.0")
    target = open_repository(str(tmp_path / "target"))
    copy_into(target, opened(), "1.0.0", "1.1.0")
    remove(opened(), old, change=said("bad"))
    reporter = Recorder()
    copy_into(target, opened(), "1.0.0", "1.1.0", reporter=reporter)
    target.fetch(ID, version="1.0.0", to=io.BytesIO())
    (warning,) = reporter.warnings
    assert f"ign-deploy remove {ID}@1.0.0" in warning


def test_a_reason_that_is_too_long_is_rejected(opened: Open, tmp_path: Path) -> None:
    (release,) = publish(opened, tmp_path, "1.0.0")
    with pytest.raises(ConfigurationError, match="longer than 2000 characters"):
        yank(opened(), release, change=said("x" * 2001))


def test_a_mark_that_is_damaged_or_hostile_is_skipped(opened: Open, tmp_path: Path) -> None:
    publish(opened, tmp_path, "1.0.0")
    documents = opened().maintenance.documents
    for number, data in enumerate(
        (b"", b"[]", b"{}", b"\xff", b'{"kind": "yanked"}', b"x" * 99999)
    ):
        documents.add(f"ledger/status-events/{ID}/20260201T000000Z-{number}.json", data)
    opened().maintenance.refresh(ID)
    assert opened().catalogue(ID)[0].yanked is None


def test_several_modules_are_changed_and_reindexed_at_once(opened: Open, tmp_path: Path) -> None:
    """Their indexes are written by several threads, under one lock of the repository."""
    ids = [f"com.acme.m{number}" for number in range(10)]
    found = []
    for module_id in ids:
        for version in ("1.0.0", "1.1.0"):
            release, files = release_of(tmp_path, module_id=module_id, version=version)
            opened().publish(release, files=files)
            found.append(release)
    yank(opened(), *found[::2], change=said("bad"))
    assert [entry.yanked for entry in opened().catalogue(ids[3])] == [None, "bad"]
    remove(opened(), *found[::2], change=said("old"))
    assert opened().maintenance.reindex().versions == len(ids)
    assert [entry.version for entry in opened().catalogue()] == ["1.1.0"] * len(ids)
