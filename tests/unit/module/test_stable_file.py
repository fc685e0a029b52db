"""StableFile: whatever another process does to a file, all that is read from it agrees."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.stable_file import BLOCK, StableFile, WrittenFile
from tests.support.mapped_writer import mapped_writer

SIZE = 5 * BLOCK + 100
CHANGED = "changed while it was being checked"


def contents(folder: Path, count: int = 2) -> list[Path]:
    """Write files of one size with other content in every block."""
    paths = [folder / f"content-{number}" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(Random(number).randbytes(SIZE))
    return paths


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(contents(tmp_path)[0].read_bytes())
    return path


@pytest.mark.parametrize(
    ("length", "offset"),
    [(10, 0), (10, BLOCK - 5), (3 * BLOCK, 7), (SIZE, 0), (100, SIZE - 50), (1, SIZE), (0, 5)],
)
def test_reads_what_is_there(path: Path, length: int, offset: int) -> None:
    file = StableFile(path)
    assert file.read_at(length, offset) == path.read_bytes()[offset : offset + length]
    assert all(len(piece) <= BLOCK for piece in file.pieces(length, offset))
    filled = bytearray(len(file.read_at(length, offset)))
    file.read_into(memoryview(filled), offset)
    assert filled == file.read_at(length, offset)
    assert file.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    file.close()


@pytest.mark.parametrize(("length", "offset"), [(SIZE, 1), (4 * BLOCK, 2 * BLOCK), (10, SIZE)])
def test_what_is_beyond_the_end_cannot_be_read(path: Path, length: int, offset: int) -> None:
    with pytest.raises(VerificationError, match=CHANGED):
        StableFile(path).read_into(memoryview(bytearray(length)), offset)


def test_a_change_through_memory_that_no_time_shows_is_noticed(tmp_path: Path, path: Path) -> None:
    with mapped_writer(path, *contents(tmp_path)) as attacker:
        file = StableFile(path)
        before = os.stat(path)
        file.read_at(SIZE, 0)
        attacker.write(1)
        after = os.stat(path)
        assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
        with pytest.raises(VerificationError, match=CHANGED):
            file.digest()
        attacker.write(0)
        assert file.digest() == hashlib.sha256(contents(tmp_path)[0].read_bytes()).hexdigest()


def test_what_was_not_read_yet_may_change(tmp_path: Path, path: Path) -> None:
    """Then all of it is the new content."""
    old, new = contents(tmp_path)
    with mapped_writer(path, old, new) as attacker:
        file = StableFile(path)
        attacker.write(1)
        assert file.read_at(SIZE, 0) == new.read_bytes()
        assert file.digest() == hashlib.sha256(new.read_bytes()).hexdigest()


def cut(path: Path) -> None:
    os.truncate(path, SIZE - 1)


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def overwrite(path: Path) -> None:
    times = path.stat()
    with path.open("r+b") as stream:
        stream.seek(2 * BLOCK)
        stream.write(b"other")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_blocks_read_at_once_are_compared_as_well(tmp_path: Path, path: Path) -> None:
    with mapped_writer(path, *contents(tmp_path)) as attacker:
        file = StableFile(path)
        file.read_into(memoryview(bytearray(3 * BLOCK)), 100)
        attacker.write(1)
        with pytest.raises(VerificationError, match=CHANGED):
            file.digest()
        with pytest.raises(VerificationError, match=CHANGED):
            file.read_into(memoryview(bytearray(2 * BLOCK)), 10)


@pytest.mark.parametrize("change", [cut, append, overwrite])
def test_a_change_between_two_readings_is_noticed(
    path: Path, change: Callable[[Path], None]
) -> None:
    file = StableFile(path)
    file.read_at(SIZE, 0)
    change(path)
    with pytest.raises(VerificationError, match=CHANGED):
        file.digest()


def test_a_file_that_is_replaced_is_still_the_opened_one(tmp_path: Path, path: Path) -> None:
    old, new = contents(tmp_path)
    file = StableFile(path)
    new.replace(path)
    assert file.digest() == hashlib.sha256(old.read_bytes()).hexdigest()


def test_checksums_need_a_key_that_differs_each_time(path: Path) -> None:
    first, second = StableFile(path), StableFile(path)
    assert first._checksum(b"block") == first._checksum(b"block") != second._checksum(b"block")


def written_file(path: Path) -> WrittenFile:
    return WrittenFile(path, os.open(path, os.O_RDWR | os.O_CREAT, 0o644))


def test_a_written_file_has_the_digest_of_what_was_written(tmp_path: Path) -> None:
    """In whatever order."""
    file = written_file(tmp_path / "out")
    assert file.write_at(b"world", 5) == 10
    assert file.write_at(b"", 5) == 5
    assert file.write_at(b"hello", 0) == 5
    assert file.digest() == (hashlib.sha256(b"helloworld").hexdigest(), 10)
    assert file.check() == 10


@pytest.mark.parametrize("change", [overwrite, append, cut])
def test_a_change_by_another_process_is_no_part_of_what_was_written(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (content, _), path = contents(tmp_path), tmp_path / "out"
    file = written_file(path)
    file.write_at(content.read_bytes(), 0)
    change(path)
    for read_back in (file.check, file.digest):
        with pytest.raises(VerificationError, match="out changed while"):
            read_back()
