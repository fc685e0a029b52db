"""A directory repository's small files: marks and deployments, added whole and never changed."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import sync_folder
from ign_deploy.repositories.backends.directory.filesystem import (
    READING,
    explained,
    folder_lock,
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
    """See ``stores.Documents``; every part of a path is a safe component."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> Document | None:
        """See ``Documents.read``."""
        place = self._place(path)
        if not self._is_there(place.parent):
            return None
        with explained("read", place, hints=READING):
            try:
                data = read_bounded(place, limit=MAX_DOCUMENT_SIZE)
            except FileNotFoundError:
                return None
        return Document(data)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``Documents.write``; compared and replaced under the repository's lock."""
        place = self._place(path)
        with explained("write to the repository", place):
            self._make_folders(place.parent)
            with folder_lock(self._root / LOCK_NAME):
                if self.read(path) != replaces:
                    return False
                replace_whole(place, data)
        return True

    def add(self, path: str, data: bytes) -> None:
        """See ``Documents.add``; it appears whole, by a link that never replaces anything."""
        place = self._place(path)
        fresh = place.with_name(f".{secrets.token_hex(8)}.new")
        with explained("write to the repository", place):
            self._make_folders(place.parent)
            try:
                write_whole(fresh, data)
                _show(fresh, place)
            finally:
                with suppress(FileNotFoundError):
                    fresh.unlink()
            with suppress(OSError):
                sync_folder(place.parent)

    def names(self, folder: str) -> list[str]:
        """See ``Documents.names``."""
        place = self._place(folder)
        if not self._is_there(place):
            return []
        with explained("list", place, hints=READING):
            return [
                entry.name
                for entry in os.scandir(place)
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            ]

    def _place(self, path: str) -> Path:
        parts = path.split("/")
        if not all(is_safe_component(part) or part in _OWN_NAMES for part in parts):
            raise RepositoryError(
                f"{path!a} can't be the path of a document", hint="use letters, digits and . _ + -"
            )
        return self._root.joinpath(*parts)

    def _is_there(self, folder: Path) -> bool:
        """Tell whether the folder is there; a link on the way could lead out, and is refused."""
        way = folder.relative_to(self._root).parts
        places = [self._root.joinpath(*way[: length + 1]) for length in range(len(way))]
        return all(is_real_folder(place) for place in places)

    def _make_folders(self, folder: Path) -> None:
        make_folder(self._root)
        place = self._root
        for part in folder.relative_to(self._root).parts:
            place /= part
            make_folder(place)
            is_real_folder(place)


_OWN_NAMES = frozenset({"index.json", "release.json"})


def _show(fresh: Path, place: Path) -> None:
    try:
        os.link(fresh, place, follow_symlinks=False)
    except FileExistsError:
        if read_bounded(place, limit=MAX_DOCUMENT_SIZE) != fresh.read_bytes():
            raise
    except OSError as cause:
        # A share without hard links; the name is unique, so that nothing is replaced.
        if cause.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        fresh.rename(place)
