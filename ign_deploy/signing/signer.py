"""Signing: compressed members are copied as they are while their content is hashed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ign_deploy.errors import SigningError
from ign_deploy.files import atomic_output, is_same_file
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import SignedModule, UnsignedModule
from ign_deploy.module.certificates import validity_findings, write_certificates
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.findings import Finding, Severity, worst_first
from ign_deploy.module.parallel import map_parallel, usable_processors
from ign_deploy.module.signature import (
    CERTIFICATES_NAME,
    SIGNATURE_FILES,
    SIGNATURES_NAME,
    format_signatures,
    needs_signature,
)
from ign_deploy.module.stable_file import BLOCK, WrittenFile, changed_error
from ign_deploy.module.zip_entry import ZipEntry
from ign_deploy.module.zip_records import EPOCH_DOS_DATE, EPOCH_DOS_TIME
from ign_deploy.module.zip_writer import (
    NewEntry,
    PlacedEntry,
    lay_out,
    stored_entry,
    write_directory,
)
from ign_deploy.report import Progress, Reporter
from ign_deploy.signing.identity import SigningIdentity

SIGNED_SUFFIX = ".modl"
_UNSIGNED = re.compile(r"([.-]unsigned)+\Z", re.IGNORECASE)
Result = TypeVar("Result")


def signed_name(name: str) -> str:
    """Return the file name of the signed module: the input's without ``.unsigned``."""
    # In any case: X.UNSIGNED.MODL comes from a case-insensitive file system.
    stem = name[: -len(SIGNED_SUFFIX)] if name.lower().endswith(SIGNED_SUFFIX) else name
    # More than once: some builds add it to a name that has it.
    return (_UNSIGNED.sub("", stem) or stem) + SIGNED_SUFFIX


@dataclass(frozen=True, slots=True)
class SignableFile:
    """A module that can be signed, or was, with what was found out about it."""

    path: Path
    descriptor: ModuleDescriptor
    findings: tuple[Finding, ...]


def read_unsigned(path: Path) -> UnsignedModule:
    """Open a ``.modl`` for signing; raises VerificationError when it isn't a valid module."""
    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        return UnsignedModule(path, descriptor, archive.digest(), archive.findings)


def inspect_unsigned(path: Path) -> SignableFile:
    """Return what ``sign_file`` would sign; raises VerificationError if it isn't a valid module."""
    with Archive.open(path) as archive:
        return SignableFile(path, read_descriptor(archive), archive.findings)


def sign_module(
    module: UnsignedModule,
    *,
    identity: SigningIdentity,
    output_dir: Path,
    now: datetime,
    reporter: Reporter,
) -> SignedModule:
    """Sign every file of the module and write the signed one into ``output_dir``.

    An old signature is dropped. The same module and identity give the same bytes. ``now`` is only
    compared with the certificates' validity, which gives warnings. Raises SigningError when the
    output would be the input, VerificationError when the archive is damaged or isn't ``module``
    any more, ConfigurationError when the output can't be written; the output is then absent, or
    what it was before.
    """

    def digest(archive: Archive, written: WrittenFile) -> str:
        # What was checked is what was signed, and the signed file is what was written.
        readers: list[Callable[[], str]] = [archive.digest, lambda: written.digest()[0]]
        before, after = map_parallel(_call, readers, workers=usable_processors())
        if before != module.sha256:
            raise changed_error(module.path)
        return after

    output = _output(module.path, output_dir)
    with Archive.open(module.path) as archive:
        descriptor = read_descriptor(archive)
        sha256 = _sign(archive, output, identity, reporter, digest)
    findings = (*module.findings, *_as_warnings(validity_findings(identity.chain, now)))
    return SignedModule(output, descriptor, sha256, worst_first(findings))


def sign_file(
    path: Path, *, identity: SigningIdentity, output_dir: Path, now: datetime, reporter: Reporter
) -> SignableFile:
    """Sign a file as it is now, in the same way; it isn't compared with an earlier reading."""
    output = _output(path, output_dir)
    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        _sign(archive, output, identity, reporter, lambda _, written: written.check())
    findings = (*archive.findings, *_as_warnings(validity_findings(identity.chain, now)))
    return SignableFile(output, descriptor, worst_first(findings))


def _call(digest: Callable[[], str]) -> str:
    return digest()


def _output(path: Path, output_dir: Path) -> Path:
    output = output_dir / signed_name(path.name)
    if is_same_file(output, path):
        raise SigningError(
            f"signing would overwrite its input {path}",
            hint="choose another folder with --output-dir.",
        )
    return output


def _sign(
    archive: Archive,
    output: Path,
    identity: SigningIdentity,
    reporter: Reporter,
    finish: Callable[[Archive, WrittenFile], Result],
) -> Result:
    """Write the signed module; the output appears when ``finish`` has checked what was written."""
    kept = [entry for entry in archive.entries if entry.name not in SIGNATURE_FILES]
    total = sum(entry.compressed_size for entry in kept)
    with (
        reporter.progress(f"signing {archive.path.name}", total) as progress,
        atomic_output(output) as stream,
    ):
        placed, offset = lay_out([NewEntry.like(entry) for entry in kept])
        written = WrittenFile(output, stream.fileno())
        copy = _Copy(archive, written, progress)
        digests = _copy_and_hash(copy, list(zip(kept, placed, strict=True)))
        signed = identity.sign_digests(list(digests.values()), reporter=reporter)
        signatures = {name: signed[digest] for name, digest in digests.items()}
        _append_signature(written, placed, offset, identity, signatures)
        return finish(archive, written)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What each thread needs to copy and hash an entry."""

    archive: Archive
    output: WrittenFile
    progress: Progress

    def copy_entry(self, job: tuple[ZipEntry, PlacedEntry]) -> bytes:
        """Copy the entry's stored bytes to the output; return the SHA-256 of its content."""
        entry, placed = job
        position = self.output.write_at(placed.local, placed.header_offset)
        digest = hashlib.sha256()

        def copy_block(block: bytes | memoryview) -> None:
            nonlocal position
            position = self.output.write_at(block, position)
            self.progress(len(block))

        for piece in self.archive.chunks(entry, on_raw=copy_block):
            digest.update(piece)
        return digest.digest()


def _copy_and_hash(copy: _Copy, jobs: list[tuple[ZipEntry, PlacedEntry]]) -> Mapping[str, bytes]:
    # The largest first, so that no thread is left with a large one at the end.
    jobs.sort(key=lambda job: job[0].size // BLOCK, reverse=True)
    digests = map_parallel(copy.copy_entry, jobs, workers=usable_processors())
    return {
        entry.name: digest
        for (entry, _), digest in zip(jobs, digests, strict=True)
        if needs_signature(entry)
    }


def _append_signature(
    output: WrittenFile,
    placed: list[PlacedEntry],
    offset: int,
    identity: SigningIdentity,
    signatures: Mapping[str, bytes],
) -> None:
    for name, data in (
        (SIGNATURES_NAME, format_signatures(signatures)),
        (CERTIFICATES_NAME, write_certificates(identity.chain)),
    ):
        entry = stored_entry(name, data, dos_time=EPOCH_DOS_TIME, dos_date=EPOCH_DOS_DATE)
        placed.append(entry.at(offset))
        output.write_at(placed[-1].local, offset)
        offset = output.write_at(data, placed[-1].data_offset)
    write_directory(output, placed, offset)


def _as_warnings(findings: list[Finding]) -> list[Finding]:
    """Turn validity findings into warnings: what a gateway does with them is not documented."""
    return [
        Finding(found.code, Severity.WARNING, found.message, found.location, found.hint)
        for found in findings
    ]
