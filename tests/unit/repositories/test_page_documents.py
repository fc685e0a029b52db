"""The page beside the indexes: when it is written, and what a publication costs beside others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ign_deploy.report import SilentReporter
from ign_deploy.repositories import PublishOutcome, Repository
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.object_store import object_store
from ign_deploy.repositories.page import page_bytes
from ign_deploy.repositories.repository import StoreRepository
from tests.contract.page import script_content, shown_on_page
from tests.support.releases import release_of
from tests.unit.repositories.memory_objects import CountedObjects, Memory

ID = "com.acme.thing"
Open = Callable[[], Repository]


@pytest.fixture
def objects() -> CountedObjects:
    return CountedObjects(Memory())


def opener(objects: CountedObjects, *, has_scripts: bool = False) -> Open:
    """Return what opens the store, each time as one more run."""
    store = replace(object_store(objects, access=Access()), has_scripts=has_scripts)
    return lambda: StoreRepository(store, reporter=SilentReporter())


def publish(repository: Repository, folder: Path, version: str, module_id: str = ID) -> None:
    release, files = release_of(folder, version=version, module_id=module_id)
    repository.publish(release, files=files)


def test_the_page_is_written_by_the_first_run_and_compared_once_in_the_others(
    objects: CountedObjects, tmp_path: Path
) -> None:
    opened = opener(objects)
    publish(opened(), tmp_path, "1.0.0")
    assert objects.memory.objects["index.html"] == page_bytes()
    repository = opened()
    for version in ("1.1.0", "1.2.0"):
        publish(repository, tmp_path, version)
    assert objects.writes["index.html"] == 1
    assert objects.reads["index.html"] == 2


@pytest.mark.parametrize("before", [b"<!DOCTYPE html><title>Another release's</title>", b""])
@pytest.mark.parametrize("reindex", [False, True])
def test_another_page_is_replaced(
    objects: CountedObjects, tmp_path: Path, before: bytes, reindex: bool
) -> None:
    opened = opener(objects)
    publish(opened(), tmp_path, "1.0.0")
    objects.memory.objects["index.html"] = before
    if reindex:
        opened().maintenance.reindex()
    else:
        publish(opened(), tmp_path, "1.1.0")
    assert objects.memory.objects["index.html"] == page_bytes()


def test_a_page_that_was_deleted_is_written_again(objects: CountedObjects, tmp_path: Path) -> None:
    opened = opener(objects)
    publish(opened(), tmp_path, "1.0.0")
    del objects.memory.objects["index.html"]
    publish(opened(), tmp_path, "1.1.0")
    assert objects.memory.objects["index.html"] == page_bytes()


@pytest.mark.parametrize("has_scripts", [False, True])
def test_a_publication_reads_and_writes_nothing_of_other_modules_but_the_root_index(
    objects: CountedObjects, tmp_path: Path, has_scripts: bool
) -> None:
    opened = opener(objects, has_scripts=has_scripts)
    for number in range(5):
        publish(opened(), tmp_path, "1.0.0", f"com.acme.m{number}")
    objects.reads.clear()
    objects.writes.clear()
    publish(opened(), tmp_path, "1.1.0", "com.acme.m0")
    touched = {*objects.reads, *objects.writes}
    shared = {each for each in touched if not each.startswith("modules/com.acme.m0/")}
    scripts = {"index.js"} if has_scripts else set()
    assert shared == {"index.json", "index.html", *scripts}
    written = {each for each in objects.writes if each.endswith((".js", ".html"))}
    assert written == {*scripts, *(["modules/com.acme.m0/index.js"] if has_scripts else [])}


def test_what_a_script_has_is_not_read_again(objects: CountedObjects, tmp_path: Path) -> None:
    opened = opener(objects, has_scripts=True)
    for number in range(4):
        publish(opened(), tmp_path, f"1.{number}.0")
    objects.reads.clear()
    publish(opened(), tmp_path, "1.4.0")
    old = [f"modules/{ID}/1.{number}.0/release.json" for number in range(4)]
    assert not [each for each in old if objects.reads[each]]
    script = script_content(objects.memory.objects[f"modules/{ID}/index.js"])
    assert [each["version"] for each in script["records"]] == [f"1.{n}.0" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("lost", ["index.html", "index.js", f"modules/{ID}/index.js"])
@pytest.mark.parametrize("is_old", [False, True])
def test_a_run_that_is_made_again_completes_the_page_and_its_scripts(
    tmp_path: Path, lost: str, is_old: bool
) -> None:
    """The run before was killed after it had written the indexes."""
    root = tmp_path / "repository"
    publish(open_repository(str(root)), tmp_path, "1.0.0")
    before = b"old" if lost == "index.html" else (root / lost).read_bytes()
    publish(open_repository(str(root)), tmp_path, "1.1.0")
    (root / lost).write_bytes(before) if is_old else (root / lost).unlink()
    release, files = release_of(tmp_path, version="1.1.0")
    again = open_repository(str(root)).publish(release, files=files)
    assert again.outcome is PublishOutcome.ALREADY_PUBLISHED
    shown = {(ID, "1.0.0"): False, (ID, "1.1.0"): False}
    assert shown_on_page(open_repository(str(root))) == shown


def test_a_repository_from_before_the_scripts_gets_all_of_them_by_a_reindex(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    for number in range(3):
        publish(open_repository(str(root)), tmp_path, "1.0.0", f"com.acme.m{number}")
    before = shown_on_page(open_repository(str(root)))
    scripts = sorted(root.rglob("index.js"))
    assert len(scripts) == 4
    contents = [each.read_bytes() for each in scripts]
    for each in scripts:
        each.unlink()
    open_repository(str(root)).maintenance.reindex()
    assert [each.read_bytes() for each in scripts] == contents
    assert shown_on_page(open_repository(str(root))) == before
