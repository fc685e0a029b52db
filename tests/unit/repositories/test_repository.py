"""The cache of downloads."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from ign_deploy.report import Progress, no_progress
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.repository import DownloadCache

DATA = b"a module" * 1000
FILE = ReleaseFile(
    name="a.modl", sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA), role="module"
)


def copied(cache: DownloadCache, data: bytes = DATA) -> int:
    """Copy the file; return how often it was fetched from the store."""
    fetched: list[int] = []
    file = FILE.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)})

    def fetch(*, to: BinaryIO, progress: Progress) -> None:
        fetched.append(1)
        to.write(data)
        progress(len(data))

    target = io.BytesIO()
    cache.copy(file, to=target, progress=no_progress, fetch=fetch)
    assert target.getvalue() == data
    return len(fetched)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    cache = DownloadCache(tmp_path / "cache")
    assert [copied(cache), copied(cache)] == [1, 0]
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name == FILE.sha256


def test_only_the_cache_s_own_files_are_deleted(tmp_path: Path) -> None:
    """A folder that holds other files was named as the cache: they were the oldest, and deleted."""
    others = ["photo.jpg", "notes.partial", f"{'a' * 64}.txt"]
    for name in others:
        (tmp_path / name).write_bytes(bytes(50_000))
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ("b" * 64)).symlink_to(tmp_path / "photo.jpg")
    (tmp_path / ("c" * 64)).write_bytes(bytes(18_000))
    os.utime(tmp_path / ("c" * 64), (1, 1))
    assert copied(DownloadCache(tmp_path, limit=20_000)) == 1
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {*others, "b" * 64, FILE.sha256}


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "other bytes"])
def test_what_is_in_the_way_in_the_cache_stops_no_download(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE.sha256
    if kind == "link":
        (tmp_path / "same").write_bytes(DATA)
        path.symlink_to(tmp_path / "same")
    elif kind == "folder":
        path.mkdir()
        (path / "mine").write_bytes(b"")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(DATA[::-1])
    assert copied(DownloadCache(tmp_path)) == 1
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_disk_below_the_cache_stops_no_download(tmp_path: Path) -> None:
    written: list[bytes] = []

    def fetch(*, to: BinaryIO, progress: Progress) -> None:
        if not isinstance(to, io.BytesIO):
            progress(5)
            raise OSError(28, "No space left on device")
        to.write(DATA)
        progress(len(DATA))
        written.append(DATA)

    total: list[int] = []

    def count(advance: int) -> None:
        total.append(advance)

    cache = DownloadCache(tmp_path)
    cache.copy(FILE, to=io.BytesIO(), progress=count, fetch=fetch)
    assert (written, sum(total)) == ([DATA], len(DATA))
    assert list(tmp_path.iterdir()) == []
