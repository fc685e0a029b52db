"""What the checks need to know about a jar, read in little memory and as leniently as by Java.

A jar may have bytes before its ZIP, duplicates or oddities inside: Java opens it anyway.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO

from ign_deploy.module.zip_records import DEFLATED, FLAG_ENCRYPTED, STORED

_CLASS_HEADER = struct.Struct(">IHH")
_CLASS_MAGIC = 0xCAFEBABE
# Java 1 is class-file format 45 (JVM specification, table 4.1-A).
_FORMAT_OFFSET = 44
_END_MAGIC = b"PK\5\6"
_END_SIZE = 22
_GZIP = b"\x1f\x8b"
_PACKED = b"\xca\xfe\xd0\x0d"
_MANIFEST = "META-INF/MANIFEST.MF"
_VERSIONED = "META-INF/versions/"
_MAX_MANIFEST = 1 << 20
_MAX_DIRECTORY = 16 << 20
_MAX_CONTENT = 2 << 30
# Classes of one jar are compiled alike; that many, evenly spread, show the newest format.
_MAX_SAMPLE = 1000
_SDK = tuple(
    f"com/inductiveautomation/ignition/{part}/"
    for part in ("common", "gateway", "designer", "client")
)
# Everything zipfile is known to raise for damaged, encrypted or unsupported archives.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)


class UnreadableJarError(ValueError):
    """The bytes are not an archive that Java could open as a jar."""


def is_packed(name: str, stream: IO[bytes]) -> bool:
    """Return whether a file is a jar in the Pack200 format (JSR 200), compressed or not.

    Ignition 7 sends such jars to its clients under the name ``X.jar.pack.gz``.
    """
    if not name.lower().endswith((".pack", ".pack.gz")):
        return False
    stream.seek(0)
    is_compressed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    try:
        content = gzip.GzipFile(fileobj=stream, mode="rb") if is_compressed else stream
        return content.read(len(_PACKED)) == _PACKED
    except (OSError, EOFError, zlib.error):
        return False


@dataclass(frozen=True, slots=True)
class JarFacts:
    """What is known about a jar.

    ``hooks`` are the wanted classes (dotted names) that it contains, ``similar`` those whose names
    differ from a wanted one only in case. ``newest_java`` is the highest Java release that a class
    needs (0 without classes), ``newest_class`` its entry.
    ``sdk_class`` is one bundled class of the Ignition SDK, empty without any.
    """

    hooks: frozenset[str]
    newest_java: int = 0
    newest_class: str = ""
    sdk_class: str = ""
    similar: tuple[str, ...] = ()
    implementation_version: str = ""


def inspect_jar(stream: IO[bytes], *, wanted: Iterable[str]) -> JarFacts:
    """Read a jar; ``wanted`` are dotted class names. Raises UnreadableJarError."""
    try:
        # Names are UTF-8 to Java whatever their flag says.
        with zipfile.ZipFile(_Bounded(stream), metadata_encoding="utf-8") as jar:
            _reject_unsupported(jar)
            return _facts(jar, wanted)
    except _ZIP_ERRORS as cause:
        raise UnreadableJarError(str(cause) or type(cause).__name__) from cause


def jar_contents(stream: IO[bytes]) -> Mapping[str, bytes]:
    """Return the SHA-256 of every file in a jar by name, folders included.

    Raises UnreadableJarError, also for a jar in which the order matters, since it has a name twice,
    for one that is very large when it is unpacked, and for one with bytes before or after it, in
    which another reader could find another directory.
    """
    try:
        with zipfile.ZipFile(_Bounded(stream), metadata_encoding="utf-8") as jar:
            _reject_unsupported(jar)
            entries = jar.infolist()
            # Not ``filename``, which ends at a NUL: Java's name doesn't.
            if len({entry.orig_filename for entry in entries}) != len(entries):
                raise UnreadableJarError("it has a name twice")
            if sum(entry.file_size for entry in entries) > _MAX_CONTENT:
                raise UnreadableJarError("it is too large")
            if min((entry.header_offset for entry in entries), default=0) or _has_tail(jar, stream):
                raise UnreadableJarError("there are bytes before or after it")
            return {entry.orig_filename: _sha256(jar, entry) for entry in entries}
    except _ZIP_ERRORS as cause:
        raise UnreadableJarError(str(cause) or type(cause).__name__) from cause


def _has_tail(jar: zipfile.ZipFile, stream: IO[bytes]) -> bool:
    stream.seek(-(_END_SIZE + len(jar.comment)), 2)
    return stream.read(len(_END_MAGIC)) != _END_MAGIC


def _sha256(jar: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with jar.open(entry) as content:
        return hashlib.file_digest(content, "sha256").digest()  # type: ignore[arg-type]  # reads


def class_java(header: bytes) -> int | None:
    """Return the Java release that a class file needs, None for anything else.

    ``header`` is the file's first eight bytes: magic, minor and major version.
    """
    if len(header) < _CLASS_HEADER.size:
        return None
    magic, _, major = _CLASS_HEADER.unpack_from(header)
    return major - _FORMAT_OFFSET if magic == _CLASS_MAGIC else None


class _Bounded:
    """A stream that won't read a central directory of absurd size into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._size = stream.seek(0, 2)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = self._size - self._stream.tell()
        if size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory has {size} bytes")
        return self._stream.read(size)


