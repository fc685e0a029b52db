"""A directory repository's indexes: read with the folders they describe, updated under a lock."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import locked
from ign_deploy.report import Reporter
from ign_deploy.repositories import Reindexed
from ign_deploy.repositories.backends.directory.documents import LOCK_NAME, DirectoryDocuments
from ign_deploy.repositories.backends.directory.filesystem import (
    READING,
    explained,
    is_real_folder,
    read_bounded,
    replace_whole,
)
from ign_deploy.repositories.index import (
    MAX_INDEX_SIZE,
    ModuleEntry,
    ModuleIndex,
    RootIndex,
    index_bytes,
    make_root,
    merge_module,
    module_entry,
    parse_module_index,
    parse_root_index,
)
from ign_deploy.repositories.page import (
    PAGE_NAME,
    PageModule,
    merge,
    read_page,
    refresh_module,
    render_page,
)
from ign_deploy.repositories.page.read import MAX_PAGE_SIZE
from ign_deploy.repositories.record import (
    INDEX_NAME,
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    is_safe_component,
    parse_release,
)
from ign_deploy.repositories.status_events import read_module_status, status_event_names

MODULES_NAME = "modules"


class DirectoryIndex:
    """The indexes below ``root``. What the folders hold counts; an index only saves reading it."""

    def __init__(self, root: Path, *, reporter: Reporter) -> None:
        self._root = root
        self._modules = root / MODULES_NAME
        self._reporter = reporter
        self._documents = DirectoryDocuments(root)

    def module(self, module_id: str) -> ModuleIndex | None:
        """Return the module's index as the folders have it now; None when nothing is published.

        A version whose record can't be read is left out, with a warning.
        """
        return self._merged(module_id, self._stored(module_id))

    def root(self) -> RootIndex:
        """Return the root index as the folders have it now."""
        stored = self._stored_root()
        known = {} if stored is None else {entry["id"]: entry for entry in stored["modules"]}
        names = component_names(self._modules)
        entries = [self._entry(name, known.get(name)) for name in names]
        return make_root((), added=[entry for entry in entries if entry is not None])

    def is_current(self, module_id: str) -> bool:
        """Tell whether both stored indexes say of the module what its folder says."""
        stored, root = self._stored(module_id), self._stored_root()
        if stored is None or root is None or stored != self._merged(module_id, stored):
            return False
        return module_entry(stored) in root["modules"]

    def update(self, module_id: str) -> None:
        """Write both indexes anew after the module changed.

        Its cost doesn't grow with what other modules hold. Raises RepositoryError.
        """
        with (
            explained("update the indexes of", self._root),
            locked(self._root / LOCK_NAME),
        ):
            stored = self._stored(module_id)
            module = self._merged(module_id, stored)
            if module is not None:
                self._write(self._modules / module_id / INDEX_NAME, module, stored)
            self._update_root(module_id, module)
            self._update_page(module_id, module)

    def rebuild(self) -> Reindexed:
        """Write all indexes anew from the records alone. Raises RepositoryError."""
        with (
            explained("update the indexes of", self._root),
            locked(self._root / LOCK_NAME),
        ):
            entries: list[ModuleEntry] = []
            pages: list[PageModule] = []
            for name in component_names(self._modules):
                module = self._merged(name, None)
                if module is not None:
                    self._write(self._modules / name / INDEX_NAME, module, None)
                    entries.append(module_entry(module))
                    pages = merge(pages, self._page_module(name, module, None))
            self._write(self._root / INDEX_NAME, make_root((), added=entries), None)
            replace_whole(self._root / PAGE_NAME, render_page(pages))
        return Reindexed(len(entries), sum(entry["count"] for entry in entries))

    def _update_root(self, module_id: str, module: ModuleIndex | None) -> None:
        stored = self._stored_root()
        known = {} if stored is None else {entry["id"]: entry for entry in stored["modules"]}
        known.pop(module_id, None)
        names = set(component_names(self._modules)) - {module_id}
        added = [self._entry(name, None) for name in names - known.keys()]
        added.append(None if module is None else module_entry(module))
        root = make_root(
            (entry for name, entry in known.items() if name in names),
            added=[entry for entry in added if entry is not None],
        )
        self._write(self._root / INDEX_NAME, root, stored)

    def _update_page(self, module_id: str, module: ModuleIndex | None) -> None:
        stored = self._stored_page()
        if stored is None:  # none yet, or somebody else's: all modules have to be looked at
            stored = [
                self._page_module(name, index, None)
                for name in component_names(self._modules)
                if name != module_id and (index := self.module(name)) is not None
            ]
        old = next((each for each in stored if each["id"] == module_id), None)
        changed = merge(stored, self._page_module(module_id, module, old))
        if changed != stored or not (self._root / PAGE_NAME).exists():
            replace_whole(self._root / PAGE_NAME, render_page(changed))

    def _page_module(
        self, module_id: str, index: ModuleIndex | None, old: PageModule | None
    ) -> PageModule:
        return refresh_module(index, module_id=module_id, old=old, read=self._reader(module_id))

    def _stored_page(self) -> list[PageModule] | None:
        with suppress(OSError):
            return read_page(read_bounded(self._root / PAGE_NAME, limit=MAX_PAGE_SIZE))
        return None

    def _write(
        self,
        path: Path,
        index: ModuleIndex | RootIndex,
        stored: ModuleIndex | RootIndex | None,
    ) -> None:
        if index != stored:
            # Not durable: after a power cut a corrupt index is ignored and derived again.
            replace_whole(path, index_bytes(index))

    def _entry(self, module_id: str, known: ModuleEntry | None) -> ModuleEntry | None:
        """Return the module's line: the known one, if it agrees with the folder."""
        try:
            if known is not None:
                names = self._version_names(module_id)
                listed = known["count"] + known["removed"]
                marks = status_event_names(self._documents, module_id)
                if len(names) == listed and known["latest"] in names and marks == known["marks"]:
                    return known
            index = self.module(module_id)
        except RepositoryError as problem:
            self._reporter.warning(f"{module_id} is left out: {problem.message}")
            return None
        return None if index is None else module_entry(index)

    def _merged(self, module_id: str, stored: ModuleIndex | None) -> ModuleIndex | None:
        return merge_module(
            stored,
            module_id=module_id,
            present=self._version_names(module_id),
            read=self._reader(module_id),
            marked=read_module_status(self._documents, module_id, reporter=self._reporter),
        )

    def _reader(self, module_id: str) -> Callable[[str], Release | None]:
        def read(version: str) -> Release | None:
            try:
                return read_release(self._modules, module_id, version)
            except RepositoryError as problem:
                self._reporter.warning(f"{module_id} {version} is left out: {problem.message}")
                return None

        return read

    def _stored(self, module_id: str) -> ModuleIndex | None:
        with suppress(OSError):
            data = read_bounded(self._modules / module_id / INDEX_NAME, limit=MAX_INDEX_SIZE)
            return parse_module_index(data)
        return None

    def _stored_root(self) -> RootIndex | None:
        with suppress(OSError):
            return parse_root_index(read_bounded(self._root / INDEX_NAME, limit=MAX_INDEX_SIZE))
        return None

    def _version_names(self, module_id: str) -> list[str]:
        folder = self._modules / module_id
        return component_names(folder) if is_real_folder(folder) else []


