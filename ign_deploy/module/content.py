"""Which files differ between two modules, whenever and with whatever they were packed.

Two builds of the same sources pack the same files, but with the times of the build, in another
order, or compressed otherwise, and the same goes for the jars inside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from tempfile import SpooledTemporaryFile

from ign_deploy.module.archive import Archive
from ign_deploy.module.jar import UnreadableJarError, jar_contents
from ign_deploy.module.signature import SIGNATURE_FILES
from ign_deploy.module.zip_entry import ZipEntry

_ARCHIVES = (".jar", ".zip")
# Archives up to this size are read in memory, larger ones through a temporary file; bytes.
_IN_MEMORY = 8 << 20


def differing_files(first: Archive, second: Archive) -> Iterator[str]:
    """Yield the files that the modules don't share; those in jars as ``pump.jar!/Pump.class``.

    The signature's files don't count. Raises VerificationError for damaged content, OSError if
    there is no room for a jar.
    """
    ours, theirs = _files(first), _files(second)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            yield name
            continue
        entries = (first, ours[name]), (second, theirs[name])
        if _digest(*entries[0]) == _digest(*entries[1]):
            continue
        is_archive = name.lower().endswith(_ARCHIVES)
        first_jar, second_jar = (_jar(*each) if is_archive else {} for each in entries)
        if first_jar and second_jar:
            yield from (f"{name}!/{each}" for each in _unequal(first_jar, second_jar))
        else:
            yield name


def _files(archive: Archive) -> dict[str, ZipEntry]:
    return {
        entry.name: entry
        for entry in archive.entries
        if not entry.is_directory and entry.name not in SIGNATURE_FILES
    }


def _unequal(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Iterable[str]:
    return sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )


def _digest(archive: Archive, entry: ZipEntry) -> bytes:
    digest = hashlib.sha256()
    for chunk in archive.chunks(entry):
        digest.update(chunk)
    return digest.digest()


def _jar(archive: Archive, entry: ZipEntry) -> Mapping[str, bytes]:
    """Return the digests of what is in a jar; nothing if it has to be compared as a whole."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as stream:
        for chunk in archive.chunks(entry):
            stream.write(chunk)
        try:
            return jar_contents(stream)
        except UnreadableJarError:
            return {}
