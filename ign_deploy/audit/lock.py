"""The trail's file, opened safely and held by one writer at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import open_regular, os_error_reason, sync_folder, wait_for_lock


def open_trail(path: Path, flags: int) -> int:
    """Open the trail's file and nothing else; return its descriptor.

    A build may have left a link under the trail's name, to have another file written: it isn't
    followed. Raises ConfigurationError, but FileNotFoundError as it is.
    """
    try:
        return open_regular(path, flags)
    except FileNotFoundError:
        raise
    except OSError as cause:
        if cause.errno == errno.ELOOP or path.is_symlink():
            raise ConfigurationError(
                f"the audit trail {path} is a symbolic link, which could point anywhere",
                hint="use the path of the file itself, and find out who made the link.",
            ) from cause
        raise ConfigurationError(
            f"cannot open the audit trail {path}: {os_error_reason(cause)}",
            hint="choose a file in a writable folder.",
        ) from cause


@contextmanager
def held_trail(path: Path, *, timeout: float) -> Iterator[int]:
    """Open the trail for reading and appending, created if missing, and lock it.

    Waits up to ``timeout`` seconds for other writers, threads and processes alike. Raises
    ConfigurationError when they take longer, or the file system has no locks.
    """
    while True:
        descriptor = _open_or_make(path)
        try:
            _lock(descriptor, path, timeout)
            if _is_still(path, descriptor):
                yield descriptor
                return
            # Moved away while we waited: the file that is there now is the trail.
        finally:
            os.close(descriptor)


def _open_or_make(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot create the folder of the audit trail {path}: {os_error_reason(cause)}",
            hint="choose a file in a writable folder.",
        ) from cause
    with suppress(FileNotFoundError):
        return open_trail(path, os.O_RDWR | os.O_APPEND)
    descriptor = open_trail(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    sync_folder(path.parent)
    return descriptor


def _lock(descriptor: int, path: Path, timeout: float) -> None:
    try:
        wait_for_lock(descriptor, timeout=timeout)
    except TimeoutError as cause:
        raise ConfigurationError(
            f"the audit trail {path} is still locked by another process after {timeout:g} s",
            hint="look for a process that hangs, then run again.",
        ) from cause
    except OSError as cause:
        raise ConfigurationError(
            f"cannot lock the audit trail {path}: {os_error_reason(cause)}",
            hint="put it on a file system with locks, such as a local disk.",
        ) from cause


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        there, ours = os.stat(path, follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
