"""Download: from a name to a verified module on the local disk, or nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import ConfigurationError, NotInRepository, VerificationError
from ign_deploy.files import output_error
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.descriptor import read_descriptor
from ign_deploy.module.findings import error
from ign_deploy.module.ignition import newest_of_line, runs_on
from ign_deploy.module.version import plain_version
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.partial_files import partial_file, remove_partial_files
from ign_deploy.repositories.record import Release, is_safe_component, module_file_name
from ign_deploy.repositories.search import choose_version, find_module
from ign_deploy.repositories.versions import is_range


def download(
    repository: Repository,
    name: str,
    *,
    output_dir: Path,
    verify: Callable[[Path], VerifiedModule],
    version: str | None = None,
    ignition: str = "",
    sha256: str = "",
    reporter: Reporter | None = None,
) -> VerifiedModule:
    """Fetch a module by id or name into ``output_dir``, as ``<id>-<version>.modl``.

    ``version`` is a version, or a range such as ``>=1.2,<2``; without it, the newest final release
    is taken, else the newest prerelease; ``ignition`` is the version or line of a gateway that must
    be able to run what is chosen. ``sha256`` is what the file must have. The file gets its
    name only after size, digest, ``verify`` and the record's id, version and signer
    agree; until then it is in a hidden ``.partial`` folder, which stays only if the transfer breaks
    off: the next run continues it. It replaces a module, and never anything else.
    Raises NotInRepository, RepositoryError, VerificationError, or ConfigurationError for the
    output folder.
    """
    tell = SilentReporter() if reporter is None else reporter
    release = find_release(repository, name, version=version, ignition=ignition)
    _require_digest(release, sha256)
    # Not the record's file name: it could be that of the user's trust anchor.
    final = output_dir / module_file_name(release.id, release.version)
    _require_replaceable(final, release)
    title = f"downloading {release.id} {release.version}"
    with _partial_file(final, release) as (partial, stream):
        with tell.progress(title, release.module_file.size) as progress:
            repository.fetch(release.id, version=release.version, to=stream, progress=progress)
        stream.flush()
        try:
            module = verify(partial)
            require_agreement(module, release=release)
            _require_replaceable(final, release)
            partial.replace(final)
            remove_partial_files(final.parent)
        finally:
            partial.unlink(missing_ok=True)
    tell.info(f"{release.id} {release.version} is verified: {final}")
    return dataclasses.replace(module, path=final, support=release.support)


def find_release(
    repository: Repository, name: str, *, version: str | None = None, ignition: str = ""
) -> Release:
    """Return the record of a module's version, by id or name; see ``choose_version``.

    An exact version of an exact id is found without any index. Raises NotInRepository,
    RepositoryError, or ConfigurationError when several modules have the name.
    """
    version = None if version is None else plain_version(version)
    if version is not None and not is_range(version) and is_safe_component(name):
        with suppress(NotInRepository):
            return _require_runs(repository.fetch(name, version=version), ignition)
    module_id = find_module(repository, name=name).id
    chosen = choose_version(repository, module_id=module_id, wanted=version, ignition=ignition)
    return _require_runs(repository.fetch(module_id, version=chosen), ignition)


def _require_runs(release: Release, ignition: str) -> Release:
    """Return the release; raises NotInRepository unless such a gateway can run it."""
    required, maximum = release.required_ignition_version, release.max_ignition_version
    if ignition and not runs_on(required, newest_of_line(ignition), maximum=maximum):
        raise NotInRepository(
            f"{release.id} {release.version} is not for Ignition {ignition}: it requires "
            f"{required or 'no stated version'}" + (f", at most {maximum}" if maximum else ""),
            hint="leave out the version to get the newest one for it.",
        )
    return release


def _require_digest(release: Release, wanted: str) -> None:
    found = release.module_file.sha256
    if wanted and wanted.strip().lower() != found:
        raise VerificationError(
            f"{release.id} {release.version} has the SHA-256 {found}, expected {wanted[:100]!a}",
            hint="don't install it; find out which of the two is right.",
        )


def _require_replaceable(path: Path, release: Release) -> None:
    """Raise ConfigurationError if there is anything but a module, or this file, at ``path``."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as cause:
        raise output_error(path, cause) from cause
    if not (stat.S_ISREG(mode) and (_is_recorded(path, release) or _is_module(path))):
        raise ConfigurationError(
            f"{path} is in the way: it is not a module, and is not replaced",
            hint="move it, or give another output folder.",
        )


def _is_recorded(path: Path, release: Release) -> bool:
    if path.stat().st_size != release.module_file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == release.module_file.sha256


def _is_module(path: Path) -> bool:
    try:
        with Archive.open(path) as archive:
            read_descriptor(archive)
    except VerificationError:
        return False
    return True


@contextmanager
def _partial_file(final: Path, release: Release) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield the file to be received and verified, with what an earlier run received of it."""
    # A folder, not a file, so that verification sees and reports the final name.
    size = release.module_file.size
    names = (release.module_file.sha256[:16], secrets.token_hex(6))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            folder = final.parent / f".{name}.partial"
            if not _is_made(folder):
                continue
            try:
                with partial_file(folder / final.name, size=size) as stream:
                    if stream is not None:
                        yield folder / final.name, stream
                        return
            finally:
                with suppress(OSError):  # what is kept, or another run's, is in it
                    folder.rmdir()
    except OSError as cause:
        raise output_error(final, cause) from cause
    raise ConfigurationError(
        f"cannot write in {final.parent}: another user's files are in the way",
        hint="choose an output folder of your own.",
    )


def _is_made(folder: Path) -> bool:
    """Make a folder of our own; return whether it is one."""
    with suppress(FileExistsError):
        folder.mkdir()
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def require_agreement(module: VerifiedModule, *, release: Release) -> None:
    """Raise VerificationError with a finding for each difference between record and module."""
    file, signer = release.module_file, release.certificate
    compared = (
        ("record-id", "the module's id", release.id, module.descriptor.id),
        ("record-version", "the version", release.version, module.descriptor.version),
        ("digest-mismatch", "the SHA-256", file.sha256, module.sha256),
        ("size-mismatch", "the size in bytes", file.size, module.size),
        ("record-signer", "the signer's SHA-256", signer.sha256, module.certificate.sha256),
        ("record-signer", "the signer's SHA-1", signer.sha1, module.certificate.sha1),
        ("record-licence", "the licence's CRC", release.licence_crc, module.licence_crc),
    )
    findings = tuple(
        error(code, f"{what} is {is_!r}, its record says {says!r}", location=file.name)
        for code, what, says, is_ in compared
        if says != is_
    )
    if findings:
        raise VerificationError.from_findings(
            *findings,
            about=f"{file.name} isn't what its record says",
            hint="don't install it; ask the publisher, and find out who changed the repository.",
        )
