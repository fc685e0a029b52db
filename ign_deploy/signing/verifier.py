"""Verifying: what a signature covers, who signed, whom the signer leads to, and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import SignedModule, VerifiedModule
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.findings import (
    Finding,
    Severity,
    bounded,
    error,
    errors_among,
    legible,
    warning,
    worst_first,
)
from ign_deploy.module.parallel import in_thread
from ign_deploy.module.signature import (
    CERTIFICATES_NAME,
    GET_AGAIN,
    MAX_CERTIFICATES_SIZE,
    MAX_SIGNATURES_SIZE,
    SIGNATURE_FILES,
    SIGNATURES_NAME,
    parse_signatures,
)
from ign_deploy.module.stable_file import changed_error
from ign_deploy.module.trust_policy import TrustPolicy
from ign_deploy.signing.coverage import check_lines, hash_entries
from ign_deploy.signing.verdict import SignatureStatus, signature_status, verdict_line

if TYPE_CHECKING:
    from cryptography import x509

    from ign_deploy.module.certificates import CertificateInfo
    from ign_deploy.module.trust import Trust


ANY_SIGNER = TrustPolicy()
_OLD_SIGNATURE = re.compile(r"module-signatures(\.\w+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Everything that was found out about a module.

    ``certificates`` are in file order, which is leaf first when valid;
    ``licence_crc`` is the unsigned CRC-32 that a gateway stores when the licence is accepted;
    ``anchor`` names the trust anchor that the signer leads to.
    """

    path: Path
    descriptor: ModuleDescriptor
    status: SignatureStatus
    certificates: tuple[CertificateInfo, ...]
    licence_crc: int | None
    file_count: int
    findings: tuple[Finding, ...]
    anchor: str = ""

    @property
    def verdict(self) -> str:
        """The line that a person reads first."""
        signer = self.certificates[0].subject if self.certificates else ""
        return verdict_line(self.status, signer=signer, anchor=self.anchor, findings=self.findings)


def inspect_signature(
    path: Path, *, now: datetime, trust: TrustPolicy = ANY_SIGNER
) -> VerificationReport:
    """Check every byte of the module's content against its signature.

    Raises VerificationError only for what isn't a valid archive or a module; everything wrong with
    the signature is a finding. Without anchors in ``trust`` any signer is accepted, as by a
    gateway, which asks its operator to accept the certificate by its fingerprint.
    """
    with Archive.open(path) as archive:
        return inspect_archive(archive, now=now, trust=trust)


def verify_module(
    module: SignedModule, *, now: datetime, trust: TrustPolicy = ANY_SIGNER
) -> VerifiedModule:
    """Make a VerifiedModule, or raise VerificationError with every finding.

    Everything is read from one opened file, which must have the bytes of ``module``.
    """
    with Archive.open(module.path) as archive:
        report = inspect_archive(archive, now=now, trust=trust)
        require_signed(report)
        sha256 = archive.digest()
        if sha256 != module.sha256:
            raise changed_error(module.path)
        return VerifiedModule(
            path=module.path,
            descriptor=report.descriptor,
            sha256=sha256,
            size=archive.file_size(),
            certificate=report.certificates[0],
            licence_crc=report.licence_crc,
            findings=worst_first((*module.findings, *report.findings)),
        )


def require_signed(report: VerificationReport) -> None:
    """Raise VerificationError unless the module is fully and validly signed."""
    name = report.path.name
    if report.status is SignatureStatus.UNSIGNED:
        raise VerificationError.from_findings(unsigned_finding(report.path))
    if errors_among(report.findings):
        raise VerificationError.from_findings(*report.findings, about=name)


def inspect_archive(
    archive: Archive, *, now: datetime, trust: TrustPolicy = ANY_SIGNER
) -> VerificationReport:
    """Do the same for an opened archive."""
    descriptor = read_descriptor(archive)
    present = [name for name in sorted(SIGNATURE_FILES) if archive.entry(name) is not None]
    findings = [_as_verified(finding) for finding in archive.findings]
    findings += _old_signatures(archive)
    # Loading what reads certificates takes as long as hashing many megabytes.
    with in_thread(lambda: _read_signature(archive, present)) as signature:
        digests, damaged = hash_entries(archive)
    certificates, lines, problems = signature()
    findings += [*problems, *damaged]
    if len(present) == len(SIGNATURE_FILES):
        findings += check_lines(archive, digests=digests, lines=lines, certificates=certificates)
    anchor = ""
    if certificates:
        reached = _check_chain(certificates, trust, now=now)
        findings += reached.findings
        anchor = reached.anchor
    status = SignatureStatus.UNSIGNED
    if present:
        status = signature_status(findings, is_trusted=bool(anchor))
    return VerificationReport(
        path=archive.path,
        descriptor=descriptor,
        status=status,
        certificates=_describe(certificates),
        licence_crc=_licence_crc(archive, descriptor),
        file_count=sum(not entry.is_directory for entry in archive.entries),
        findings=worst_first(bounded(findings)),
        anchor=anchor,
    )


