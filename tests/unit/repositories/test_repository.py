"""The cache of downloads."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from ign_deploy.errors import NetworkError
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


LARGE = bytes(range(256)) * 8192


class Broken:
    """Receives a file up to the middle, then breaks off; after that, the rest."""

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.is_whole = False

    def __call__(self, *, to: BinaryIO, progress: Progress) -> None:
        begin = len(to.read()) if to.readable() else 0
        self.begins.append(begin)
        end = len(LARGE) if self.is_whole else max(begin, len(LARGE) // 2)
        to.write(LARGE[begin:end])
        progress(end)
        if not self.is_whole:
            raise NetworkError("the connection broke", hint="")


@pytest.mark.parametrize("limit", [1 << 30, len(LARGE)], ids=["kept", "too large to be kept"])
def test_a_download_that_broke_off_is_continued_by_the_next_run(tmp_path: Path, limit: int) -> None:
    broken, target = Broken(), io.BytesIO()
    file = FILE.model_copy(update={"sha256": hashlib.sha256(LARGE).hexdigest(), "size": len(LARGE)})
    for is_whole in (False, True):
        broken.is_whole = is_whole
        with suppress(NetworkError):
            cache = DownloadCache(tmp_path, limit=limit)
            cache.copy(file, to=target, progress=no_progress, fetch=broken)
    assert broken.begins == [0, len(LARGE) // 2]
    assert target.getvalue() == LARGE
    assert [each.name for each in tmp_path.iterdir()] == ([file.sha256] if limit > 1 << 29 else [])


def test_two_runs_that_receive_the_same_file_do_not_share_it(tmp_path: Path) -> None:
    cache = DownloadCache(tmp_path)

    def fetch(*, to: BinaryIO, progress: Progress) -> None:
        to.write(DATA[:100])
        to.flush()
        assert copied(DownloadCache(tmp_path)) == 1
        to.write(DATA[100:])
        progress(len(DATA))

    target = io.BytesIO()
    cache.copy(FILE, to=target, progress=no_progress, fetch=fetch)
    assert target.getvalue() == DATA
    assert [each.name for each in tmp_path.iterdir()] == [FILE.sha256]