def _reject_unsupported(jar: zipfile.ZipFile) -> None:
    """Reject what makes Java reject the whole jar, wherever in it that is."""
    for entry in jar.infolist():
        if entry.flag_bits & FLAG_ENCRYPTED:
            raise zipfile.BadZipFile(f"{entry.filename!r} is encrypted")
        if entry.compress_type not in (STORED, DEFLATED):
            raise zipfile.BadZipFile(
                f"{entry.filename!r} has compression method {entry.compress_type}"
            )


def _facts(jar: zipfile.ZipFile, wanted: Iterable[str]) -> JarFacts:
    names = set(jar.namelist())
    wanted = frozenset(wanted)
    hooks = frozenset(name for name in wanted if name.replace(".", "/") + ".class" in names)
    lacking = {name.casefold() for name in wanted - hooks}
    classes = [name for name in jar.namelist() if _is_plain_class(name)]
    java, newest = _newest_class(jar, classes)
    return JarFacts(
        hooks=hooks,
        newest_java=java,
        newest_class=newest,
        sdk_class=next((name for name in classes if name.startswith(_SDK)), ""),
        similar=tuple(name for name in map(_dotted, classes) if name.casefold() in lacking),
        implementation_version=_implementation_version(jar) if _MANIFEST in names else "",
    )


def _dotted(entry_name: str) -> str:
    return entry_name.removesuffix(".class").replace("/", ".")


def _is_plain_class(name: str) -> bool:
    """Return whether this is a class that every Java loads, not one for newer releases only."""
    return (
        name.endswith(".class")
        and not name.startswith(_VERSIONED)
        and name.rpartition("/")[2] != "module-info.class"
    )


def _newest_class(jar: zipfile.ZipFile, classes: list[str]) -> tuple[int, str]:
    step = -(-len(classes) // _MAX_SAMPLE) or 1
    newest = (0, "")
    for name in classes[::step]:
        java = class_java(_head(jar, name, _CLASS_HEADER.size))
        if java is not None and java > newest[0]:
            newest = (java, name)
    return newest


def _head(jar: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Return an entry's first bytes; none when only Java's reader is lenient enough for it."""
    try:
        with jar.open(name) as stream:
            return stream.read(size)
    except _ZIP_ERRORS:
        return b""


def _implementation_version(jar: zipfile.ZipFile) -> str:
    """Return the main section's Implementation-Version (JAR specification, "manifest")."""
    text = _head(jar, _MANIFEST, _MAX_MANIFEST).decode("utf-8", "replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n ", "").split("\n")
    for line in lines:
        if not line:
            return ""
        name, _, value = line.partition(":")
        if name.lower() == "implementation-version":
            return value.strip()
    return ""
