"""Files in a gateway's folder: whole or not at all, with copies of what is replaced."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import ConfigurationError, DeploymentError
from ign_deploy.files import (
    LOCK_TIMEOUT,
    atomic_output,
    explain_os_error,
    locked,
    open_regular,
    os_error_reason,
    sync_folder,
)
from ign_deploy.net.upload import UploadSource, read_source

LOCK = ".ign-deploy.lock"
_BLOCK = 1 << 20


def put_module(source: UploadSource, target: Path) -> None:
    """Write a module's file; it appears under its name only if it is what was verified.

    If another file is there afterwards, it is removed, and DeploymentError is raised: others can
    write to the folder, and a share may fail silently.
    """
    with _explained("write", target), _replacing(target) as output:
        for block in read_source(source, error=DeploymentError):
            output.write(block)
    try:
        is_written = has_content(target, source)
    except DeploymentError:
        is_written = False
    if not is_written:
        remove_file(target)
        raise DeploymentError(
            f"{target} was not what had been written to it, and was removed",
            hint="find out which other process writes to that folder.",
        )


def put_file(source: Path, target: Path) -> None:
    """Copy a file; the target holds either the old or the new bytes at any moment."""
    with (
        _explained("write", target),
        os.fdopen(open_regular(source), "rb") as stream,
        _replacing(target) as output,
    ):
        shutil.copyfileobj(stream, output, _BLOCK)


def put_bytes(data: bytes, target: Path) -> None:
    """Write a file; it holds either the old or the new bytes at any moment."""
    with _explained("write", target), _replacing(target) as output:
        output.write(data)


def keep_copy(path: Path, folder: Path) -> Path:
    """Copy a file into the folder, named by its digest, and return the copy.

    The copy isn't named .modl, so that no gateway takes it for a module. No link is followed: the
    gateway's user could have us copy a file that is not theirs to read, or write into another
    folder.
    """
    with _explained("keep a copy of", path):
        if folder.is_symlink():
            raise OSError(errno.ELOOP, f"{folder} is a symbolic link")
        copy = folder / f"{path.name}.{_sha256(path)[:16]}.bak"
    if not copy.exists():
        put_file(path, copy)
    return copy


def put_aside(path: Path, folder: Path) -> Path | None:
    """Remove a file, and return the copy that is kept; None for a link, whose target stays."""
    copy = None if path.is_symlink() else keep_copy(path, folder)
    remove_file(path)
    return copy


def has_content(path: Path, source: UploadSource) -> bool:
    """Return whether a file holds the bytes of a module."""
    with _explained("compare", path):
        return path.stat().st_size == source.size and _sha256(path) == source.sha256


def remove_file(path: Path) -> None:
    """Remove a file; it may already be gone."""
    with _explained("remove", path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def lock_folder(folder: Path, *, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Keep other runs out of the folder.

    Raises DeploymentError after ``timeout`` seconds, or when there are no locks.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK, timeout=timeout))
        except TimeoutError:
            raise DeploymentError(
                f"{folder} is still locked by another run after {timeout:g} s",
                hint="wait for the other run to finish, then run again.",
            ) from None
        except OSError as cause:
            raise DeploymentError(
                f"cannot lock {folder}: {os_error_reason(cause)}",
                hint="give this user write access to the folder, on a file system with locks.",
            ) from cause
        yield


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Open the replacement of a file, with its mode and owner: the gateway must still write it."""
    reference = target if target.exists() else target.parent
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    with atomic_output(target, mode=mode, durable=True) as output:
        if reference.exists():
            owner = reference.stat()
            # Only root can change the owner; for other users it stays as it is.
            with suppress(PermissionError):
                os.fchown(output.fileno(), owner.st_uid, owner.st_gid)
        yield output


def _sha256(path: Path) -> str:
    with os.fdopen(open_regular(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    hint = "give this user write access to the folder, and free up space on its disk."
    with explain_os_error(action, path, error=DeploymentError, hint=hint):
        try:
            yield
        except ConfigurationError as problem:
            # The hint of atomic_output is about an option that has nothing to do with this folder.
            if isinstance(problem.__cause__, OSError):
                raise problem.__cause__ from None
            raise
