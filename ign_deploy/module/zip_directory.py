"""The central directory: found at the end of the file, read strictly, nothing taken on trust."""

from __future__ import annotations

from dataclasses import dataclass

from ign_deploy.errors import VerificationError
from ign_deploy.module.findings import Finding, error, legible_bytes
from ign_deploy.module.stable_file import StableFile
from ign_deploy.module.zip_entry import Limits, ZipEntry, check_duplicates, check_entry
from ign_deploy.module.zip_records import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    END,
    END64,
    END64_SIGNATURE,
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    LOCATOR64,
    LOCATOR64_SIGNATURE,
    MAX_16,
    MAX_32,
    MAX_COMMENT,
    SIGNATURES,
    is_extra_sound,
    unicode_path,
    zip64_values,
)

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_DIRECTORY_SIZE = 64 << 20


@dataclass(frozen=True, slots=True)
class Directory:
    """The entries of a central directory, its offset, and the findings about them."""

    entries: tuple[ZipEntry, ...]
    offset: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _End:
    count: int
    size: int
    offset: int
    position: int  # of the first end record, which the directory must touch


def archive_error(code: str, message: str, hint: str = "") -> VerificationError:
    """Return the error for an archive that can't be read any further."""
    return VerificationError.from_findings(error(code, message, hint=hint))


def read_directory(file: StableFile, limits: Limits) -> Directory:
    """Read the central directory; raises VerificationError when there is no valid one."""
    end = _find_end(file)
    if end.count > limits.max_entries:
        raise archive_error(
            "archive-too-large",
            f"the archive has {end.count} entries; the limit is {limits.max_entries}",
        )
    if end.size > _MAX_DIRECTORY_SIZE:
        raise archive_error(
            "archive-too-large",
            f"the central directory has {end.size} bytes; the limit is {_MAX_DIRECTORY_SIZE}",
        )
    actual_offset = end.position - end.size
    if actual_offset > end.offset:
        raise archive_error(
            "archive-prefix",
            f"{actual_offset - end.offset} bytes precede the ZIP, on which readers disagree",
            "build the module again; an archive must begin with its first entry.",
        )
    if actual_offset < end.offset:
        raise archive_error(
            "archive-directory", "the central directory isn't where the archive says", _DAMAGED
        )
    data = file.read_at(end.size, end.offset)
    entries = _parse_entries(data, end)
    findings = [finding for entry in entries for finding in check_entry(entry)]
    return Directory(entries, end.offset, (*findings, *check_duplicates(entries)))


_DAMAGED = "build or download the file again; it is damaged."


def _find_end(file: StableFile) -> _End:
    tail_size = min(file.size, END.size + MAX_COMMENT)
    tail = file.read_at(tail_size, file.size - tail_size)
    # A whole end record begins here at the latest.
    last = tail.rfind(END_SIGNATURE, 0, max(len(tail) - END.size + 4, 0))
    if last < 0:
        raise _explain_missing_end(file)
    fields = END.unpack_from(tail, last)
    if last + END.size + fields[7] == len(tail):
        require_no_record("the archive's comment", tail[last + END.size :])
        return _with_zip64(file, fields, file.size - tail_size + last)
    # Java also takes an end record whose comment doesn't reach the end of the file, if it points
    # at a directory: an earlier one that fits doesn't help, readers disagree about which counts.
    if _earlier_end_fits(tail, last):
        raise _hidden_record("the archive's comment")
    raise archive_error(
        "archive-trailing",
        "the archive is followed by bytes that don't belong to it, or it is cut off",
        _DAMAGED,
    )


def _earlier_end_fits(tail: bytes, position: int) -> bool:
    while (position := tail.rfind(END_SIGNATURE, 0, position)) >= 0:
        if position + END.size + END.unpack_from(tail, position)[7] == len(tail):
            return True
    return False


def require_no_record(where: str, data: bytes) -> None:
    """Reject ZIP records in bytes that belong to no entry: another reader may find them there.

    ``where`` names the bytes in the message. Raises VerificationError.
    """
    if b"PK" in data and any(signature in data for signature in SIGNATURES):
        raise _hidden_record(where)


def require_one_name(raw_name: bytes, extra: bytes) -> None:
    """Reject an Info-ZIP Unicode path that gives an entry another name than Java reads.

    Raises VerificationError.
    """
    other = unicode_path(raw_name, extra)
    if other not in (None, raw_name):
        shown, second = legible_bytes(raw_name), legible_bytes(other)
        raise archive_error(
            "archive-ambiguous",
            f"the entry {shown} has a second name, {second}, which other readers take",
            "build the module again with UTF-8 names.",
        )


def _hidden_record(where: str) -> VerificationError:
    return archive_error(
        "archive-ambiguous",
        f"{where} contains a ZIP record: readers disagree about what is in the archive",
        "build the module again, and find out who changed this file.",
    )


def _explain_missing_end(file: StableFile) -> VerificationError:
    head = file.read_at(512, 0)
    if file.size == 0:
        return archive_error("archive-empty", "the file is empty", "check the step that made it.")
    if head.startswith(_LFS_POINTER):
        return archive_error(
            "git-lfs-pointer",
            "the file is a Git LFS pointer, not the module itself",
            "run `git lfs pull`, or check out with LFS (actions/checkout: `lfs: true`).",
        )
    if head.startswith(LOCAL_SIGNATURE):
        return archive_error(
            "archive-truncated", "the ZIP has no end record: the file is cut off", _DAMAGED
        )
    return archive_error(
        "not-a-zip", "the file is not a ZIP, so it can't be a module", "pass a .modl file."
    )


