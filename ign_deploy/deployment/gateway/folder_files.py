"""Files in a gateway's folders: whole or absent, owned as before, with a copy of what was there."""

from __future__ import annotations

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
    os_error_reason,
    sync_folder,
)

_LOCK = ".ign-deploy.lock"
_BLOCK = 1 << 20


def put_file(source: Path, target: Path) -> None:
    """Copy a file to its place, which holds the old bytes or the new ones at any moment."""
    with _explained("write", target), source.open("rb") as stream, _replacing(target) as output:
        shutil.copyfileobj(stream, output, _BLOCK)


def put_bytes(data: bytes, target: Path) -> None:
    """Write a file, which holds the old bytes or the new ones at any moment."""
    with _explained("write", target), _replacing(target) as output:
        output.write(data)


def keep_copy(path: Path, folder: Path) -> Path:
    """Copy a file into the folder, named by its digest, and return the copy.

    The copy isn't called .modl, so that no gateway takes it for a module.
    """
    with _explained("keep a copy of", path):
        copy = folder / f"{path.name}.{_sha256(path)[:16]}.bak"
    if not copy.exists():
        put_file(path, copy)
    return copy


def same_content(first: Path, second: Path) -> bool:
    """Tell whether both files hold the same bytes."""
    with _explained("compare", first):
        return first.stat().st_size == second.stat().st_size and _sha256(first) == _sha256(second)


def remove_file(path: Path) -> None:
    """Remove a file; it may be gone already."""
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
            stack.enter_context(locked(folder / _LOCK, timeout=timeout))
        except TimeoutError:
            raise DeploymentError(
                f"{folder} is still locked by another run after {timeout:g} s",
                hint="wait for the other run to end, then run again.",
            ) from None
        except OSError as cause:
            raise DeploymentError(
                f"cannot lock {folder}: {os_error_reason(cause)}",
                hint="give this user write access to the folder, on a file system with locks.",
            ) from cause
        yield


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Open what replaces a file, with its mode and owner, so that the gateway can still write."""
    reference = target if target.exists() else target.parent
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    with atomic_output(target, mode=mode, durable=True) as output:
        if reference.exists():
            owner = reference.stat()
            # Only root can give files away; for everybody else it stays as it is.
            with suppress(PermissionError):
                os.fchown(output.fileno(), owner.st_uid, owner.st_gid)
        yield output


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _explained(action: str, path: Path) -> Iterator[None]:
    hint = "give this user write access to the folder, and free space on its disk."
    with explain_os_error(action, path, error=DeploymentError, hint=hint):
        try:
            yield
        except ConfigurationError as problem:
            # What atomic_output advises is about an option that has nothing to do with this folder.
            if isinstance(problem.__cause__, OSError):
                raise problem.__cause__ from None
            raise
