"""An entry of a module's archive, the rules for it, and how large it may be."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ign_deploy.module.findings import Finding, error, legible, warning
from ign_deploy.module.zip_records import (
    DEFLATED,
    FLAG_ENCRYPTED,
    FLAG_MASKED_HEADERS,
    FLAG_STRONG_ENCRYPTION,
    STORED,
)

_DRIVE = re.compile(r"[A-Za-z]:")
_UNIX_HOSTS = frozenset({3, 19})


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """What the central directory says about an entry, and where its bytes are.

    Sizes and offsets are in bytes; ``data_offset`` and ``end`` (just after the data and its
    descriptor) are 0 until the local header has been read.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    dos_time: int
    dos_date: int
    crc32: int
    compressed_size: int
    size: int
    made_by: int
    external_attributes: int
    header_offset: int
    data_offset: int = 0
    end: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether the entry is a folder, by its trailing slash."""
        return self.name.endswith("/")

    @property
    def mode(self) -> int:
        """The Unix mode with its file type, 0 when the archive has none."""
        return self.external_attributes >> 16 if self.made_by in _UNIX_HOSTS else 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that an archive may cost us; sizes in bytes.

    ``max_ratio`` (uncompressed to compressed) applies only to entries above ``ratio_floor``: a
    small text may well shrink a thousandfold.
    """

    max_entries: int = 100_000
    max_entry_size: int = 4 << 30
    max_total_size: int = 16 << 30
    max_ratio: int = 200
    ratio_floor: int = 32 << 20


def check_entry(entry: ZipEntry) -> Iterator[Finding]:
    """Yield what makes an entry unsafe, unreadable or suspicious."""
    yield from _check_name(entry.name)
    yield from _check_kind(entry)
    if entry.flags & (FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED_HEADERS):
        yield error(
            "entry-encrypted",
            f"{entry.name} is encrypted; a gateway can't read it",
            location=entry.name,
            hint="build the module without a ZIP password.",
        )
    elif entry.method not in (STORED, DEFLATED):
        yield error(
            "entry-compression",
            f"{entry.name} uses compression method {entry.method}; Java reads only 0 and 8",
            location=entry.name,
            hint="create the archive with deflate compression.",
        )
    elif entry.method == STORED and entry.size != entry.compressed_size:
        yield error(
            "entry-size",
            f"{entry.name} is stored uncompressed, but its two sizes differ",
            location=entry.name,
        )


def _check_name(name: str) -> Iterator[Finding]:
    shown = legible(name)
    if not name or name == "/":
        yield error("entry-name", "an entry has no name")
        return
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        yield error(
            "entry-name", f"the entry name {shown} contains control characters", location=shown
        )
    parts = name.replace("\\", "/").split("/")
    if name[0] in "/\\" or _DRIVE.match(name):
        yield error(
            "entry-absolute",
            f"the entry name {shown} is absolute",
            location=shown,
            hint="store names relative to the module's root.",
        )
    if ".." in parts:
        yield error(
            "entry-traversal",
            f"the entry name {shown} has a '..' part",
            location=shown,
            hint="store names without '..' parts.",
        )
    elif "." in parts:
        yield error(
            "entry-name",
            f"the entry name {shown} has a '.' part, so a gateway doesn't find the file",
            location=shown,
            hint="build the archive from `*` instead of `.`, or with a tool that omits `./`.",
        )
    elif "" in parts[:-1] and name[0] not in "/\\":
        yield error("entry-name", f"the entry name {shown} has an empty part", location=shown)
    if "\\" in name:
        yield warning(
            "entry-backslash",
            f"the entry name {shown} contains a backslash, which separates folders only on Windows",
            location=shown,
            hint="use forward slashes.",
        )


def _check_kind(entry: ZipEntry) -> Iterator[Finding]:
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        yield error(
            "entry-symlink",
            f"{entry.name} is a symbolic link",
            location=entry.name,
            hint="put the file itself into the module.",
        )
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield error(
            "entry-kind", f"{entry.name} is neither a file nor a folder", location=entry.name
        )
    if entry.is_directory and entry.size:
        yield error("entry-kind", f"the folder {entry.name} has content", location=entry.name)


def check_duplicates(entries: tuple[ZipEntry, ...]) -> Iterator[Finding]:
    """Yield each name that is in the archive twice: which one counts depends on the reader.

    Names that differ only in case are one on Windows and macOS.
    """
    seen: set[str] = set()
    reported: set[str] = set()
    folded: dict[str, str] = {}
    for entry in entries:
        other = folded.setdefault(entry.name.casefold(), entry.name)
        if other != entry.name and entry.name not in seen:
            yield warning(
                "entry-case",
                f"{entry.name} and {other} differ only in letter case",
                location=entry.name,
                hint="rename one: on Windows and macOS, unpacking one replaces the other.",
            )
        if entry.name in seen and entry.name not in reported:
            reported.add(entry.name)
            yield error(
                "entry-duplicate",
                f"{entry.name} is in the archive more than once",
                location=entry.name,
                hint="do a clean build, and check which copy is the right one.",
            )
        seen.add(entry.name)


def check_sizes(entries: tuple[ZipEntry, ...], limits: Limits) -> Iterator[Finding]:
    """Yield each entry that would cost more memory, disk or time than any module needs."""
    total = 0
    for entry in entries:
        total += entry.size
        if entry.size > limits.max_entry_size:
            yield error(
                "entry-too-large",
                f"{entry.name} declares {entry.size} bytes; the limit is {limits.max_entry_size}",
                location=entry.name,
            )
        elif entry.size > limits.ratio_floor and entry.size > limits.max_ratio * max(
            entry.compressed_size, 1
        ):
            yield error(
                "zip-bomb",
                f"{entry.name} is a ZIP bomb: {entry.size} bytes from {entry.compressed_size}",
                location=entry.name,
                hint="don't open this file; ask its author how it was made.",
            )
    if total > limits.max_total_size:
        yield error(
            "archive-too-large",
            f"the content has {total} bytes; the limit is {limits.max_total_size}",
        )
