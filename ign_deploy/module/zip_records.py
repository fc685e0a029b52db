"""The ZIP records that we read and write, as laid down in PKWARE's APPNOTE 6.3."""

from __future__ import annotations

import struct
import zlib

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
END64 = struct.Struct("<4sQHHIIQQQQ")
LOCATOR64 = struct.Struct("<4sIQI")

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR64_SIGNATURE = b"PK\x06\x07"
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
SIGNATURES = (
    LOCAL_SIGNATURE,
    CENTRAL_SIGNATURE,
    END_SIGNATURE,
    END64_SIGNATURE,
    LOCATOR64_SIGNATURE,
)

STORED = 0
DEFLATED = 8

FLAG_ENCRYPTED = 0x0001
FLAG_DESCRIPTOR = 0x0008
FLAG_STRONG_ENCRYPTION = 0x0040
FLAG_UTF8 = 0x0800
FLAG_MASKED_HEADERS = 0x2000

MAX_16 = 0xFFFF
MAX_32 = 0xFFFFFFFF
MAX_COMMENT = 0xFFFF
ZIP64_EXTRA = 0x0001
UNICODE_PATH = 0x7075

VERSION_DEFAULT = 20
VERSION_ZIP64 = 45
MADE_BY_UNIX = 3 << 8

# 1980-01-01 00:00, the earliest time a ZIP can store.
EPOCH_DOS_TIME = 0
EPOCH_DOS_DATE = (0 << 9) | (1 << 5) | 1


def zip64_values(extra: bytes, wanted: int) -> list[int] | None:
    """Return the first ``wanted`` 64-bit numbers of the ZIP64 extra field, None without them.

    ``extra`` is the whole extra field block of a header.
    """
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + length > len(extra):
            return None
        if kind == ZIP64_EXTRA:
            if length < 8 * wanted:
                return None
            return list(struct.unpack_from(f"<{wanted}Q", extra, position))
        position += length
    return None


def unicode_path(raw_name: bytes, extra: bytes) -> bytes | None:
    """Return the name in an Info-ZIP Unicode Path field (APPNOTE 4.6.9), None without one.

    The field counts only if its CRC is that of the entry's name; ``extra`` is the whole block.
    """
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        field = extra[position + 4 : position + 4 + length]
        if kind == UNICODE_PATH and field[:5] == struct.pack("<BI", 1, zlib.crc32(raw_name)):
            return field[5:]
        position += 4 + length
    return None


def is_extra_sound(extra: bytes) -> bool:
    """Return whether an extra field block of the directory is one that java.util.zip accepts.

    Its fields fill it, but for up to three bytes, and there is one ZIP64 field at most, of one of
    the sizes that it can have (ZipFile.Source.checkExtraFields since JDK 17.0.8).
    """
    position = 0
    has_zip64 = False
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4 + length
        is_zip64 = kind == ZIP64_EXTRA
        if position > len(extra) or (is_zip64 and length not in (0, 8, 16, 24, 28)):
            return False
        if is_zip64 and has_zip64:
            return False
        has_zip64 |= is_zip64
    return True


def local_header(
    name: bytes,
    *,
    flags: int,
    method: int,
    dos_time: int,
    dos_date: int,
    crc32: int,
    sizes: tuple[int, int],
) -> bytes:
    """Build a local file header; ``sizes`` is (compressed, uncompressed) in bytes.

    Sizes are always in the header, never in a data descriptor; ZIP64 only where it is needed.
    """
    compressed, size = sizes
    needs_zip64 = max(sizes) >= MAX_32
    extra = struct.pack("<HHQQ", ZIP64_EXTRA, 16, size, compressed) if needs_zip64 else b""
    return (
        LOCAL.pack(
            LOCAL_SIGNATURE,
            VERSION_ZIP64 if needs_zip64 else VERSION_DEFAULT,
            flags,
            method,
            dos_time,
            dos_date,
            crc32,
            MAX_32 if needs_zip64 else compressed,
            MAX_32 if needs_zip64 else size,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def central_header(
    name: bytes,
    *,
    flags: int,
    method: int,
    dos_time: int,
    dos_date: int,
    crc32: int,
    sizes: tuple[int, int],
    external_attributes: int,
    offset: int,
) -> bytes:
    """Build a central directory header, the twin of ``local_header`` at ``offset``."""
    compressed, size = sizes
    large = [value for value in (size, compressed, offset) if value >= MAX_32]
    # The local header has both sizes as soon as one is large; here only those that don't fit.
    extra = struct.pack(f"<HH{len(large)}Q", ZIP64_EXTRA, 8 * len(large), *large) if large else b""
    needed = VERSION_ZIP64 if large else VERSION_DEFAULT
    return (
        CENTRAL.pack(
            CENTRAL_SIGNATURE,
            MADE_BY_UNIX | needed,
            needed,
            flags,
            method,
            dos_time,
            dos_date,
            crc32,
            min(compressed, MAX_32),
            min(size, MAX_32),
            len(name),
            len(extra),
            0,
            0,
            0,
            external_attributes,
            min(offset, MAX_32),
        )
        + name
        + extra
    )


def end_records(*, count: int, offset: int, size: int) -> bytes:
    """Build the end of central directory, with the ZIP64 records where they are needed."""
    end = END.pack(
        END_SIGNATURE,
        0,
        0,
        min(count, MAX_16),
        min(count, MAX_16),
        min(size, MAX_32),
        min(offset, MAX_32),
        0,
    )
    if count < MAX_16 and offset < MAX_32 and size < MAX_32:
        return end
    end64 = END64.pack(
        END64_SIGNATURE,
        END64.size - 12,
        MADE_BY_UNIX | VERSION_ZIP64,
        VERSION_ZIP64,
        0,
        0,
        count,
        count,
        size,
        offset,
    )
    return end64 + LOCATOR64.pack(LOCATOR64_SIGNATURE, 0, offset + size, 1) + end
