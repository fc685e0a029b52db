"""A module file: what a gateway reads in it, the name it gets there, and its verified bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.descriptor import read_descriptor
from ign_deploy.module.signature import CERTIFICATES_NAME, MAX_CERTIFICATES_SIZE
from ign_deploy.net.upload import UploadSource

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,199}\.modl")


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """The contents of a .modl that matter to a gateway.

    ``certificate_sha1`` is None if it is unsigned, ``license_crc`` if it has no licence file.
    """

    module_id: str
    name: str
    version: str
    certificate_sha1: str | None
    license_crc: int | None

    @classmethod
    def of(cls, module: VerifiedModule) -> Self:
        """Return the contents that were verified, without reading the file again."""
        return cls(
            module_id=module.descriptor.id,
            name=module.descriptor.name,
            version=module.descriptor.version,
            certificate_sha1=module.certificate.sha1,
            license_crc=module.licence_crc,
        )


def verified_source(module: VerifiedModule, *, as_base64: bool = False) -> UploadSource:
    """Return the module's file as a source that yields only the bytes that were verified."""
    return UploadSource(module.path, module.size, module.sha256, as_base64=as_base64)


def read_module_file(path: Path) -> ModuleFile:
    """Read a module that a gateway has; raises VerificationError if the file is not a module."""
    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        certificates = archive.entry(CERTIFICATES_NAME)
        sha1 = None
        if certificates is not None:
            from ign_deploy.module.certificates import describe, read_certificates

            data = archive.read(certificates, limit=MAX_CERTIFICATES_SIZE)
            sha1 = describe(read_certificates(data)[0]).sha1
        license_file = archive.entry(descriptor.license) if descriptor.license else None
        return ModuleFile(
            module_id=descriptor.id,
            name=descriptor.name,
            version=descriptor.version,
            certificate_sha1=sha1,
            license_crc=license_file.crc32 if license_file is not None else None,
        )


def require_file_name(file_name: str) -> str:
    """Return the name; raises ConfigurationError unless it is the plain name of a .modl.

    The gateway stores the file under this name, and an upgrade replaces the file of the same name.
    """
    if _FILE_NAME.fullmatch(file_name) is None or ".." in file_name:
        raise ConfigurationError(
            f"{file_name[:100]!r} is not a valid module file name",
            hint="use letters, digits and . _ + - (no folders), ending in .modl.",
        )
    return file_name
