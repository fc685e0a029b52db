"""Packing files into an archive reproducibly: sorted, mode 0644, one time stamp, one deflater."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import atomic_output, open_regular, os_error_reason
from ign_deploy.module.archive import Archive
from ign_deploy.module.stable_file import BLOCK, WrittenFile
from ign_deploy.module.zip_entry import ZipEntry
from ign_deploy.module.zip_records import DEFLATED, EPOCH_DOS_DATE, EPOCH_DOS_TIME
from ign_deploy.module.zip_writer import (
    REGULAR_0644,
    NewEntry,
    PlacedEntry,
    write_directory,
)

# The standard library's deflater, not the faster one that we inflate with: its output is the same
# on every processor.
_LEVEL = 6
_LAST_YEAR = 2107


@dataclass(frozen=True, slots=True)
class DosTime:
    """A ZIP time stamp: two seconds' resolution, no time zone, 1980 to 2107."""

    time: int = EPOCH_DOS_TIME
    date: int = EPOCH_DOS_DATE

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Take SOURCE_DATE_EPOCH (seconds since 1970, UTC), or 1980-01-01 without one.

        Raises ConfigurationError when it isn't a number of seconds that a ZIP can store.
        """
        text = env.get("SOURCE_DATE_EPOCH", "").strip()
        if not text:
            return cls()
        try:
            moment = datetime.fromtimestamp(int(text), tz=UTC)
        except (ValueError, OverflowError, OSError) as cause:
            raise ConfigurationError(
                f"SOURCE_DATE_EPOCH is {text[:40]!r}, expected seconds since 1970",
                hint="set it to the commit's time: `git log -1 --format=%ct`.",
            ) from cause
        return cls.from_datetime(moment)

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """Convert an aware time to UTC and to what a ZIP can store; before 1980 means 1980."""
        utc = moment.astimezone(UTC)
        if utc.year < 1980:
            return cls()
        if utc.year > _LAST_YEAR:
            raise ConfigurationError(
                f"a ZIP can't store a time in the year {utc.year}", hint="fix SOURCE_DATE_EPOCH."
            )
        return cls(
            (utc.hour << 11) | (utc.minute << 5) | (utc.second // 2),
            ((utc.year - 1980) << 9) | (utc.month << 5) | utc.day,
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A file to pack: its ``name`` inside, and its bytes, path, blocks or an archive's entry.

    Blocks that raise an error leave no output.
    """

    name: str
    source: bytes | Path | Callable[[], Iterator[bytes]] | tuple[Archive, ZipEntry]

    def blocks(self) -> Iterator[bytes | memoryview]:
        """Yield the content in pieces."""
        if isinstance(self.source, bytes):
            yield self.source
        elif isinstance(self.source, Path):
            yield from _file_blocks(self.source)
        elif callable(self.source):
            yield from self.source()
        else:
            archive, entry = self.source
            yield from archive.chunks(entry)


def _file_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's content; a read error is reported as the file's, not the output's."""
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            while block := stream.read(BLOCK):
                yield block
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read {path}: {os_error_reason(cause)}", hint="check the file's permissions."
        ) from cause


def pack(
    members: Iterable[Member], output: Path, *, timestamp: DosTime | None = None
) -> tuple[str, int]:
    """Write the members to ``output``, sorted by name; it is either absent or complete.

    Returns the SHA-256 and size of what was written. Folders get no entries of their own. Equal
    names, contents and ``timestamp`` give equal bytes. Raises ConfigurationError for a
    repeated name or a folder that can't be written, VerificationError if another process wrote to
    the file.
    """
    ordered = sorted(members, key=lambda member: member.name)
    for first, second in itertools.pairwise(ordered):
        if first.name == second.name:
            raise ConfigurationError(f"{first.name} would be packed twice")
    with atomic_output(output) as stream:
        written = WrittenFile(output, stream.fileno())
        placed: list[PlacedEntry] = []
        offset = 0
        for member in ordered:
            entry, offset = _write_member(written, member, offset, timestamp or DosTime())
            placed.append(entry)
        write_directory(written, placed, offset)
        return written.digest()


def _write_member(
    written: WrittenFile, member: Member, offset: int, timestamp: DosTime
) -> tuple[PlacedEntry, int]:
    """Deflate one member after ``offset``; its header follows when the sizes are known."""
    name = _raw_name(member.name)
    data_offset = end = offset + len(_new_entry(name, timestamp).at(offset).local)
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    crc = size = 0
    for block in member.blocks():
        crc = zlib.crc32(block, crc)
        size += len(block)
        end = written.write_at(deflater.compress(block), end)
    end = written.write_at(deflater.flush(), end)
    entry = _new_entry(name, timestamp, crc32=crc, compressed_size=end - data_offset, size=size)
    placed = entry.at(offset)
    if placed.data_offset != data_offset:
        raise ConfigurationError(
            f"{member.name} has {size} bytes; files of 4 GiB and more can't be packed",
            hint="split the file.",
        )
    written.write_at(placed.local, offset)
    return placed, end


def _raw_name(name: str) -> bytes:
    try:
        return name.encode()
    except UnicodeEncodeError as cause:
        raise ConfigurationError(
            f"the file name {name!r} isn't UTF-8; Java couldn't open the archive",
            hint="rename the file, or run with a UTF-8 locale.",
        ) from cause


def _new_entry(
    name: bytes, timestamp: DosTime, *, crc32: int = 0, compressed_size: int = 0, size: int = 0
) -> NewEntry:
    return NewEntry(
        name=name,
        method=DEFLATED,
        dos_time=timestamp.time,
        dos_date=timestamp.date,
        crc32=crc32,
        compressed_size=compressed_size,
        size=size,
        external_attributes=REGULAR_0644,
    )
