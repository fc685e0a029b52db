"""A module as the simulated gateway reads it out of what was uploaded, with our own reader."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from cryptography import x509

from ign_deploy.module.archive import Archive
from ign_deploy.module.certificates import is_self_signed, read_certificates
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.version import ModuleVersion, parsed_version

UNSIGNED = "unsigned"
"""Stands in for the certificate of every unsigned module: accepted for one, accepted for all."""


@dataclass(frozen=True)
class Modl:
    """What a gateway knows of a module file."""

    id: str
    name: str
    version: str
    requires: str = "8.3.0"
    depends: tuple[str, ...] = ()
    free: bool = False
    certificate: x509.Certificate | None = None
    fingerprint: str = UNSIGNED
    eula: bytes | None = None
    eula_crc: int | None = None
    file_name: str = ""
    missing_hook: str = ""

    @property
    def is_signed(self) -> bool:
        return self.certificate is not None

    @property
    def self_signed(self) -> bool:
        return self.certificate is not None and is_self_signed(self.certificate)

    @property
    def shown_version(self) -> str:
        version = parsed_version(self.version)
        return gateway_display(version) if version is not None else f"{self.version} (b0)"


def gateway_display(version: ModuleVersion) -> str:
    """Return the version as a gateway's pages and API show it: ``1.2.3 (b45)``."""
    if version.stage == "dev":
        return version.text
    major, minor, revision, build = version.numbers
    # Only a snapshot may go without its count.
    count = "" if version.stage == "SNAPSHOT" and not version.count else str(version.count)
    suffix = f"-{version.stage}{count}" if version.stage else ""
    return f"{major}.{minor}.{revision}{suffix} (b{build})"


def read_modl(path: Path, *, file_name: str) -> Modl:
    """Read a module; raises VerificationError for what is none."""
    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        entry = archive.entry("certificates.p7b")
        certificate = None
        fingerprint = UNSIGNED
        if entry is not None and archive.entry("signatures.properties") is not None:
            from cryptography.hazmat.primitives import hashes

            certificate = read_certificates(archive.read(entry, limit=1 << 20))[0]
            fingerprint = certificate.fingerprint(hashes.SHA1()).hex()
        eula = archive.entry(descriptor.license) if descriptor.license else None
        return Modl(
            id=descriptor.id,
            name=descriptor.name,
            version=descriptor.version,
            requires=descriptor.required_ignition_version,
            depends=tuple(
                each.module_id for each in descriptor.depends if each.required is not False
            ),
            free=descriptor.free_module,
            certificate=certificate,
            fingerprint=fingerprint,
            eula=archive.read(eula, limit=1 << 20) if eula is not None else None,
            eula_crc=eula.crc32 if eula is not None else None,
            file_name=file_name,
            missing_hook=_missing_hook(archive, descriptor),
        )


def _missing_hook(archive: Archive, descriptor: ModuleDescriptor) -> str:
    """Return the gateway's hook class if no jar has it: such a module can't start."""
    wanted = [hook.class_name for hook in descriptor.hooks if {*hook.scope} & {"G", "A"}]
    entries = [archive.entry(jar.path) for jar in descriptor.jars]
    classes: set[str] = set()
    for entry in entries:
        if entry is not None:
            with ZipFile(io.BytesIO(archive.read(entry, limit=64 << 20))) as content:
                classes.update(content.namelist())
    return next((name for name in wanted if f"{name.replace('.', '/')}.class" not in classes), "")


def stock() -> list[Modl]:
    """Return modules that every gateway comes with."""
    names = {"perspective": "Perspective", "vision": "Vision", "sqlbridge": "SQL Bridge"}
    return [
        Modl(f"com.inductiveautomation.{key}", names[key], "8.3.8.2026071409", free=False)
        for key in names
    ]
