"""Writing an archive whose bytes depend only on its content."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ign_deploy.module.stable_file import WrittenFile
from ign_deploy.module.zip_entry import ZipEntry
from ign_deploy.module.zip_records import (
    FLAG_UTF8,
    STORED,
    central_header,
    end_records,
    local_header,
)

REGULAR_0644 = 0o100644 << 16
DIRECTORY_0755 = (0o040755 << 16) | 0x10


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """An entry of a new archive: its two headers and where its data goes (offset in bytes)."""

    local: bytes
    central: bytes
    header_offset: int
    data_offset: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What a new archive's headers say about an entry; sizes in bytes."""

    name: bytes
    method: int
    dos_time: int
    dos_date: int
    crc32: int
    compressed_size: int
    size: int
    external_attributes: int

    @classmethod
    def like(cls, entry: ZipEntry) -> Self:
        """Describe a raw copy of ``entry``.

        The modification time stays; extra fields, comments and the creator's system are dropped:
        they differ between machines and aren't signed.
        """
        return cls(
            name=entry.raw_name,
            method=entry.method,
            dos_time=entry.dos_time,
            dos_date=entry.dos_date,
            crc32=entry.crc32,
            compressed_size=entry.compressed_size,
            size=entry.size,
            external_attributes=DIRECTORY_0755 if entry.is_directory else REGULAR_0644,
        )

    def at(self, offset: int) -> PlacedEntry:
        """Return the headers for an entry whose local header is at ``offset``."""
        flags = 0 if self.name.isascii() else FLAG_UTF8
        sizes = (self.compressed_size, self.size)
        local = local_header(
            self.name,
            flags=flags,
            method=self.method,
            dos_time=self.dos_time,
            dos_date=self.dos_date,
            crc32=self.crc32,
            sizes=sizes,
        )
        central = central_header(
            self.name,
            flags=flags,
            method=self.method,
            dos_time=self.dos_time,
            dos_date=self.dos_date,
            crc32=self.crc32,
            sizes=sizes,
            external_attributes=self.external_attributes,
            offset=offset,
        )
        return PlacedEntry(local, central, offset, offset + len(local))


def stored_entry(name: str, data: bytes, *, dos_time: int, dos_date: int) -> NewEntry:
    """Describe a small file, stored so that its bytes depend on no deflater."""
    from zlib_ng import zlib_ng

    return NewEntry(
        name=name.encode(),
        method=STORED,
        dos_time=dos_time,
        dos_date=dos_date,
        crc32=zlib_ng.crc32(data),
        compressed_size=len(data),
        size=len(data),
        external_attributes=REGULAR_0644,
    )


def lay_out(entries: Iterable[NewEntry]) -> tuple[list[PlacedEntry], int]:
    """Lay entries out one after the other; return them and the offset after the last one."""
    offset = 0
    placed: list[PlacedEntry] = []
    for entry in entries:
        placed.append(entry.at(offset))
        offset = placed[-1].data_offset + entry.compressed_size
    return placed, offset


def write_directory(output: WrittenFile, placed: Iterable[PlacedEntry], offset: int) -> int:
    """Write the central directory and the end records at ``offset``; return the file's size."""
    entries = [entry.central for entry in placed]
    directory = b"".join(entries)
    end = end_records(count=len(entries), offset=offset, size=len(directory))
    return output.write_at(directory + end, offset)
