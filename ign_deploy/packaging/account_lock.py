"""Which runs of this machine build as one user: only the last one may end all its processes."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile

from ign_deploy.errors import PackagingError

# Where only root can make a file; in a read-only container, the folder that there is.
_FOLDERS = ("/run",)
_NAME = "ign-deploy-builds.lock"


def hold_lock() -> int:
    """Return a descriptor that says, until it is closed, that this run builds.

    A build must not be able to open the file: it could keep all runs waiting, or pretend to be one.
    Raises PackagingError when there is no such file.
    """
    descriptor = _open()
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def try_lock_out() -> int | None:
    """Return a descriptor that keeps other runs from building; None when one builds."""
    descriptor = _open()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _open() -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    path = ""
    for folder in (*_FOLDERS, tempfile.gettempdir()):
        path = os.path.join(folder, _NAME)
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError:
            continue
        status = os.fstat(descriptor)
        is_ours = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o600
        if is_ours and stat.S_ISREG(status.st_mode):
            return descriptor
        os.close(descriptor)
        break
    raise PackagingError(
        f"cannot lock {path}, which must be a file of root's that others can't open",
        hint="remove it, or give --isolate off.",
    )