def _with_zip64(file: StableFile, fields: tuple[bytes | int, ...], position: int) -> _End:
    _, *disks, count, size, offset, _ = (value if isinstance(value, int) else 0 for value in fields)
    disk, directory_disk, disk_count = disks
    values32 = (disk_count, count, size, offset)
    locator = (
        file.read_at(LOCATOR64.size, position - LOCATOR64.size)
        if position >= LOCATOR64.size
        else b""
    )
    if locator[:4] != LOCATOR64_SIGNATURE:
        if disk or directory_disk or disk_count != count:
            raise archive_error(
                "archive-split",
                "the archive is one part of a split ZIP",
                "build it as a single file.",
            )
        # A count of 65,535 may be meant: Java takes it as it is, and we count the entries.
        if MAX_32 in (size, offset):
            raise archive_error(
                "archive-directory", "the archive needs ZIP64 records, but has none", _DAMAGED
            )
        return _End(count, size, offset, position)
    _, _, end64_position, _ = LOCATOR64.unpack(locator)
    raw = file.read_at(END64.size, end64_position) if end64_position < position else b""
    if len(raw) < END64.size or raw[:4] != END64_SIGNATURE:
        raise archive_error(
            "archive-directory", "the ZIP64 end record isn't where the archive says", _DAMAGED
        )
    _, record_size, _, _, disk, directory_disk, disk_count, count, size, offset = END64.unpack(raw)
    if disk or directory_disk or disk_count != count:
        raise archive_error(
            "archive-split", "the archive is one part of a split ZIP", "build it as a single file."
        )
    if end64_position + 12 + record_size != position - LOCATOR64.size:
        raise archive_error(
            "archive-directory", "the ZIP64 end record has the wrong size", _DAMAGED
        )
    # Java uses the 32-bit values where the two records disagree.
    values64 = (disk_count, count, size, offset)
    for value, large, unset in zip(
        values32, values64, (MAX_16, MAX_16, MAX_32, MAX_32), strict=True
    ):
        if value not in (large, unset):
            raise archive_error(
                "archive-ambiguous",
                "the end record and the ZIP64 end record disagree: readers see different archives",
                _DAMAGED,
            )
    return _End(count, size, offset, end64_position)


def _parse_entries(data: bytes, end: _End) -> tuple[ZipEntry, ...]:
    entries: list[ZipEntry] = []
    position = 0
    while position < len(data):
        if data[position : position + 4] != CENTRAL_SIGNATURE or position + CENTRAL.size > len(
            data
        ):
            raise archive_error("archive-directory", "the central directory is damaged", _DAMAGED)
        entry, position = _parse_entry(data, position)
        entries.append(entry)
    if len(entries) != end.count or len(data) != end.size:
        raise archive_error(
            "archive-directory",
            f"the archive declares {end.count} entries, but lists {len(entries)}",
            _DAMAGED,
        )
    if not entries:
        raise archive_error(
            "archive-empty", "the archive has no entries", "check the step that made it."
        )
    return tuple(entries)


def _parse_entry(data: bytes, position: int) -> tuple[ZipEntry, int]:
    fields = CENTRAL.unpack_from(data, position)
    made_by, flags, method, dos_time, dos_date, crc32, compressed, size = fields[1], *fields[3:10]
    name_length, extra_length, comment_length, disk = fields[10:14]
    attributes, offset = fields[15:17]
    name_start = position + CENTRAL.size
    extra_start = name_start + name_length
    following = extra_start + extra_length + comment_length
    if following > len(data) or disk not in (0, MAX_16):
        raise archive_error("archive-directory", "the central directory is damaged", _DAMAGED)
    raw_name = data[name_start:extra_start]
    extra = data[extra_start : extra_start + extra_length]
    _check_extra(raw_name, extra, comment=data[extra_start + extra_length : following])
    large = [value == MAX_32 for value in (size, compressed, offset)]
    if any(large):
        values = zip64_values(extra, sum(large))
        if values is None:
            raise archive_error("archive-directory", "a ZIP64 entry lacks its sizes", _DAMAGED)
        size, compressed, offset = (
            values.pop(0) if is_large else value
            for is_large, value in zip(large, (size, compressed, offset), strict=True)
        )
    entry = ZipEntry(
        name=_decode_name(raw_name),
        raw_name=raw_name,
        flags=flags,
        method=method,
        dos_time=dos_time,
        dos_date=dos_date,
        crc32=crc32,
        compressed_size=compressed,
        size=size,
        made_by=made_by >> 8,
        external_attributes=attributes,
        header_offset=offset,
    )
    return entry, following


def _check_extra(raw_name: bytes, extra: bytes, *, comment: bytes) -> None:
    """Refuse an extra field or a comment that Java can't read, or that hides a record."""
    if not extra and not comment:
        return
    shown = legible_bytes(raw_name)
    require_no_record(f"the comment of {shown}", comment)
    require_no_record(f"the extra field of {shown}", extra)
    require_one_name(raw_name, extra)
    if not is_extra_sound(extra) or not _is_utf8(comment):
        raise archive_error(
            "archive-directory",
            f"the extra field or comment of {shown} is malformed; Java refuses the archive",
            _DAMAGED,
        )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode_name(raw_name: bytes) -> str:
    """Decode as Java does: UTF-8 whatever the flag says; anything else can't be opened there."""
    try:
        return raw_name.decode("utf-8")
    except UnicodeDecodeError as cause:
        shown = legible_bytes(raw_name)
        message = f"the entry name {shown} isn't UTF-8; Java rejects the whole archive"
        raise archive_error("entry-name", message, "build with a UTF-8 locale.") from cause
