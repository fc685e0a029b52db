"""A module file as a gateway will see it: whose it is, and what has to be accepted for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.descriptor import read_descriptor
from ign_deploy.module.signature import CERTIFICATES_NAME, MAX_CERTIFICATES_SIZE

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,199}\.modl")


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """What one .modl says.

    ``certificate_sha1`` is None when it is unsigned, ``license_crc`` when it has no licence file.
    """

    module_id: str
    name: str
    version: str
    certificate_sha1: str | None
    license_crc: int | None


def read_module_file(path: Path) -> ModuleFile:
    """Read a module; raises VerificationError for what is none."""
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
    """Return the name; raises ConfigurationError for one that isn't a plain name of a .modl.

    The gateway keeps the file under it, and an upgrade replaces the file of the same name.
    """
    if _FILE_NAME.fullmatch(file_name) is None or ".." in file_name:
        raise ConfigurationError(
            f"{file_name[:100]!a} can't be a module's file name on a gateway",
            hint="use letters, digits and . _ + - without folders, ending in .modl.",
        )
    return file_name
