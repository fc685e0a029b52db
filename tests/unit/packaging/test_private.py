"""What a build leaves in its private folder doesn't stay, and ends no run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging.private import private_folder, remove_tree
from tests.support.trees import make_deep


def test_folders_deeper_than_any_stack_are_removed(tmp_path: Path) -> None:
    with private_folder(parent=str(tmp_path)) as folder:
        make_deep(folder, 3000, name="d")
        make_deep(folder, 100)
    assert list(tmp_path.iterdir()) == []


def test_what_a_build_has_closed_is_removed(tmp_path: Path) -> None:
    """As Go does with its cache."""
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").touch()
    for each in (top / "a" / "b", top / "a"):
        each.chmod(0)
    remove_tree(top)
    assert not top.exists()


def test_links_are_removed_themselves(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").touch()
    with private_folder(parent=str(tmp_path)) as folder:
        (folder / "inner").mkdir()
        for each in (folder, folder / "inner"):
            (each / "link").symlink_to(outside)
    assert (outside / "file").exists()
    assert outside.stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_removed_ends_neither_the_run_nor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with private_folder(parent=str(tmp_path)) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "file").touch()
        monkeypatch.setattr(os, "unlink", refuse)
    assert folder.exists()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with (
        pytest.raises(
            PackagingError, match=f"cannot make a folder in {missing}: No such"
        ) as caught,
        private_folder(parent=str(missing)),
    ):
        pass
    assert "TMPDIR" in caught.value.hint
