"""A directory repository's file system: explained errors and durable writes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import explain_os_error, open_regular, os_error_reason

_ACCESS = "give this user write access to the folder, or choose another repository."
_DISK = "check the disk or the network share, and run again."
_SPACE = "free disk space there; nothing half-written was left behind."
WRITING: Mapping[int, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "free disk space or raise the quota; nothing half-written was left behind.",
    errno.EFBIG: "raise the file size limit; nothing half-written was left behind.",
    errno.EROFS: "the file system is read-only: mount it writable, or choose another repository.",
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.ENOENT: "mend --repository-url, or create the folder that is to hold the repository.",
    errno.ENOTDIR: "a file stands where a folder is due: mend --repository-url.",
    errno.ENAMETOOLONG: "shorten the path of the repository.",
}
READING: Mapping[int, str] = {
    errno.EACCES: "give this user read access to the repository.",
    errno.ENOENT: "restore the file from a backup: what is published must stay.",
    errno.ELOOP: "replace the symbolic link by what it stands for: links aren't followed.",
    errno.ENOTDIR: "a file stands where a folder is due: mend --repository-url.",
}
SOURCE: Mapping[int, str] = {
    errno.EACCES: "give this user read access to the file.",
    errno.ENOENT: "make the file again, then upload it.",
    errno.EISDIR: "give the path of a file, not of a folder.",
}


def explained(
    action: str, path: Path, *, hints: Mapping[int, str] = WRITING
) -> AbstractContextManager[None]:
    """Turn an OSError inside into a RepositoryError: ``cannot <action> <path>: <why>``.

    ``hints`` says what to do by error number: WRITING, READING, or SOURCE for what is uploaded.
    """
    return explain_os_error(action, path, error=RepositoryError, hint=_DISK, hints=hints)


def store_error(
    action: str, path: Path, cause: OSError, *, hints: Mapping[int, str] = WRITING
) -> RepositoryError:
    """Explain why something couldn't be done in the repository's folder."""
    hint = hints.get(cause.errno or 0, _DISK)
    return RepositoryError(f"cannot {action} {path}: {os_error_reason(cause)}", hint=hint)


def make_folder(path: Path) -> None:
    """Make one folder, mode 0755 whatever the umask; it may be there already. Raises OSError."""
    try:
        path.mkdir()
    except FileExistsError:
        # A dangling link or a file is noticed by whoever uses it as a folder.
        return
    with suppress(FileNotFoundError):
        path.chmod(0o755)


def is_real_folder(path: Path) -> bool:
    """Tell whether there is a folder; False when there is nothing.

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
            hint="remove it, or replace it by the real folder.",
        )
    return True


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read at most ``limit`` + 1 bytes of a regular file, so that excess shows. Raises OSError."""
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read(limit + 1)


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file, mode 0644, and make it survive a power cut. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def replace_whole(path: Path, data: bytes) -> None:
    """Replace a file at once; only for whoever holds the lock: the new one's name is fixed.

    So a killed run leaves at most one leftover, which the next one overwrites. Raises OSError.
    """
    fresh = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, 0o644), "wb") as stream:
            os.fchmod(stream.fileno(), 0o644)
            stream.write(data)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
