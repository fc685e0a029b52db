"""Files on a local disk or share: explained errors, durable writes, verified copies."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.files import FILE_MODE, explain_os_error, open_regular, os_error_reason
from ign_deploy.module.findings import error
from ign_deploy.report import Progress
from ign_deploy.repositories.record import ReleaseFile

_BLOCK = 1 << 20
_ACCESS = "give this user write access to the folder, or choose another repository."
_DISK = "check the disk or the network share, then run again."
_SPACE = "free disk space there; nothing half-written was left behind."
WRITING: Mapping[int, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "free disk space or raise the quota; nothing half-written was left behind.",
    errno.EFBIG: "raise the file size limit; nothing half-written was left behind.",
    errno.EROFS: "the file system is read-only: mount it writable, or choose another repository.",
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.ENOENT: "correct --repository-url, or create the parent folder of the repository.",
    errno.ENOTDIR: "a file is where a folder should be: correct --repository-url.",
    errno.ENAMETOOLONG: "shorten the path of the repository.",
}
READING: Mapping[int, str] = {
    errno.EACCES: "give this user read access to the repository.",
    errno.ENOENT: "restore the file from a backup: what is published must stay.",
    errno.ELOOP: "replace the symbolic link with its target: links aren't followed.",
    errno.ENOTDIR: "a file is where a folder should be: correct --repository-url.",
}
SOURCE: Mapping[int, str] = {
    errno.EACCES: "give this user read access to the file.",
    errno.ENOENT: "create the file again, then upload it.",
    errno.EISDIR: "give the path of a file, not of a folder.",
}


def explained(
    action: str, path: Path, *, hints: Mapping[int, str] = WRITING
) -> AbstractContextManager[None]:
    """Turn an OSError inside into a RepositoryError: ``cannot <action> <path>: <why>``.

    ``hints`` has the hint for each error number: WRITING, READING, or SOURCE for what is uploaded.
    """
    return explain_os_error(action, path, error=RepositoryError, hint=_DISK, hints=hints)


def store_error(
    action: str, path: Path, cause: OSError, *, hints: Mapping[int, str] = WRITING
) -> RepositoryError:
    """Explain why something couldn't be done in the repository's folder."""
    hint = hints.get(cause.errno or 0, _DISK)
    return RepositoryError(f"cannot {action} {path}: {os_error_reason(cause)}", hint=hint)


def make_folder(path: Path) -> None:
    """Create one folder, which may exist, with the mode that the umask leaves. Raises OSError."""
    # A dangling link or a file fails when it is used as a folder.
    with suppress(FileExistsError):
        path.mkdir()


def is_real_folder(path: Path) -> bool:
    """Return whether there is a folder; False if there is nothing.

    Raises RepositoryError for a symbolic link or anything else: it could lead out of the
    repository.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    except OSError as cause:
        raise store_error("read", path, cause, hints=READING) from cause
    if not stat.S_ISDIR(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a folder"
        raise RepositoryError(
            f"{path} is {kind}, expected the folder of a published module",
            hint="remove it, or replace it with the real folder.",
        )
    return True


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read at most ``limit`` + 1 bytes of a regular file, so that excess shows. Raises OSError."""
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read(limit + 1)


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file and make it survive a power cut. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def replace_whole(path: Path, data: bytes) -> None:
    """Replace a file atomically; the caller must hold the lock, because the new name is fixed.

    So a killed run leaves at most one file behind, which the next run overwrites. Raises OSError.
    """
    fresh = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, FILE_MODE), "wb") as stream:
            stream.write(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def copy_in(source: Path, target: Path, *, expected: ReleaseFile, progress: Progress) -> None:
    """Copy a local file to a new one, and make it survive a power cut.

    What is hashed is what is written, in constant memory. Raises RepositoryError when it can't be
    copied or isn't what the record says.
    """
    digest = hashlib.sha256()
    size = 0
    with explained("read", source, hints=SOURCE):
        reader = os.fdopen(open_regular(source, follow_links=True), "rb", buffering=0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        reader,
        explained("write", target),
        os.fdopen(os.open(target, flags, FILE_MODE), "wb") as writer,
    ):
        while block := _read(reader, source, hints=SOURCE):
            writer.write(block)
            digest.update(block)
            size += len(block)
            progress(len(block))
        writer.flush()
        os.fsync(writer.fileno())
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise RepositoryError(
            f"{source} changed while it was being published: expected {expected.size} bytes with "
            f"SHA-256 {expected.sha256}, read {size} bytes with {digest.hexdigest()}",
            hint="run again when no other program writes the file; nothing was published.",
        )


def copy_out(source: Path, target: BinaryIO, *, expected: ReleaseFile, progress: Progress) -> None:
    """Copy a published file, at most one block beyond the size that the record says.

    Raises VerificationError when it isn't what the record says, NotInRepository when it is gone,
    RepositoryError when it can't be read; an OSError of ``target`` is passed on.
    """
    digest = hashlib.sha256()
    size = 0
    with explained("read", source, hints=READING):
        try:
            reader = os.fdopen(open_regular(source), "rb", buffering=0)
        except FileNotFoundError as cause:
            raise NotInRepository(
                f"{source} is gone", hint="restore the file from a backup: what is published stays."
            ) from cause
    with reader:
        while size <= expected.size and (block := _read(reader, source, hints=READING)):
            target.write(block)
            digest.update(block)
            size += len(block)
            progress(len(block))
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        problem = error(
            "digest-mismatch",
            f"{source} isn't what its record says: expected {expected.size} bytes with SHA-256 "
            f"{expected.sha256}, read {size} bytes with {digest.hexdigest()}",
            location=expected.name,
            hint="don't install it; restore the file from a backup, or remove the version and "
            "publish a new one; find out who changed it.",
        )
        raise VerificationError.from_findings(problem)


def _read(reader: BinaryIO, source: Path, *, hints: Mapping[int, str]) -> bytes:
    with explained("read", source, hints=hints):
        return reader.read(_BLOCK)
