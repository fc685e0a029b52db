"""What flows between the stages: unsigned → signed → verified; no step can be skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.module.descriptor import ModuleDescriptor
from ign_deploy.module.findings import Finding
from ign_deploy.module.ignition import NOT_STATED, IgnitionSupport

if TYPE_CHECKING:
    from ign_deploy.module.certificates import CertificateInfo


@dataclass(frozen=True, slots=True)
class UnsignedModule:
    """A module as packaging made it; ``sha256`` is of the file."""

    path: Path
    descriptor: ModuleDescriptor
    sha256: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedModule:
    """A module with a signature that hasn't been checked yet; ``sha256`` is of the file."""

    path: Path
    descriptor: ModuleDescriptor
    sha256: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedModule:
    """A module whose signature covers every file; made by ``signing.verifier.verify_module`` only.

    ``sha256`` (lower-case hex) and ``size`` (bytes) are of the .modl as it was verified;
    ``licence_crc`` is the CRC-32 of its licence file, None when it has none. Both fingerprints of
    ``certificate`` and the CRC are what a gateway asks its operator to accept. ``support`` is what
    its vendor said when publishing it: the file doesn't contain it.
    """

    path: Path
    descriptor: ModuleDescriptor
    sha256: str
    size: int
    certificate: CertificateInfo
    licence_crc: int | None
    findings: tuple[Finding, ...] = ()
    support: IgnitionSupport = NOT_STATED


@dataclass(frozen=True, slots=True)
class Bundle:
    """The distribution bundle of a verified module, as it was written."""

    path: Path
    sha256: str
    size: int
