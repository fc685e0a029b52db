"""Signing: compressed members are copied as they are while their content is hashed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ign_deploy.errors import SigningError
from ign_deploy.files import atomic_output, is_same_file
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import SignedModule, UnsignedModule
from ign_deploy.module.build_number import replace_version, with_build_number
from ign_deploy.module.certificates import validity_findings, write_certificates
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME, MAX_DESCRIPTOR_SIZE
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


def resigned_name(name: str, *, old: str, new: str) -> str:
    """Return the file name of a module that is signed again with a new version."""
    stem = signed_name(name).removesuffix(SIGNED_SUFFIX)
    stem = stem.removesuffix(old).rstrip("-_") if stem.endswith(f"-{old}") else stem
    return f"{stem}-{new}{SIGNED_SUFFIX}"


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


def inspect_unsigned(path: Path, *, output_dir: Path, resign: int = 0) -> SignableFile:
    """Return what ``sign_file`` would write; raises VerificationError, SigningError."""
    with Archive.open(path) as archive:
        plan = _plan(archive, output_dir, resign)
        return SignableFile(plan.output, plan.descriptor, archive.findings)


def sign_module(
    module: UnsignedModule,
    *,
    identity: SigningIdentity,
    output_dir: Path,
    now: datetime,
    reporter: Reporter,
    resign: int = 0,
) -> SignedModule:
    """Sign every file of the module and write the signed one into ``output_dir``.

    An old signature is dropped. With ``resign``, the version in module.xml gets that build number.
    The same module and identity give the same bytes. ``now`` is only compared with the
    certificates' validity, which gives warnings. Raises SigningError when the output would be the
    input, VerificationError when the archive is damaged or isn't ``module`` any more,
    ConfigurationError when the output can't be written; the output is then absent, or what it was
    before.
    """

    def digest(archive: Archive, written: WrittenFile) -> str:
        # What was checked is what was signed, and the signed file is what was written.
        readers: list[Callable[[], str]] = [archive.digest, lambda: written.digest()[0]]
        before, after = map_parallel(_call, readers, workers=usable_processors())
        if before != module.sha256:
            raise changed_error(module.path)
        return after

    with Archive.open(module.path) as archive:
        plan = _plan(archive, output_dir, resign)
        sha256 = _sign(archive, plan, identity, reporter, digest)
    findings = (*module.findings, *_as_warnings(validity_findings(identity.chain, now)))
    return SignedModule(plan.output, plan.descriptor, sha256, worst_first(findings))


def sign_file(
    path: Path,
    *,
    identity: SigningIdentity,
    output_dir: Path,
    now: datetime,
    reporter: Reporter,
    resign: int = 0,
) -> SignableFile:
    """Sign a file as it is now, in the same way; it isn't compared with an earlier reading."""
    with Archive.open(path) as archive:
        plan = _plan(archive, output_dir, resign)
        _sign(archive, plan, identity, reporter, lambda _, written: written.check())
    findings = (*archive.findings, *_as_warnings(validity_findings(identity.chain, now)))
    return SignableFile(plan.output, plan.descriptor, worst_first(findings))


def _call(digest: Callable[[], str]) -> str:
    return digest()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written, and where; ``replaced`` has the new content of changed files."""

    output: Path
    descriptor: ModuleDescriptor
    replaced: Mapping[str, bytes]


def _plan(archive: Archive, output_dir: Path, resign: int) -> _Plan:
    """Plan the signing of a module, with another build number unless ``resign`` is 0."""
    descriptor, name = read_descriptor(archive), archive.path.name
    replaced: dict[str, bytes] = {}
    output_name = signed_name(name)
    entry = archive.entry(DESCRIPTOR_NAME)
    if resign and entry is not None:
        old, new = descriptor.version, with_build_number(descriptor.version, resign)
        data = archive.read(entry, limit=MAX_DESCRIPTOR_SIZE)
        replaced[DESCRIPTOR_NAME] = replace_version(data, new)
        output_name = resigned_name(name, old=old, new=new)
        descriptor = replace(descriptor, version=new)
    output = output_dir / output_name
    if is_same_file(output, archive.path):
        raise SigningError(
            f"signing would overwrite its input {archive.path}",
            hint="choose another folder with --output-dir.",
        )
    return _Plan(output, descriptor, replaced)


def _sign(
    archive: Archive,
    plan: _Plan,
    identity: SigningIdentity,
    reporter: Reporter,
    finish: Callable[[Archive, WrittenFile], Result],
) -> Result:
    """Write the signed module; the output appears when ``finish`` has checked what was written."""
    kept = [entry for entry in archive.entries if entry.name not in SIGNATURE_FILES]
    total = sum(entry.compressed_size for entry in kept)
    with (
        reporter.progress(f"signing {archive.path.name}", total) as progress,
        atomic_output(plan.output) as stream,
    ):
        placed, offset = lay_out([_new_entry(entry, plan.replaced) for entry in kept])
        written = WrittenFile(plan.output, stream.fileno())
        copy = _Copy(archive, written, progress, plan.replaced)
        digests = _copy_and_hash(copy, list(zip(kept, placed, strict=True)))
        signed = identity.sign_digests(list(digests.values()), reporter=reporter)
        signatures = {name: signed[digest] for name, digest in digests.items()}
        _append_signature(written, placed, offset, identity, signatures)
        return finish(archive, written)


def _new_entry(entry: ZipEntry, replaced: Mapping[str, bytes]) -> NewEntry:
    data = replaced.get(entry.name)
    if data is None:
        return NewEntry.like(entry)
    return stored_entry(entry.name, data, dos_time=entry.dos_time, dos_date=entry.dos_date)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What each thread needs to copy and hash an entry."""

    archive: Archive
    output: WrittenFile
    progress: Progress
    replaced: Mapping[str, bytes]

    def copy_entry(self, job: tuple[ZipEntry, PlacedEntry]) -> bytes:
        """Copy the entry's stored bytes to the output; return the SHA-256 of its content."""
        entry, placed = job
        position = self.output.write_at(placed.local, placed.header_offset)
        digest = hashlib.sha256()
        if (data := self.replaced.get(entry.name)) is not None:
            self.output.write_at(data, position)
            self.progress(entry.compressed_size)
            digest.update(data)
            return digest.digest()

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
