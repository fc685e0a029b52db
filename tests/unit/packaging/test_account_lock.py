"""Which runs build as one user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging import account_lock
from ign_deploy.packaging.account_lock import hold_lock, try_lock_out


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(account_lock, "_FOLDERS", (str(tmp_path / "missing"),))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_last_run_locks_the_others_out(folder: Path) -> None:
    first, second = hold_lock(), hold_lock()
    assert try_lock_out() is None
    os.close(first)
    assert try_lock_out() is None
    os.close(second)
    alone = try_lock_out()
    assert alone is not None
    os.close(alone)


def test_others_cannot_open_the_file(folder: Path) -> None:
    os.close(hold_lock())
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["open to all", "link", "pipe"])
def test_a_file_that_a_build_has_made_is_not_used(folder: Path, kind: str) -> None:
    file = folder / "ign-deploy-builds.lock"
    if kind == "link":
        file.symlink_to("/etc/passwd")
    elif kind == "pipe":
        os.mkfifo(file, 0o600)
    else:
        file.touch()
        file.chmod(0o666)
    with pytest.raises(PackagingError, match="cannot lock"):
        hold_lock()
