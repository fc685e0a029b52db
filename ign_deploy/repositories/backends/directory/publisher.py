"""The rename publisher: a version is put together out of sight, then shown by one rename.

A version is at ``modules/<id>/<version>/`` and counts only with its ``release.json``. It is put
together in ``.staging/`` and renamed as a whole, so exactly one of several writers wins: readers
never see a part.

A version folder without a record is never ours (a rename brings the record along): it was made
by hand, or another tool is publishing into the same share. An empty one is simply replaced.
One with files blocks for a day after its last change, then it is moved to ``.set-aside/`` for a
person to look at; what others made is never deleted.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import FILE_MODE, locked, sync_folder, try_lock
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.backends.directory.documents import LOCK_NAME
from ign_deploy.repositories.backends.directory.versions import MODULES_NAME, read_record_file
from ign_deploy.repositories.local_files import (
    READING,
    copy_in,
    explained,
    is_real_folder,
    make_folder,
    store_error,
    write_whole,
)
from ign_deploy.repositories.publishing import parse_record
from ign_deploy.repositories.record import RECORD_NAME, Release
from ign_deploy.repositories.store import Publishing

SET_ASIDE_NAME = ".set-aside"
# What a rename onto a folder that isn't empty answers, by file system.
_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})
STAGING_NAME = ".staging"
LEFTOVER_AGE = 24 * 3600.0
_LOCK_NAME = "lock"


class DirectoryPublisher:
    """See ``store.Publisher``; the root is made when missing (its parent isn't)."""

    def __init__(self, root: Path, *, reporter: Reporter) -> None:
        self._root = root
        self._modules = root / MODULES_NAME
        self._reporter = reporter

    def publish(self, wanted: Publishing) -> tuple[PublishOutcome, Release]:
        """See ``Publisher.publish``."""
        if (found := self._published(wanted)) is not None:
            return PublishOutcome.ALREADY_PUBLISHED, found
        with explained("write to the repository", self._root):
            make_folder(self._root)
            make_folder(self._modules)
        with staging(self._root) as area:
            area.fill(wanted.release, files=wanted.files, progress=wanted.progress)
            return self._show(wanted, area)

    def _published(self, wanted: Publishing) -> Release | None:
        """Return the record if the version is published with the same module, None if it isn't.

        Raises VersionConflict when it is published with another one.
        """
        key = wanted.key
        self._refuse_other_case(self._modules, key.id)
        self._refuse_other_case(self._modules / key.id, key.version)
        data = read_record_file(self._modules / key.id / key.version)
        return None if data is None else wanted.confirm(parse_record(data, key))

    def _refuse_other_case(self, folder: Path, name: str) -> None:
        # On every file system, so that the repository can be copied to one that ignores case.
        if os.path.lexists(folder) and is_real_folder(folder):
            lowered = name.lower()
            with explained("list", folder, hints=READING):
                names = os.listdir(folder)
            for other in names:
                if other.lower() == lowered and other != name:
                    raise RepositoryError(
                        f"{folder} has {other}, which differs from {name} only in letter case",
                        hint=f"write it as {other}, or choose another name.",
                    )

    def _show(self, wanted: Publishing, area: Staging) -> tuple[PublishOutcome, Release]:
        """Rename the staged version into place, or find out who was first."""
        target = self._modules / wanted.key.id / wanted.key.version
        with explained("write to the repository", self._root):
            make_folder(target.parent)
        cause = self._rename(area, target)
        if cause is None:
            return PublishOutcome.PUBLISHED, wanted.release
        # Also after other errors: a share can lose the acknowledgement of a rename that was done.
        if (found := self._published(wanted)) is not None:
            return PublishOutcome.ALREADY_PUBLISHED, found
        if cause.errno not in _TAKEN:
            raise store_error("publish to", target, cause) from cause
        self._set_aside(target, now=area.now)
        if (cause := self._rename(area, target)) is None:
            return PublishOutcome.PUBLISHED, wanted.release
        if (found := self._published(wanted)) is not None:
            return PublishOutcome.ALREADY_PUBLISHED, found
        raise store_error("publish to", target, cause) from cause

    def _rename(self, area: Staging, target: Path) -> OSError | None:
        try:
            area.version.rename(target)
        except OSError as cause:
            return cause
        with suppress(OSError):
            sync_folder(target.parent)
            sync_folder(self._modules)
        return None

    def _set_aside(self, target: Path, *, now: float) -> None:
        """Move a folder without a record away, once it hasn't changed for a day."""
        with (
            explained("take over", target),
            locked(self._root / LOCK_NAME),
        ):
            # Another run may have done so by now, and have published: then there is a record.
            if not target.exists() or (target / RECORD_NAME).exists():
                return
            if now - _newest_change(target) < LEFTOVER_AGE:
                raise RepositoryError(
                    f"{target} holds files but no {RECORD_NAME}: another tool is publishing there, "
                    "or left it unfinished",
                    hint="wait for the other tool, or remove the folder if nothing writes to it.",
                )
            aside = self._root / SET_ASIDE_NAME
            make_folder(aside)
            target_folder = aside / f"{secrets.token_hex(4)}-{target.name}"
            target.rename(target_folder)
        self._reporter.warning(
            f"{target} held files but no {RECORD_NAME} for a day; it was moved to {target_folder}"
        )


def _newest_change(folder: Path) -> float:
    """Return the latest change (seconds) of the folder and what is directly in it."""
    stats: Sequence[os.stat_result] = [
        os.lstat(folder),
        *(entry.stat(follow_symlinks=False) for entry in os.scandir(folder)),
    ]
    return max(each.st_mtime for each in stats if not stat.S_ISLNK(each.st_mode))


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
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
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
