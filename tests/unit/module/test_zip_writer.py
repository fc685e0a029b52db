"""Headers and end records as they are written, up to archives beyond four gigabytes."""

from __future__ import annotations

import os
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from ign_deploy.module.archive import Archive
from ign_deploy.module.stable_file import WrittenFile
from ign_deploy.module.zip_entry import Limits
from ign_deploy.module.zip_records import (
    EPOCH_DOS_DATE,
    EPOCH_DOS_TIME,
    MAX_32,
    STORED,
    end_records,
    zip64_values,
)
from ign_deploy.module.zip_writer import (
    NewEntry,
    lay_out,
    stored_entry,
    write_directory,
)
from tests.support.modules import RawEntry, write_zip

HUGE = (4 << 30) + 12345


def huge_entry(name: str) -> NewEntry:
    """Describe an entry of zeros; its CRC is wrong, but never read."""
    return NewEntry(name.encode(), STORED, EPOCH_DOS_TIME, EPOCH_DOS_DATE, 0, HUGE, HUGE, 0)


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """Return an archive of more than eight gigabytes that takes no room on the disk."""
    path = tmp_path / "huge.modl"
    small = [
        stored_entry(name, name.encode(), dos_time=EPOCH_DOS_TIME, dos_date=EPOCH_DOS_DATE)
        for name in ("first", "middle", "last")
    ]
    entries = [small[0], huge_entry("huge1"), small[1], huge_entry("huge2"), small[2]]
    placed, end = lay_out(entries)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    output = WrittenFile(path, descriptor)
    try:
        for entry, location in zip(entries, placed, strict=True):
            output.write_at(location.local, location.header_offset)
            if entry in small:
                output.write_at(entry.name, location.data_offset)
        size = write_directory(output, placed, end)
    finally:
        os.close(descriptor)
    assert size == path.stat().st_size
    return path


def test_an_archive_beyond_four_gigabytes_is_read_back(sparse: Path) -> None:
    limits = Limits(max_entry_size=8 << 30)
    with Archive.open(sparse, limits=limits) as archive:
        assert archive.findings == ()
        assert [entry.size for entry in archive.entries] == [5, HUGE, 6, HUGE, 4]
        for name in ("first", "middle", "last"):
            entry = archive.entry(name)
            assert entry is not None
            assert archive.read(entry, limit=10) == name.encode()


def test_python_and_unzip_read_it_too(sparse: Path) -> None:
    with zipfile.ZipFile(sparse) as archive:
        assert [entry.file_size for entry in archive.infolist()] == [5, HUGE, 6, HUGE, 4]
        assert archive.read("last") == b"last"
    done = subprocess.run(
        ["unzip", "-p", str(sparse), "middle", "last"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"middlelast", b"")


def test_an_entry_beyond_the_limit_is_rejected(sparse: Path) -> None:
    from ign_deploy.errors import VerificationError

    with pytest.raises(VerificationError) as caught:
        Archive.open(sparse)
    assert {finding.code for finding in caught.value.findings} == {"entry-too-large"}


@pytest.mark.parametrize(
    ("count", "offset", "size", "is_zip64"),
    [
        (0xFFFE, MAX_32 - 1, MAX_32 - 1, False),
        (0xFFFF, 0, 0, True),
        (1, MAX_32, 0, True),
        (1, 0, MAX_32, True),
    ],
)
def test_zip64_end_records_are_written_only_where_needed(
    count: int, offset: int, size: int, is_zip64: bool
) -> None:
    assert (len(end_records(count=count, offset=offset, size=size)) > 22) == is_zip64


@pytest.mark.parametrize(
    ("extra", "wanted", "values"),
    [
        (b"\1\0\x08\0" + b"\5" + b"\0" * 7, 1, [5]),
        (b"UT\1\0x" + b"\1\0\x08\0" + b"\5" + b"\0" * 7, 1, [5]),
        (b"\1\0\x08\0" + b"\5" + b"\0" * 7, 2, None),
        (b"UT\1\0x", 1, None),
        (b"\1\0\xff\0", 1, None),
        (b"\1\0", 1, None),
        (b"", 1, None),
    ],
)
def test_the_zip64_field_is_found_among_others(
    extra: bytes, wanted: int, values: list[int] | None
) -> None:
    assert zip64_values(extra, wanted) == values


def test_a_raw_copy_keeps_content_and_time_but_no_makers_marks(tmp_path: Path) -> None:
    source = RawEntry(
        "Pümpe.jar", b"jar" * 100, mode=0o100600, extra=b"UT\4\0abcd", comment=b"by hand",
        descriptor="signed",
    )  # fmt: skip
    with Archive.open(write_zip(tmp_path / "a.zip", [source])) as archive:
        entry = archive.entries[0]
        copy = NewEntry.like(entry)
        raw = bytearray()
        list(archive.chunks(entry, on_raw=raw.extend))
    output = tmp_path / "b.zip"
    with output.open("wb") as stream:
        (placed,), end = lay_out([copy])
        written = WrittenFile(output, stream.fileno())
        written.write_at(placed.local + raw, 0)
        write_directory(written, [placed], end)
    with zipfile.ZipFile(output) as oracle:
        (made,) = oracle.infolist()
        assert oracle.read(made) == b"jar" * 100
    assert (made.filename, made.extra, made.comment) == ("Pümpe.jar", b"", b"")
    assert (made.external_attr >> 16, made.flag_bits) == (0o100644, 0x800)
    assert zlib.crc32(b"jar" * 100) == made.CRC
    assert (made.date_time, copy.dos_date) == ((1980, 1, 1, 0, 0, 0), 0x21)
