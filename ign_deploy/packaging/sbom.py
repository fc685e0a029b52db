"""The bill of materials of a module: every jar in it, as CycloneDX 1.5 JSON."""

from __future__ import annotations

import hashlib
import io
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.properties import PropertiesSyntaxError, parse_properties
from ign_deploy.module.zip_entry import ZipEntry

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

# Larger jars are listed without their Maven coordinates rather than held in memory.
_MAX_JAR = 32 << 20
_MAX_POM_PROPERTIES = 64 << 10
_NAMESPACE = uuid.UUID("2b1b6d4e-6f0f-5c0e-9d3a-5a8a1e7f7f10")


def write_sbom(module: VerifiedModule, archive: Archive) -> bytes:
    """Return the bill of materials: equal bytes for equal modules.

    Maven coordinates come from the jars' own ``pom.properties``; a jar without one, or with several
    (a shaded one), is listed by its file name. The serial number is derived from the module's
    digest, and there is no time stamp.
    """
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot5

    descriptor = module.descriptor
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, module.sha256))
    bom.metadata.component = Component(
        name=descriptor.name or descriptor.id,
        version=descriptor.version,
        type=ComponentType.APPLICATION,
        bom_ref=descriptor.id,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=module.sha256)],
    )
    for entry in sorted(archive.entries, key=lambda entry: entry.name):
        if entry.name.lower().endswith(".jar"):
            bom.components.add(_jar_component(archive, entry))
    bom.register_dependency(bom.metadata.component, bom.components)
    document: str = JsonV1Dot5(_without_timestamp(bom)).output_as_string(indent=2)
    return document.encode() + b"\n"


def _without_timestamp(bom: Bom) -> Bom:
    # The library stamps the current time; a bundle must not depend on it.
    import datetime as dt

    bom.metadata.timestamp = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)
    return bom


def _jar_component(archive: Archive, entry: ZipEntry) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component

    digest = hashlib.sha256()
    data = bytearray()
    for piece in archive.chunks(entry):
        digest.update(piece)
        if entry.size <= _MAX_JAR:
            data += piece
    purl = _package_url(_maven_coordinates(bytes(data)))
    return Component(
        name=purl.name if purl else entry.name,
        group=purl.namespace if purl else None,
        version=purl.version if purl else None,
        bom_ref=entry.name,
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.hexdigest())],
    )


def _package_url(pom: Mapping[str, str] | None) -> PackageURL | None:
    """Return the package's URL; None when its parts don't make one (nothing but slashes)."""
    from packageurl import PackageURL

    if pom is None:
        return None
    try:
        purl = PackageURL("maven", pom["groupId"], pom["artifactId"], pom["version"])
    except ValueError:
        return None
    return purl if purl.name else None


def _maven_coordinates(jar: bytes) -> Mapping[str, str] | None:
    """Return groupId, artifactId and version when the jar states exactly one set of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as archive:
            found = list(_pom_properties(archive))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError):
        return None  # NotImplementedError is a RuntimeError; the checks report such a jar
    if len(found) != 1 or not all(
        found[0].get(key) for key in ("groupId", "artifactId", "version")
    ):
        return None
    return found[0]


def _pom_properties(archive: zipfile.ZipFile) -> Iterator[Mapping[str, str]]:
    for item in archive.infolist():
        is_pom = item.filename.startswith("META-INF/maven/") and item.filename.endswith(
            "/pom.properties"
        )
        # Java reads only these two methods; zipfile's other decoders raise all kinds of errors.
        is_readable = item.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if is_pom and is_readable and item.file_size <= _MAX_POM_PROPERTIES:
            try:
                yield dict(parse_properties(archive.read(item)))
            except PropertiesSyntaxError:
                continue


if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
