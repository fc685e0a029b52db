"""Walking trees that are deeper than a path or a stack can be, or change meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.packaging.tree import FolderEntry, change_owner, entries_of
from tests.support.build_user import as_root
from tests.support.trees import make_deep, remove_deep

OTHER_USER = 12345


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A folder that may become deeper than pytest can remove."""
    folder = tmp_path / "top"
    folder.mkdir()
    yield folder
    remove_deep(folder)


def walk(top: Path, skip: tuple[str, ...] = ()) -> list[str]:
    device = top.stat().st_dev
    return sorted(each.name for each in entries_of(str(top), device=device, skip=skip))


def test_a_path_longer_than_the_system_takes_is_walked(top: Path) -> None:
    make_deep(top, 60)
    (top / "zz").touch()
    with pytest.raises(OSError, match="too long"):
        (top / os.path.join(*["d" * 100] * 60)).stat()
    assert walk(top) == ["d" * 100] * 60 + ["end", "zz"]


def test_there_may_be_more_folders_than_open_files(top: Path) -> None:
    make_deep(top, 20_000, name="d")
    before = len(os.listdir("/proc/self/fd"))
    assert len(walk(top)) == 20_001
    assert len(os.listdir("/proc/self/fd")) == before


def test_every_branch_is_walked_and_what_is_skipped_is_not(top: Path) -> None:
    for name in ("a/b/c", "a/d", "e/f", "g"):
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    assert walk(top) == ["a", "b", "c", "d", "e", "f", *["file"] * 4, "g"]
    assert walk(top, skip=(str(top / "a" / "b"), str(top / "e"))) == ["a", "d", "file", "file", "g"]


def test_a_link_in_the_place_of_a_folder_is_not_followed(top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    (top / "folder").mkdir()
    seen = []
    for entry in entries_of(str(top), device=top.stat().st_dev):
        seen.append(entry.name)
        if entry.name == "folder":
            (top / "folder").rmdir()
            (top / "folder").symlink_to(outside)
    assert seen == ["folder"]


def test_a_folder_that_is_moved_meanwhile_leads_nowhere_else(top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "secret").mkdir(parents=True)
    for name in ("a/inner/file", "a/other", "b/file"):
        (top / name).mkdir(parents=True)
    seen = []
    for entry in entries_of(str(top), device=top.stat().st_dev):
        seen.append(entry.name)
        if entry.name == "file" and (top / "a" / "inner").exists():
            (top / "a" / "inner").rename(outside / "inner")
    assert "secret" not in seen
    assert sorted(seen) == ["a", "b", "file", "file", "inner", "other"]


@as_root
def test_only_what_was_listed_gets_another_owner(top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    (top / "file").touch()
    (top / "link").symlink_to(outside)
    listed: dict[str, FolderEntry] = {}
    folder = os.open(top, os.O_RDONLY)
    try:
        for name in ("file", "link"):
            listed[name] = FolderEntry(str(top / name), folder, name, (top / name).lstat())
        (top / "file").unlink()
        os.link(outside, top / "file")
        assert not change_owner(listed["file"], OTHER_USER, OTHER_USER)
        assert change_owner(listed["link"], OTHER_USER, OTHER_USER)
    finally:
        os.close(folder)
    assert outside.stat().st_uid == 0
    assert (top / "link").lstat().st_uid == OTHER_USER
    assert stat.S_ISLNK((top / "link").lstat().st_mode)


def test_a_missing_top_is_empty(tmp_path: Path) -> None:
    assert list(entries_of(str(tmp_path / "missing"), device=0)) == []
