"""Modules of a second build of the same sources: the same files, packed another time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.modules import module_files

LATER = (2026, 3, 4, 5, 6, 8)


def packed_later(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP of the files in another order, with other times and another compression."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in reversed(list(files.items())):
            archive.writestr(zipfile.ZipInfo(name, LATER), data)
    return buffer.getvalue()


def jar_later(jar: bytes) -> bytes:
    """Return the jar as another build packs it."""
    with zipfile.ZipFile(io.BytesIO(jar)) as archive:
        return packed_later({name: archive.read(name) for name in archive.namelist()})


def rebuild(path: Path, *, files: Mapping[str, bytes | None] | None = None) -> Path:
    """Write the module of ``build_module`` as another build packs it, its jar included."""
    content = module_files()
    content = module_files(files={"pump.jar": jar_later(content["pump.jar"]), **(files or {})})
    path.write_bytes(packed_later(content))
    return path