def unsigned_finding(path: Path) -> Finding:
    """Return the finding about a module without any signature."""
    return error(
        "unsigned",
        f"{path.name} is not signed",
        hint="get the signed release from its vendor; sign your own with `ign-deploy sign`.",
    )


def _as_verified(finding: Finding) -> Finding:
    # Signing drops such bytes; in a signed module a reader that streams stops at them.
    return replace(finding, severity=Severity.ERROR) if finding.code == "archive-gap" else finding


def _old_signatures(archive: Archive) -> Iterator[Finding]:
    for entry in archive.entries:
        if _OLD_SIGNATURE.fullmatch(entry.name):
            yield warning(
                "signature-old",
                f"{legible(entry.name)} is a signature of before Ignition 7.8; it is not checked",
                location=legible(entry.name),
                hint="sign the module in today's format, and leave the file out of the build.",
            )


def _half_signed(present: str) -> Finding:
    missing = next(name for name in SIGNATURE_FILES if name != present)
    return error(
        "signature-incomplete",
        f"found {present}, but no {missing}",
        location=missing,
        hint=GET_AGAIN,
    )


def _check_chain(
    certificates: tuple[x509.Certificate, ...], trust: TrustPolicy, *, now: datetime
) -> Trust:
    from ign_deploy.module.certificates import chain_problems
    from ign_deploy.module.trust import check_trust

    reached = check_trust(certificates, trust, now=now)
    return replace(reached, findings=(*chain_problems(certificates), *reached.findings))


def _read_signature(
    archive: Archive, present: list[str]
) -> tuple[tuple[x509.Certificate, ...], Mapping[str, bytes], list[Finding]]:
    certificates: tuple[x509.Certificate, ...] = ()
    lines: Mapping[str, bytes] = {}
    if len(present) != len(SIGNATURE_FILES):
        return certificates, lines, [_half_signed(name) for name in present]
    from ign_deploy.module.certificate_file import read_shipped_certificates
    from ign_deploy.module.certificates import contains_private_key

    findings: list[Finding] = []
    try:
        data = _read_entry(archive, CERTIFICATES_NAME, MAX_CERTIFICATES_SIZE)
        if contains_private_key(data):
            findings.append(_leaked_key())
        certificates = read_shipped_certificates(data)
    except VerificationError as problem:
        findings += problem.findings
    try:
        data = _read_entry(archive, SIGNATURES_NAME, MAX_SIGNATURES_SIZE)
        parsed = parse_signatures(data, files=len(archive.entries))
        lines = parsed.signatures
        findings += parsed.findings
    except VerificationError as problem:
        findings += problem.findings
    return certificates, lines, findings


def _leaked_key() -> Finding:
    return error(
        "private-key-shipped",
        f"{CERTIFICATES_NAME} contains a private key: anyone who has this module can sign with it",
        location=CERTIFICATES_NAME,
        hint="remove the module, have the certificate revoked, and create a new key.",
    )


def _read_entry(archive: Archive, name: str, limit: int) -> bytes:
    entry = archive.entry(name)
    return archive.read(entry, limit=limit) if entry is not None else b""


def _describe(certificates: tuple[x509.Certificate, ...]) -> tuple[CertificateInfo, ...]:
    if not certificates:
        return ()
    from ign_deploy.module.certificates import describe

    return tuple(describe(certificate) for certificate in certificates)


def _licence_crc(archive: Archive, descriptor: ModuleDescriptor) -> int | None:
    """Return the CRC-32 of the licence file; its content has been checked against it."""
    entry = archive.entry(descriptor.license) if descriptor.license else None
    return entry.crc32 if entry is not None else None
