"""Java class files: which Java they need, and which Java an Ignition version brings."""

from __future__ import annotations

import struct

from ign_deploy.module.version import ModuleVersion

_HEADER = struct.Struct(">IHH")
_MAGIC = 0xCAFEBABE
# Java 1 is class-file format 45 (JVM specification, table 4.1-A).
_FORMAT_OFFSET = 44
HEADER_SIZE = _HEADER.size


def class_java(header: bytes) -> int | None:
    """Return the Java release that a class file needs, None for anything else.

    ``header`` is the file's first eight bytes: magic, minor and major version.
    """
    if len(header) < HEADER_SIZE:
        return None
    magic, _, major = _HEADER.unpack_from(header)
    return major - _FORMAT_OFFSET if magic == _MAGIC else None


def platform_java(ignition: ModuleVersion) -> int:
    """Return the Java release that runs modules in that Ignition version."""
    if ignition.minor_line >= (8, 3):
        return 17
    return 11 if ignition.minor_line >= (8, 0) else 8
