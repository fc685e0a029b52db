"""A build's private folder, removed afterwards, whatever the build has put into it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.files import explain_os_error

PREFIX = "ign-build-"
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def private_folder(*, parent: str | None = None) -> Iterator[Path]:
    """Make a temporary folder, and remove it in the end; raises PackagingError if it can't be made.

    Not with tempfile.TemporaryDirectory, which is recursive: folders may be deeper than its stack.
    """
    where = Path(parent or tempfile.gettempdir())
    hint = "free disk space, or set TMPDIR to another folder."
    with explain_os_error("make a folder in", where, error=PackagingError, hint=hint):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, however deep; what can't be removed is left.

    Inner folders are moved to the top one by one, so that no path gets long and nothing recurses.
    """
    with suppress(OSError):
        top = os.open(folder, os.O_RDONLY | _FOLDER)
        try:
            left: set[str] = set()
            while names := set(os.listdir(top)) - left:
                left |= {name for name in names if not _remove(name, top)}
        finally:
            os.close(top)
        folder.rmdir()


def _remove(name: str, top: int) -> bool:
    """Remove a name in the open folder ``top``; what is in a folder comes to the top."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=top)
            return True
        folder = _open(name, top)
        try:
            for inner in os.listdir(folder):
                _lift(inner, folder, top)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)
    except OSError:
        return False
    return True


def _lift(name: str, folder: int, top: int) -> None:
    with suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.close(_open(name, folder))
            os.rename(name, os.urandom(12).hex(), src_dir_fd=folder, dst_dir_fd=top)
        else:
            os.unlink(name, dir_fd=folder)


def _open(name: str, folder: int) -> int:
    """Open a folder to change it, also one that the build has closed."""
    handle = os.open(name, os.O_PATH | _FOLDER, dir_fd=folder)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(stat.S_IRWXU)
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
