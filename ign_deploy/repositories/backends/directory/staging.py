"""Staging: a version is put together out of sight, then shown by one rename."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.files import sync_folder, try_lock
from ign_deploy.report import Progress
from ign_deploy.repositories.local_files import (
    copy_in,
    explained,
    make_folder,
    write_whole,
)
from ign_deploy.repositories.record import RECORD_NAME, Release

STAGING_NAME = ".staging"
LEFTOVER_AGE = 24 * 3600.0
_LOCK_NAME = "lock"


@dataclass(frozen=True, slots=True)
class Staging:
    """A run's own folder, of which ``version`` is to be renamed into place.

    ``now`` is the file system's own time (seconds): a share's clock may differ from ours.
    """

    version: Path
    now: float

    def fill(self, release: Release, *, files: Mapping[str, Path], progress: Progress) -> None:
        """Copy the files and write the record last; all is on the disk when this returns.

        Raises RepositoryError when a file isn't what the record says, or can't be written.
        """
        with explained("write to", self.version):
            make_folder(self.version)
        for file in release.files:
            copy_in(files[file.name], self.version / file.name, expected=file, progress=progress)
        record = self.version / RECORD_NAME
        with explained("write", record):
            write_whole(record, release.to_json())
            sync_folder(self.version)


@contextmanager
def staging(root: Path) -> Iterator[Staging]:
    """Make a staging folder under ``root`` and remove it at the end, with what is left in it.

    Its lock file is held until then, so that no other run takes the folder for a leftover.
    Leftovers of killed runs, older than a day, are removed.
    """
    parent = root / STAGING_NAME
    folder = parent / secrets.token_hex(8)
    lock = folder / _LOCK_NAME
    with explained("write to the repository", root):
        make_folder(parent)
        make_folder(folder)
    try:
        with explained("write to the repository", root):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with suppress(OSError):  # without locks, age alone protects the folder
                try_lock(descriptor)
            now = os.fstat(descriptor).st_mtime
            remove_leftovers(parent, now=now)
            yield Staging(folder / "version", now)
        finally:
            os.close(descriptor)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path, *, now: float) -> None:
    """Remove staging folders that are older than a day and that no living run holds."""
    with suppress(OSError):
        for name in os.listdir(parent):
            folder = parent / name
            if is_leftover(folder, now=now):
                shutil.rmtree(folder, ignore_errors=True)


def is_leftover(folder: Path, *, now: float) -> bool:
    """Return whether a staging folder was left behind; if in doubt, it wasn't."""
    lock = folder / _LOCK_NAME
    try:
        newest = max(
            os.lstat(path).st_mtime for path in (folder, lock, folder / "version") if path.exists()
        )
        if now - newest < LEFTOVER_AGE:
            return False
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True  # killed before it made its lock file
    except (OSError, ValueError):
        return False
    try:
        return try_lock(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
