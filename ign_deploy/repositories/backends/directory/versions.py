"""A directory repository's published versions: folders with a record, never behind a link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.local_files import (
    READING,
    copy_out,
    explained,
    is_real_folder,
    read_bounded,
)
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    ReleaseFile,
    is_safe_component,
)
from ign_deploy.repositories.skipped import warn_skipped
from ign_deploy.repositories.store import Key

MODULES_NAME = "modules"


class DirectoryVersions:
    """See ``store.VersionStore``."""

    def __init__(self, root: Path, *, reporter: Reporter) -> None:
        self._root = root
        self._modules = root / MODULES_NAME
        self._reporter = reporter

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``; raises NotInRepository without a repository."""
        require_folder(self._root, root=self._root)
        return read_record_file(self.folder(key))

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        copy_out(self.folder(key) / file.name, to, expected=file, progress=progress)

    def versions(self, module_id: str | None = None) -> Iterator[Key]:
        """See ``VersionStore.versions``; raises NotInRepository without a repository."""
        require_folder(self._root, root=self._root)
        if module_id is not None:
            yield from self._versions_of(module_id)
            return
        for each in _component_names(self._modules):
            try:
                yield from self._versions_of(each)
            except RepositoryError as problem:
                warn_skipped(each, problem.message, self._reporter)

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``."""
        for file in release.files:
            path = self.folder(key) / file.name
            with explained("remove", path), suppress(FileNotFoundError):
                path.unlink()

    def folder(self, key: Key) -> Path:
        """Return the version's folder."""
        return self._modules / key.id / key.version

    def _versions_of(self, module_id: str) -> list[Key]:
        folder = self._modules / module_id
        names = _component_names(folder) if is_real_folder(folder) else []
        return [Key(module_id, name) for name in names]


def require_folder(folder: Path, *, root: Path) -> None:
    """Raise NotInRepository when there is no repository at ``root``, else RepositoryError.

    ``folder`` is what has to be there: the root, or the folder that is to hold it.
    """
    with explained("use the repository", root):
        try:
            os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except FileNotFoundError as cause:
            if folder != root:
                raise
            raise NotInRepository(
                f"there is no repository at {folder}",
                hint="publish a module first, or check --repository-url.",
            ) from cause


def read_record_file(folder: Path) -> bytes | None:
    """Return the record in a version's folder; None when either is missing.

    Raises RepositoryError for one that can't be read, or that is behind a symbolic link.
    """
    if not is_real_folder(folder.parent) or not is_real_folder(folder):
        return None
    path = folder / RECORD_NAME
    with explained("read", path, hints=READING):
        try:
            return read_bounded(path, limit=MAX_RECORD_SIZE)
        except FileNotFoundError:
            return None


def _component_names(folder: Path) -> list[str]:
    """Return the names in the folder that can be ids or versions; none when it is missing."""
    with explained("list", folder, hints=READING):
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return []
    return [name for name in names if is_safe_component(name)]