def component_names(folder: Path) -> list[str]:
    """Return the names in the folder that can be ids or versions; none when it is missing."""
    with explained("list", folder, hints=READING):
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return []
    return [name for name in names if is_safe_component(name)]


def read_release(modules: Path, module_id: str, version: str) -> Release | None:
    """Return the record of a version; None when the folder or its record is missing.

    Raises RepositoryError for a record that can't be read, that belongs elsewhere, or that stands
    behind a symbolic link.
    """
    folder = modules / module_id / version
    if not is_real_folder(folder.parent) or not is_real_folder(folder):
        return None
    path = folder / RECORD_NAME
    with explained("read", path, hints=READING):
        try:
            data = read_bounded(path, limit=MAX_RECORD_SIZE)
        except FileNotFoundError:
            return None
    release = parse_release(data, location=str(path))
    if (release.id, release.version) != (module_id, version):
        raise RepositoryError(
            f"{path} is the record of {release.id} {release.version}, expected {module_id} "
            f"{version} by its folder's name",
            hint="move the folder to where it belongs.",
        )
    return release


def newest_change(folder: Path) -> float:
    """Return the latest change (seconds) of the folder and what is directly in it."""
    stats: Sequence[os.stat_result] = [
        os.lstat(folder),
        *(entry.stat(follow_symlinks=False) for entry in os.scandir(folder)),
    ]
    return max(each.st_mtime for each in stats if not stat.S_ISLNK(each.st_mode))
