"""Where each entry's bytes are: local headers agree with the directory, extents don't overlap."""

from __future__ import annotations

import struct
from dataclasses import replace

from ign_deploy.module.findings import Finding, error, warning
from ign_deploy.module.stable_file import StableFile
from ign_deploy.module.zip_directory import Directory, require_no_record, require_one_name
from ign_deploy.module.zip_entry import ZipEntry
from ign_deploy.module.zip_records import (
    DESCRIPTOR_SIGNATURE,
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    LOCAL,
    LOCAL_SIGNATURE,
    MAX_32,
    zip64_values,
)

_BLOCK = 1 << 20


def locate_members(
    file: StableFile, directory: Directory
) -> tuple[tuple[ZipEntry, ...], list[Finding]]:
    """Return the entries with their exact extents, in directory order, and what is wrong with them.

    An extent runs from the local header to the end of the data or its descriptor. "Up to the next
    header" would drag along whatever hides in between, unsigned.
    """
    findings: list[Finding] = []
    located: list[ZipEntry] = []
    for entry in directory.entries:
        try:
            located.append(_locate(file, entry, directory.offset))
        except _Mismatch as problem:
            findings.append(
                error(
                    "entry-header",
                    f"{entry.name}: {problem}",
                    location=entry.name,
                    hint="build the module again; the file is damaged or was tampered with.",
                )
            )
    if not findings:
        findings += _check_extents(file, located, directory.offset)
    return tuple(located), findings


class _Mismatch(Exception):
    """The local header contradicts the central directory."""


def _locate(file: StableFile, entry: ZipEntry, limit: int) -> ZipEntry:
    header = file.read_at(LOCAL.size, entry.header_offset) if entry.header_offset < limit else b""
    if len(header) < LOCAL.size or header[:4] != LOCAL_SIGNATURE:
        raise _Mismatch("there is no local header where the directory points")
    _, _, flags, method, _, _, crc32, compressed, size, name_length, extra_length = LOCAL.unpack(
        header
    )
    rest = file.read_at(name_length + extra_length, entry.header_offset + LOCAL.size)
    if rest[:name_length] != entry.raw_name:
        raise _Mismatch("the local header has a different name")
    require_no_record(f"the extra field of {entry.name}", rest[name_length:])
    require_one_name(entry.raw_name, rest[name_length:])
    if method != entry.method or (flags ^ entry.flags) & FLAG_ENCRYPTED:
        raise _Mismatch("the local header has a different compression or encryption")
    zip64 = zip64_values(rest[name_length:], 2)
    if zip64 is not None and MAX_32 in (compressed, size):
        size, compressed = zip64
    has_descriptor = bool(flags & FLAG_DESCRIPTOR)
    # Who streams knows some of the three at first, and says 0 for the others.
    unknown = (0,) if has_descriptor else ()
    for value, expected in (
        (crc32, entry.crc32), (compressed, entry.compressed_size), (size, entry.size)
    ):  # fmt: skip
        if value not in (expected, *unknown):
            raise _Mismatch("the local header has a different CRC or size")
    data_offset = entry.header_offset + LOCAL.size + name_length + extra_length
    end = data_offset + entry.compressed_size
    if has_descriptor and end <= limit:
        end += _descriptor_length(file, end, entry, is_large=zip64 is not None)
    if end > limit:
        raise _Mismatch("the data runs into the central directory")
    return replace(entry, data_offset=data_offset, end=end)


def _descriptor_length(file: StableFile, position: int, entry: ZipEntry, *, is_large: bool) -> int:
    """Measure the data descriptor: its signature is optional, its sizes have 4 or 8 bytes.

    They have 8 if there is a ZIP64 field (APPNOTE 4.3.9.2, ``is_large``), but not every writer
    keeps to that. Of an empty entry, both match.
    """
    found = file.read_at(24, position)
    for signature in (DESCRIPTOR_SIGNATURE, b""):
        for layout in ("<IQQ", "<III") if is_large else ("<III", "<IQQ"):
            try:
                wanted = signature + struct.pack(
                    layout, entry.crc32, entry.compressed_size, entry.size
                )
            except struct.error:
                continue  # the size doesn't fit into four bytes
            if found.startswith(wanted):
                return len(wanted)
    raise _Mismatch("the data descriptor has a different CRC or size")


def _check_extents(
    file: StableFile, entries: list[ZipEntry], directory_offset: int
) -> list[Finding]:
    findings: list[Finding] = []
    position = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < position:
            findings.append(
                error("entry-overlap", f"{entry.name} overlaps another entry", location=entry.name)
            )
        elif entry.header_offset > position:
            findings.append(_explain_gap(file, position, entry.header_offset))
        position = max(position, entry.end)
    if position < directory_offset:
        findings.append(_explain_gap(file, position, directory_offset))
    return findings


def _explain_gap(file: StableFile, start: int, end: int) -> Finding:
    hint = "build the module again; don't edit a module with a ZIP tool."
    if start == 0:
        return error("archive-prefix", f"{end} bytes precede the first entry", hint=hint)
    orphan = _find_local_header(file, start, end)
    if orphan is not None:
        return error(
            "entry-orphan",
            f"an entry at byte {orphan} is missing from the central directory",
            hint=hint,
        )
    return warning(
        "archive-gap", f"{end - start} bytes at offset {start} belong to no entry", hint=hint
    )


def _find_local_header(file: StableFile, start: int, end: int) -> int | None:
    """Return the offset of a local header between two offsets, also after padding."""
    while start < end:
        # Blocks overlap by three bytes: the signature may lie across their border.
        block = file.read_at(min(_BLOCK + 3, end - start), start)
        position = block.find(LOCAL_SIGNATURE)
        if position >= 0:
            return start + position
        start += _BLOCK
    return None
