"""Modules, jars and archives for tests: sound ones by default, and every defect on request."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

HOOK = "com.example.GatewayHook"
JAVA_11 = 55
JAVA_17 = 61

Pairs = Sequence[tuple[str, str]]

TEXTS: Mapping[str, str] = {
    "id": "com.example.pump",
    "name": "Pump",
    "version": "1.2.3",
    "description": "Watches pumps.",
    "license": "license.html",
    "documentation": "index.html",
    "requiredIgnitionVersion": "8.1.20",
    "requiredFrameworkVersion": "8",
    "freeModule": "true",
    "vendorname": "Example",
}


def class_file(name: str = HOOK, *, major: int = JAVA_11) -> bytes:
    """Return an empty public class of that dotted name; ``major`` is its format (55: Java 11)."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return b"\x01" + struct.pack(">H", len(raw)) + raw

    constants = [b"\x07\0\x02", text(name.replace(".", "/")), b"\x07\0\x04"]
    constants.append(text("java/lang/Object"))
    return (
        struct.pack(">IHHH", 0xCAFEBABE, 0, major, len(constants) + 1)
        + b"".join(constants)
        + struct.pack(">HHHHHHH", 0x0021, 1, 3, 0, 0, 0, 0)
    )


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return a plain ZIP of the files, made by Python's zipfile, the same at any time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def jar(
    *classes: str,
    major: int = JAVA_11,
    files: Mapping[str, bytes] | None = None,
    manifest: Mapping[str, str] | None = None,
) -> bytes:
    """Return a jar with empty classes of these dotted names, a manifest and other files."""
    lines = {"Manifest-Version": "1.0", **(manifest or {})}
    content = {
        "META-INF/MANIFEST.MF": "".join(f"{key}: {lines[key]}\r\n" for key in lines).encode()
        + b"\r\n"
    }
    for name in classes:
        content[name.replace(".", "/") + ".class"] = class_file(name, major=major)
    return zip_bytes({**content, **(files or {})})


def module_xml(
    *,
    texts: Mapping[str, str | None] | None = None,
    hooks: Pairs = (("G", HOOK),),
    jars: Pairs = (("G", "pump.jar"),),
    extra: str = "",
) -> bytes:
    """Return a module.xml. ``texts`` replaces elements of ``TEXTS`` (None drops one).

    ``hooks`` and ``jars`` are (scope, text); ``extra`` is XML put at the end of the module.
    """
    values = {**TEXTS, **(texts or {})}
    lines = [
        f"<{name}>{escape(value)}</{name}>" for name, value in values.items() if value is not None
    ]
    lines += [f"<hook scope={quoteattr(scope)}>{escape(text)}</hook>" for scope, text in hooks]
    lines += [f"<jar scope={quoteattr(scope)}>{escape(text)}</jar>" for scope, text in jars]
    body = "\n".join([*lines, extra])
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}\n<modules><module>\n{body}\n</module></modules>".encode()


def module_files(
    *,
    files: Mapping[str, bytes | None] | None = None,
    texts: Mapping[str, str | None] | None = None,
    hooks: Pairs = (("G", HOOK),),
    jars: Pairs = (("G", "pump.jar"),),
    extra: str = "",
) -> dict[str, bytes]:
    """Return the files of a sound module; ``files`` adds, replaces or (None) drops some."""
    content: dict[str, bytes | None] = {
        "module.xml": module_xml(texts=texts, hooks=hooks, jars=jars, extra=extra),
        "pump.jar": jar(HOOK, manifest={"Implementation-Version": "1.2.3"}),
        "license.html": b"<html>Do what you like.</html>\n",
        "doc/index.html": b"<html>Pumps.</html>\n",
        **(files or {}),
    }
    return {name: data for name, data in content.items() if data is not None}


