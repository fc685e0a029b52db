"""Files that are being received: what a broken transfer left is continued by the next run."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import VerificationError
from ign_deploy.files import try_lock

_LEAST_KEPT = 1 << 20
_LEFTOVER_AGE = 24 * 3600.0
_FOLDER = re.compile(r"\.[0-9a-f]{12,16}\.partial")


@contextmanager
def partial_file(path: Path, *, size: int) -> Iterator[BinaryIO | None]:
    """Yield the file at ``path``, locked, with what an earlier run left in it.

    None if another run writes it, or it isn't ours alone. It stays when the transfer breaks off
    with enough bytes to be worth it, and goes when they are wrong. In the end it is the caller's:
    to be renamed, or deleted. ``size`` is what it will have: more than that can't be its beginning.
    """
    stream = _open_own(path)
    if stream is None:
        yield None
        return
    with stream:
        if os.fstat(stream.fileno()).st_size > size:
            stream.truncate(0)
        try:
            yield stream
        except BaseException as problem:
            with suppress(OSError):
                stream.flush()
            is_worth_it = os.fstat(stream.fileno()).st_size >= _LEAST_KEPT
            if isinstance(problem, VerificationError) or not is_worth_it:
                with suppress(OSError):
                    path.unlink()
            raise


def remove_partial_files(folder: Path) -> None:
    """Remove folders of partial files that runs killed a day ago or earlier left in a folder."""
    with suppress(OSError):
        now = folder.stat().st_mtime
        for entry in os.scandir(folder):
            found = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if is_folder and _FOLDER.fullmatch(entry.name) and _is_old(Path(entry.path), now):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_old(folder: Path, now: float) -> bool:
    times = [folder.lstat().st_mtime, *(path.lstat().st_mtime for path in folder.iterdir())]
    return now - max(times) > _LEFTOVER_AGE


def _open_own(path: Path) -> BinaryIO | None:
    """Open the file and lock it; None if someone else holds it, or could write it."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    is_fresh = False
    try:
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            is_fresh = True
        except FileExistsError:
            descriptor = os.open(path, flags)
    except OSError:
        return None
    with suppress(OSError):
        if _is_locked(descriptor, is_fresh=is_fresh) and _is_own(path, descriptor):
            return os.fdopen(descriptor, "r+b")
    os.close(descriptor)
    return None


def _is_locked(descriptor: int, *, is_fresh: bool) -> bool:
    try:
        return try_lock(descriptor)
    except OSError:  # a share without locks: only a new file is surely not another run's
        return is_fresh


def _is_own(path: Path, descriptor: int) -> bool:
    """Return whether the open file is ours alone, and still at its path."""
    found, there = os.fstat(descriptor), path.lstat()
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and not (found.st_size and found.st_mode & stat.S_IWOTH)
        and found.st_nlink == 1
        and (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)
    )
