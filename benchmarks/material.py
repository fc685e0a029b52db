"""Material for the benchmarks: large modules made of real jars, and large repositories."""

from __future__ import annotations

import random
import zipfile
import zlib
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from ign_deploy.module.packer import Member, pack
from ign_deploy.repositories.record import make_release
from tests.support.modules import module_xml
from tests.support.releases import release_fields

MEBIBYTE = 1 << 20
_REAL_JARS = (Path("/usr/share/java"), Path("/usr/share/gradle/lib"), Path("/usr/share/maven-repo"))
_ENOUGH = 40 * MEBIBYTE


def jar_bytes() -> Iterator[bytes]:
    """Yield jar content in mebibytes, endlessly: from the machine's jars, if there are enough.

    Otherwise generate class-like content, deflated, so that it is about as incompressible.
    """
    jars = {path.resolve() for folder in _REAL_JARS for path in folder.rglob("*.jar")}
    data = b"".join(path.read_bytes() for path in sorted(jars))
    if len(data) < _ENOUGH:
        data = _generated(_ENOUGH)
    for offset in cycle(range(0, len(data) - MEBIBYTE, MEBIBYTE)):
        yield data[offset : offset + MEBIBYTE]


def _generated(size: int) -> bytes:
    generator = random.Random(1)
    words = [generator.randbytes(generator.randint(3, 20)) for _ in range(4000)]
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < size:
        text = b"".join(generator.choices(words, k=40_000))
        pieces.append(zlib.compress(text))
    return b"".join(pieces)


def large_module(path: Path, *, jars: int) -> Path:
    """Write an unsigned module with ``jars`` entries of one mebibyte each."""
    content = jar_bytes()
    names = [f"library-{number:03}.jar" for number in range(jars)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("module.xml", module_xml(jars=[("G", name) for name in names]))
        for name in names:
            archive.writestr(name, next(content))
    return path


def small_module(path: Path) -> Path:
    """Write an unsigned module of about one megabyte."""
    pack([Member("module.xml", module_xml()), Member("pump.jar", next(jar_bytes()))], path)
    return path


def fill_repository(root: Path, *, versions: int, module_id: str = "com.example.pump") -> None:
    """Write this many published versions of one module, as publishing would."""
    for number in range(versions):
        fields = release_fields(module_id=module_id, version=f"0.1.{number}")
        release = make_release(**fields)
        folder = root / "modules" / release.id / release.version
        folder.mkdir(parents=True)
        (folder / release.module_file.name).write_bytes(b"module")
        (folder / "release.json").write_bytes(release.to_json())
