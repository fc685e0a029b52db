"""The same module under another build number: only the version in its module.xml changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from xml.parsers import expat

from ign_deploy.errors import SigningError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.content import differing_files
from ign_deploy.module.descriptor import parse_descriptors
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME, MAX_DESCRIPTOR_SIZE
from ign_deploy.module.version import MAX_NUMBER, ModuleVersion

_MOST_NAMED = 5


def with_build_number(version: str, number: int) -> str:
    """Return the version with that build number: 1.2.3-rc1 with 2 is 1.2.3.2-rc1.

    Raises SigningError if the number isn't higher than the version's own, VersionSyntaxError for
    what a gateway can't install.
    """
    parsed = ModuleVersion.parse(version)
    if not any(parsed.numbers):
        raise SigningError(
            f"version {version} can't have a build number",
            hint="sign a released version, such as 1.4.2.",
        )
    if not parsed.numbers[3] < number <= MAX_NUMBER:
        raise SigningError(
            f"version {version} can't be signed again as build {number}: the number must be higher "
            f"than {parsed.numbers[3]}",
            hint=f"give --resign {parsed.numbers[3] + 1}.",
        )
    stage = "".join(version.partition("-")[1:])
    return ".".join(map(str, (*parsed.numbers[:3], number))) + stage


def replace_version(data: bytes, version: str) -> bytes:
    """Return a module.xml in which nothing but the version differs.

    Raises SigningError if that can't be done without changing anything else, VerificationError for
    a module.xml that isn't valid.
    """
    (descriptor,) = parse_descriptors(data)
    codec = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(data[:2], "latin-1")
    start, end = _version_element(data)
    # All other encodings of a module.xml have ASCII's letters where ASCII has them.
    tag, found, text = data[start:end].decode(codec).rpartition(">")
    if not descriptor.version or text.strip() != descriptor.version:
        raise _irreplaceable()
    written = tag + found + text.replace(descriptor.version, version)
    changed = data[:start] + written.encode(codec) + data[end:]
    if parse_descriptors(changed) != (replace(descriptor, version=version),):
        raise _irreplaceable()
    return changed


def _version_element(data: bytes) -> tuple[int, int]:
    """Return where the start tag of the version begins, and where its end tag does."""
    places: list[int] = []
    parser = expat.ParserCreate()

    def note(name: str, *_: object) -> None:
        if name.lower() == "version":
            places.append(parser.CurrentByteIndex)

    parser.StartElementHandler = parser.EndElementHandler = note
    parser.Parse(data, True)  # noqa: FBT003 - the API's
    if len(places) != 2:
        raise _irreplaceable()
    return places[0], places[1]


def _irreplaceable() -> SigningError:
    return SigningError(
        "the version in module.xml can't be replaced without changing anything else",
        hint="make the build write <version>1.2.3</version>, as plain text.",
    )


def differences_but_version(ours: Archive, theirs: Archive) -> tuple[str, ...]:
    """Return the first files that differ, apart from the version in module.xml.

    Raises VerificationError for damaged content, OSError if there is no room for a jar.
    """
    differing = islice(
        (each for each in differing_files(ours, theirs) if each != DESCRIPTOR_NAME), _MOST_NAMED
    )
    first, second = _descriptor(ours), _descriptor(theirs)
    return (*(() if _equal_but_version(first, second) else (DESCRIPTOR_NAME,)), *differing)


def _descriptor(archive: Archive) -> bytes:
    entry = archive.entry(DESCRIPTOR_NAME)
    return b"" if entry is None else archive.read(entry, limit=MAX_DESCRIPTOR_SIZE)


def _equal_but_version(first: bytes, second: bytes) -> bool:
    try:
        (descriptor,) = parse_descriptors(first)
        return replace_version(second, descriptor.version) == first
    except (SigningError, VerificationError):
        return False