def build_module(
    path: Path,
    *,
    files: Mapping[str, bytes | None] | None = None,
    texts: Mapping[str, str | None] | None = None,
    hooks: Pairs = (("G", HOOK),),
    jars: Pairs = (("G", "pump.jar"),),
    extra: str = "",
) -> Path:
    """Write an unsigned module that gives no finding, with these changes; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = module_files(files=files, texts=texts, hooks=hooks, jars=jars, extra=extra)
    path.write_bytes(zip_bytes(content))
    return path


def bare_folder(
    root: Path, *, texts: Mapping[str, str | None] | None = None, extra: str = ""
) -> Path:
    """Make a project without build files: module.xml and what it names; return ``root``."""
    for name, data in module_files(texts=texts, extra=extra).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@dataclass(frozen=True)
class RawEntry:
    """One entry for ``raw_zip``; what is None is computed, anything else is written as it is.

    ``descriptor``: ``"signed"``, ``"plain"``, or ``"zip64"`` (signed, eight-byte sizes) puts the
    sizes behind the data; before it, the ``local_`` ones are stated, or 0. ``zip64`` puts them into
    extra fields. ``orphan`` leaves the entry out of the central directory; ``ghost`` writes no
    local part and points to the entry before instead. ``gap`` is bytes before the local header that
    belong to no entry.
    """

    name: str | bytes
    data: bytes = b"content"
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    made_by: int = 3
    stored: bytes | None = None
    crc32: int | None = None
    size: int | None = None
    compressed_size: int | None = None
    local_name: bytes | None = None
    local_flags: int | None = None
    local_method: int | None = None
    local_crc32: int | None = None
    local_size: int | None = None
    local_compressed_size: int | None = None
    offset: int | None = None
    disk: int = 0
    extra: bytes = b""
    comment: bytes = b""
    descriptor: str = ""
    zip64: bool = False
    orphan: bool = False
    ghost: bool = False
    gap: bytes = b""

    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    def payload(self) -> bytes:
        if self.stored is not None:
            return self.stored
        return deflate(self.data) if self.method == 8 else self.data

    def numbers(self) -> tuple[int, int, int]:
        """Return CRC, compressed size and size as the directory shall state them."""
        crc = zlib.crc32(self.data) if self.crc32 is None else self.crc32
        stored = len(self.payload()) if self.compressed_size is None else self.compressed_size
        return crc, stored, len(self.data) if self.size is None else self.size

    def local(self) -> bytes:
        crc, stored, size = self.numbers()
        name = self.raw_name() if self.local_name is None else self.local_name
        flags = self.flags if self.local_flags is None else self.local_flags
        method = self.method if self.local_method is None else self.local_method
        crc = crc if self.local_crc32 is None else self.local_crc32
        size = size if self.local_size is None else self.local_size
        extra = self.extra
        behind = b""
        if self.descriptor:
            flags |= 8
            behind = b"" if self.descriptor == "plain" else b"PK\x07\x08"
            layout = "<IQQ" if self.descriptor == "zip64" else "<III"
            behind += struct.pack(layout, crc, stored, size)
            crc, size = self.local_crc32 or 0, self.local_size or 0
            stored = self.local_compressed_size or 0
        if self.zip64:
            extra = struct.pack("<HHQQ", 1, 16, size, stored) + extra
            stored = size = 0xFFFFFFFF
        header = struct.pack(
            "<4sHHHHHIIIHH", b"PK\x03\x04", 45 if self.zip64 else 20, flags, method, 0, 0x21,
            crc, stored, size, len(name), len(extra),
        )  # fmt: skip
        return header + name + extra + self.payload() + behind

    def central(self, offset: int) -> bytes:
        crc, stored, size = self.numbers()
        flags = self.flags | (8 if self.descriptor else 0)
        position = offset if self.offset is None else self.offset
        extra = self.extra
        if self.zip64:
            extra = struct.pack("<HHQQQ", 1, 24, size, stored, position) + extra
            stored = size = position = 0xFFFFFFFF
        name = self.raw_name()
        header = struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", self.made_by << 8 | 20, 20, flags, self.method,
            0, 0x21, crc, stored, size, len(name), len(extra), len(self.comment), self.disk, 0,
            self.mode << 16, position,
        )  # fmt: skip
        return header + name + extra + self.comment


def deflate(data: bytes) -> bytes:
    """Return ``data`` as a raw deflate stream, the way a ZIP stores it."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def raw_zip(
    entries: Sequence[RawEntry],
    *,
    prefix: bytes = b"",
    counted_prefix: bytes = b"",
    before_directory: bytes = b"",
    trailing: bytes = b"",
    comment: bytes = b"",
    zip64_end: bool = False,
    disk: int = 0,
    count: int | None = None,
    directory_offset: int | None = None,
    directory_size: int | None = None,
) -> bytes:
    """Write an archive record by record.

    ``prefix`` shifts everything without the offsets knowing; ``counted_prefix`` is known to the
    offsets, as in a self-extracting archive.
    """
    body = counted_prefix
    directory = b""
    number = previous = 0
    for entry in entries:
        offset = previous
        if not entry.ghost:
            body += entry.gap
            offset = previous = len(body)
            body += entry.local()
        if not entry.orphan:
            directory += entry.central(offset)
            number += 1
    body += before_directory
    number = number if count is None else count
    size = len(directory) if directory_size is None else directory_size
    start = len(body) if directory_offset is None else directory_offset
    end64 = b""
    if zip64_end:
        end64 = struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, disk, disk, number, number, size, start
        ) + struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body) + len(directory), 1)
        number, size, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    end = struct.pack(
        "<4sHHHHIIH", b"PK\x05\x06", disk, disk, number, number, size, start, len(comment)
    )
    return prefix + body + directory + end64 + end + comment + trailing


def write_zip(path: Path, entries: Sequence[RawEntry]) -> Path:
    """Write ``raw_zip(entries)`` to ``path`` and return it."""
    path.write_bytes(raw_zip(entries))
    return path
