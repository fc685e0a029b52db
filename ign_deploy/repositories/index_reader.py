"""Reading a store's indexes, and deriving what they should say from records and status events."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ign_deploy.errors import RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories.index import ModuleIndex, merge_module, parse_module_index
from ign_deploy.repositories.publishing import read_record
from ign_deploy.repositories.record import INDEX_NAME, Release
from ign_deploy.repositories.root_index import (
    ModuleEntry,
    RootIndex,
    make_root,
    module_entry,
    parse_root_index,
)
from ign_deploy.repositories.skipped import warn_skipped
from ign_deploy.repositories.status_events import read_module_status, status_event_names
from ign_deploy.repositories.store import Document, Key, Store

WORKERS = 8


class IndexReader:
    """Where listing is cheap (a folder), indexes are compared with the listing when read.

    Elsewhere they are read as they are.
    """

    def __init__(self, store: Store, *, reporter: Reporter) -> None:
        self._store = store
        self._documents = store.documents
        self._reporter = reporter

    def module(self, module_id: str) -> ModuleIndex | None:
        """Return the module's index, rebuilt if it is missing or corrupt; None without versions.

        A version whose record can't be read is skipped, with a warning.
        """
        found = self.stored_module(module_id)
        if found is None or self._store.lists_cheaply:
            found = self.derived(module_id, found)
        return found if found is not None and found["files"] else None

    def root(self) -> RootIndex:
        """Return the root index, rebuilt if it is missing or corrupt."""
        stored = self.stored_root()
        if stored is None or self._store.lists_cheaply:
            return self.derived_root(stored)
        return stored

    def stored_module(self, module_id: str) -> ModuleIndex | None:
        """Return the module's index as it is stored; None if it is missing or corrupt."""
        document = self._read(module_path(module_id))
        stored = None if document is None else parse_module_index(document.data)
        return stored if stored is not None and stored["id"] == module_id else None

    def stored_root(self) -> RootIndex | None:
        """Return the root index as it is stored; None if it is missing or corrupt."""
        document = self._read(INDEX_NAME)
        return None if document is None else parse_root_index(document.data)

    def derived(
        self,
        module_id: str,
        stored: ModuleIndex | None = None,
        *,
        known: Mapping[str, Release] | None = None,
        workers: int = WORKERS,
    ) -> ModuleIndex | None:
        """Return the module's index as the store's listing has it; records are read if missing."""
        versions = {key.version for key in self._store.versions.versions(module_id)} | set(
            known or ()
        )
        status = read_module_status(self._documents, module_id, reporter=self._reporter)
        listed = set() if stored is None else set(stored["versions"])
        missing = [
            each for each in sorted(versions - listed - set(known or ()))
            if not status.is_removed(each)
        ]  # fmt: skip
        found = map_parallel(
            lambda version: self.record(module_id, version), missing, workers=workers
        )
        records = dict(zip(missing, found, strict=True)) | dict(known or {})

        def read(version: str) -> Release | None:
            return records[version] if version in records else self.record(module_id, version)

        return merge_module(stored, module_id=module_id, present=versions, read=read, status=status)

    def derived_root(self, stored: RootIndex | None) -> RootIndex:
        """Return the root index as the store's listing has it; lines that agree are kept."""
        known = {} if stored is None else {entry["id"]: entry for entry in stored["modules"]}
        versions: dict[str, set[str]] = {}
        for key in self._store.versions.versions():
            versions.setdefault(key.id, set()).add(key.version)
        entries = [self._entry(each, versions[each], known.get(each)) for each in sorted(versions)]
        return make_root((), added=[entry for entry in entries if entry is not None])

    def record(self, module_id: str, version: str) -> Release | None:
        """Return a version's record; None without one, or with a warning if it can't be read."""
        try:
            return read_record(self._store.versions, Key(module_id, version))
        except RepositoryError as problem:
            warn_skipped(f"{module_id} {version}", problem.message, self._reporter)
            return None

    def _read(self, path: str) -> Document | None:
        try:
            return self._documents.read(path)
        except RepositoryError:
            if not self._store.lists_cheaply:
                raise
            return None  # a listing is as good

    def _entry(
        self, module_id: str, versions: Collection[str], known: ModuleEntry | None
    ) -> ModuleEntry | None:
        try:
            if known is not None and self._agrees(known, versions):
                return known
            index = self.module(module_id)
        except RepositoryError as problem:
            if not self._store.lists_cheaply:
                raise
            warn_skipped(module_id, problem.message, self._reporter)
            return None
        return None if index is None else module_entry(index)

    def _agrees(self, known: ModuleEntry, versions: Collection[str]) -> bool:
        if len(versions) != known["count"] + known["removed"] or known["latest"] not in versions:
            return False
        # None is ever deleted: as many are the same.
        return len(status_event_names(self._documents, known["id"])) == known["status_events"]


def module_path(module_id: str) -> str:
    """Return where a module's index is, relative to the repository."""
    return f"modules/{module_id}/{INDEX_NAME}"
