"""The trail's file, opened safely and held by one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import sync_folder

_PAUSE = 0.005
_BUSY = frozenset({errno.EAGAIN, errno.EACCES})


def open_regular(path: Path, flags: int) -> int:
    """Open a plain file and nothing else; returns its descriptor.

    A build may have left a link under the trail's name, to have another file written: it isn't
    followed. Raises ConfigurationError, but FileNotFoundError as it is.
    """
    safe = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags | safe, 0o644)
    except FileNotFoundError:
        raise
    except OSError as cause:
        if cause.errno == errno.ELOOP or path.is_symlink():
            raise ConfigurationError(
                f"the audit trail {path} is a symbolic link, which could lead anywhere",
                hint="give the path of the file itself, and find out who made the link.",
            ) from cause
        raise ConfigurationError(
            f"the audit trail {path} can't be opened: {cause.strerror or cause}",
            hint="choose a file in a writable folder.",
        ) from cause
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigurationError(
            f"the audit trail {path} is no plain file", hint="choose another path."
        )
    return descriptor


@contextmanager
def held_trail(path: Path, *, patience: float) -> Iterator[int]:
    """Open the trail for reading and appending, made if missing, and hold it alone.

    Waits up to ``patience`` seconds for other writers, threads and processes alike. Raises
    ConfigurationError when they take longer, or the file system knows no locks.
    """
    end = time.monotonic() + patience
    while True:
        descriptor = _open_or_make(path)
        try:
            _lock(descriptor, path, end)
            if _is_still(path, descriptor):
                yield descriptor
                return
            # Moved away while we waited: what is there now is the trail.
        finally:
            os.close(descriptor)


def _open_or_make(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise ConfigurationError(
            f"the folder of the audit trail {path} can't be made: {cause.strerror or cause}",
            hint="choose a file in a writable folder.",
        ) from cause
    with suppress(FileNotFoundError):
        return open_regular(path, os.O_RDWR | os.O_APPEND)
    descriptor = open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    sync_folder(path.parent)
    return descriptor


def _lock(descriptor: int, path: Path, end: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            if cause.errno not in _BUSY:
                raise ConfigurationError(
                    f"the audit trail {path} can't be locked: {cause.strerror or cause}",
                    hint="put it on a file system that has locks, such as a local disk.",
                ) from cause
        else:
            return
        if time.monotonic() >= end:
            raise ConfigurationError(
                f"the audit trail {path} is held by another process for too long",
                hint="look for a process that hangs, then run again.",
            )
        time.sleep(_PAUSE)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        there, ours = os.stat(path, follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
