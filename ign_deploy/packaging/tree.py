"""Walking a tree of folders in which a build of others may have made anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH_MAX = 4096


class FolderEntry(NamedTuple):
    """A name in an open folder; ``folder`` is its descriptor, valid until the next entry.

    ``path`` is empty where it would be longer than the system takes.
    """

    path: str
    folder: int
    name: str
    status: os.stat_result

    @property
    def identity(self) -> tuple[str, int]:
        """What distinguishes a file from one that replaced it."""
        return self.path, self.status.st_ino


class _Level(NamedTuple):
    """A folder that is walked, by name and path, and what in it is still to be walked."""

    name: str
    path: str
    inode: int
    waiting: list[tuple[str, int]]


def entries_of(
    top: str, *, device: int, uid: int | None = None, skip: Container[str] = ()
) -> Iterator[FolderEntry]:
    """Yield everything below ``top`` that belongs to ``uid`` (None: to anyone), however deep.

    Other file systems, and the paths in ``skip`` with all below them, are left out.
    """
    with closing(_Walk(top, device)) as walk:
        while walk.enter_next():
            for entry in walk.listed():
                if entry.path in skip:
                    continue
                if stat.S_ISDIR(entry.status.st_mode) and entry.status.st_dev == device:
                    walk.levels[-1].waiting.append((entry.name, entry.status.st_ino))
                if uid in (None, entry.status.st_uid):
                    yield entry


def open_folder(path: str) -> int | None:
    """Open a folder, unless its owner has replaced a part of its path by a link."""
    try:
        descriptor = os.open(path, _FOLDER)
    except OSError:
        return None
    with suppress(OSError):
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()) == path:
            return descriptor
    os.close(descriptor)
    return None


def change_owner(entry: FolderEntry, uid: int, gid: int) -> bool:
    """Change the owner of what was listed, not of what may have replaced it since.

    Return False when it is gone, or on a file system without owners.
    """
    with suppress(OSError):
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(entry.name, flags, dir_fd=entry.folder)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) == (entry.status.st_dev, entry.status.st_ino):
                os.chown(f"/proc/self/fd/{descriptor}", uid, gid)
                return True
        finally:
            os.close(descriptor)
    return False


class _Walk:
    """The folder that is open in a tree, and the way to it.

    A path may be longer than the system takes, and deeper than there may be open files. So one
    folder is open at a time, and each is opened from the one before: by its name, or as its parent.
    It counts only if it is the folder that was listed, since it may have been moved or replaced.
    """

    def __init__(self, top: str, device: int) -> None:
        self._device = device
        self._descriptor = -1
        self.levels: list[_Level] = []
        self._top = _Level(top, top, -1, [])

    def enter_next(self) -> bool:
        """Open the next folder; return False when all have been."""
        if self._descriptor < 0:
            return self._enter_top()
        while self.levels:
            level = self.levels[-1]
            while level.waiting:
                name, inode = level.waiting.pop()
                if self._enter(name, inode):
                    self.levels.append(_Level(name, _join(level.path, name), inode, []))
                    return True
            self._leave()
        return False

    def listed(self) -> Iterator[FolderEntry]:
        """Yield what is in the open folder; what vanishes meanwhile is left out."""
        path = self.levels[-1].path
        with suppress(OSError), os.scandir(self._descriptor) as names:
            for item in names:
                with suppress(OSError):
                    status = item.stat(follow_symlinks=False)
                    yield FolderEntry(_join(path, item.name), self._descriptor, item.name, status)

    def close(self) -> None:
        """Close the open folder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _leave(self) -> None:
        """Go back to the folder above, or to the nearest one that is still in its place."""
        self.levels.pop()
        if not self.levels or self._enter("..", self.levels[-1].inode):
            return
        while self.levels and not self._enter_again():
            self.levels.pop()

    def _enter_top(self) -> bool:
        descriptor = open_folder(self._top.path)
        if descriptor is None:
            return False
        self.close()
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        if not self.levels:
            self.levels.append(self._top._replace(inode=status.st_ino))
        return (status.st_dev, status.st_ino) == (self._device, self.levels[0].inode)

    def _enter_again(self) -> bool:
        return self._enter_top() and all(
            self._enter(level.name, level.inode) for level in self.levels[1:]
        )

    def _enter(self, name: str, inode: int) -> bool:
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=self._descriptor)
        except OSError:
            return False
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (self._device, inode):
            os.close(descriptor)
            return False
        self.close()
        self._descriptor = descriptor
        return True


def _join(folder: str, name: str) -> str:
    path = os.path.join(folder, name) if folder else ""
    return path if len(os.fsencode(path)) < _PATH_MAX else ""
