"""A directory repository's small files: indexes, status events, deployments."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import locked, sync_folder
from ign_deploy.repositories.local_files import (
    READING,
    explained,
    is_real_folder,
    make_folder,
    read_bounded,
    replace_whole,
    write_whole,
)
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

LOCK_NAME = ".lock"


class DirectoryDocuments:
    """See ``store.DocumentStore``; every part of a path is a safe component."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._comparing = threading.Lock()
        self._counting = threading.Lock()
        self._holders = 0
        self._lock = ExitStack()

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        location = self._path(path)
        if not self._is_there(location.parent):
            return None
        with explained("read", location, hints=READING):
            try:
                data = read_bounded(location, limit=MAX_DOCUMENT_SIZE)
            except FileNotFoundError:
                return None
        return Document(data)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``; compared and replaced under the repository's lock."""
        location = self._path(path)
        with explained("write to the repository", location), self.locked(), self._comparing:
            self._make_folders(location.parent)
            if self.read(path) != replaces:
                return False
            replace_whole(location, data)
        return True

    def now(self) -> datetime:
        """Return the time of the disk or the server that has the folder."""
        with self.locked():
            # As a file that is written now gets it: on a share that is the server's.
            os.utime(self._root / LOCK_NAME)
            return datetime.fromtimestamp((self._root / LOCK_NAME).stat().st_mtime, UTC)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the repository's lock: the threads of this run together, and each again inside.

        One thread holds it while several write for it.
        """
        with explained("update the indexes of", self._root):
            make_folder(self._root)
            with self._counting:
                if not self._holders:
                    self._lock.enter_context(locked(self._root / LOCK_NAME))
                self._holders += 1
            try:
                yield
            finally:
                with self._counting:
                    self._holders -= 1
                    if not self._holders:
                        self._lock.close()

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``; it appears whole, by a link that never replaces anything."""
        location = self._path(path)
        fresh = location.with_name(f".{secrets.token_hex(8)}.new")
        with explained("write to the repository", location):
            self._make_folders(location.parent)
            try:
                write_whole(fresh, data)
                _show(fresh, location)
            finally:
                with suppress(FileNotFoundError):
                    fresh.unlink()
            with suppress(OSError):
                sync_folder(location.parent)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        location = self._path(folder)
        if not self._is_there(location):
            return []
        with explained("list", location, hints=READING):
            return [
                entry.name
                for entry in os.scandir(location)
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            ]

    def _path(self, path: str) -> Path:
        parts = path.split("/")
        if not all(is_safe_component(part) or part in _OWN_NAMES for part in parts):
            raise RepositoryError(
                f"{path!r} is not a valid document path", hint="use letters, digits and . _ + -"
            )
        return self._root.joinpath(*parts)

    def _is_there(self, folder: Path) -> bool:
        """Return whether the folder is there; a link on the path could lead out, and is refused."""
        parts = folder.relative_to(self._root).parts
        folders = [self._root.joinpath(*parts[: length + 1]) for length in range(len(parts))]
        return all(is_real_folder(location) for location in folders)

    def _make_folders(self, folder: Path) -> None:
        make_folder(self._root)
        location = self._root
        for part in folder.relative_to(self._root).parts:
            location /= part
            make_folder(location)
            is_real_folder(location)


_OWN_NAMES = frozenset({"index.json", "index.js", "release.json"})


def _show(fresh: Path, location: Path) -> None:
    try:
        os.link(fresh, location, follow_symlinks=False)
    except FileExistsError:
        if read_bounded(location, limit=MAX_DOCUMENT_SIZE) != fresh.read_bytes():
            raise
    except OSError as cause:
        # A share without hard links; the name is unique, so that nothing is replaced.
        if cause.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        fresh.rename(location)
