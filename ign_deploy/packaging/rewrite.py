"""Rewriting what a build made, so that equal content gives equal bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.descriptor_checks import asked_id, asked_version
from ign_deploy.module.findings import Finding, error, info
from ign_deploy.module.packer import DosTime, Member, pack
from ign_deploy.module.rule_context import Expectations, RuleContext
from ign_deploy.module.signature import SIGNATURE_FILES
from ign_deploy.packaging.artifacts import reject_lfs_pointer, unsigned_name


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that a build made or the user passed, and its descriptor."""

    path: Path
    descriptor: ModuleDescriptor
    has_signature: bool

    @property
    def output_name(self) -> str:
        """The name of the unsigned module made of it."""
        return unsigned_name(self.path)


def read_candidate(path: Path) -> Candidate:
    """Open a module and read its descriptor; raises our errors for anything else."""
    reject_lfs_pointer(path)
    with Archive.open(path) as archive:
        signature = any(entry.name in SIGNATURE_FILES for entry in archive.entries)
        return Candidate(path, read_descriptor(archive), signature)


def require_distinct(candidates: Sequence[Candidate]) -> None:
    """Raise VerificationError when two modules share an id, or would become the same file."""
    findings: list[Finding] = []
    for first, second in itertools.combinations(candidates, 2):
        both = f"{first.path} and {second.path}"
        if first.descriptor.id == second.descriptor.id:
            findings.append(
                error(
                    "module-id-repeated",
                    f"{both} share the id {first.descriptor.id!a}",
                    location=second.path.name,
                    hint="give each module its own id, or build only one of them.",
                )
            )
        if first.output_name.lower() == second.output_name.lower():
            findings.append(
                error(
                    "file-name-repeated",
                    f"{both} would both become {second.output_name}",
                    location=second.path.name,
                    hint="give each module its own fileName.",
                )
            )
    _reject(findings)


def require_expected(candidates: Sequence[Candidate], *, version: str, module_id: str) -> None:
    """Raise VerificationError when a module doesn't have the requested version or id.

    Empty means any. Builds may silently ignore the version that they are given.
    """
    expected = Expectations(version or None, module_id or None)
    findings: list[Finding] = []
    for candidate in candidates:
        context = RuleContext(candidate.descriptor, {}, {}, expected)
        findings += (*asked_version(context), *asked_id(context))
    _reject(findings)


def rewrite(candidate: Candidate, *, output_dir: Path, timestamp: DosTime) -> UnsignedModule:
    """Write the module reproducibly, without any signature, into ``output_dir``."""
    output = output_dir / candidate.output_name
    with Archive.open(candidate.path) as archive:
        pack(_members(archive), output, timestamp=timestamp)
        findings = archive.findings
    if candidate.has_signature:
        dropped = info(
            "signature-dropped",
            f"the build signed {candidate.path.name} itself; that signature was dropped",
            location=candidate.path.name,
            hint="build only `zipModule`, or pass the module's own path to release it as it is.",
        )
        findings = (*findings, dropped)
    return UnsignedModule(output, candidate.descriptor, findings)


def _members(archive: Archive) -> Iterator[Member]:
    for entry in archive.entries:
        if not entry.is_directory and entry.name not in SIGNATURE_FILES:
            yield Member(entry.name, (archive, entry))


def _reject(findings: Sequence[Finding]) -> None:
    if findings:
        raise VerificationError.from_findings(*findings)
