"""The indexes of a store reached over the network: read as they stand, brought up to date whole.

Unlike a folder, a store isn't looked through at every reading: that would cost a request per page
of its listing. So an index can lag behind the records, for instance when two jobs without
compare-and-swap wrote it at once and one was killed; ``reindex`` derives it anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from ign_deploy.errors import RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories import Reindexed
from ign_deploy.repositories.index import (
    ModuleIndex,
    RootIndex,
    index_bytes,
    make_root,
    merge_module,
    module_entry,
    nothing_published,
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
from ign_deploy.repositories.publishing import read_record
from ign_deploy.repositories.record import INDEX_NAME, Release
from ign_deploy.repositories.status_events import read_module_status
from ign_deploy.repositories.store import Document, Key, Store

Index = TypeVar("Index", ModuleIndex, RootIndex)
Stored = TypeVar("Stored", ModuleIndex, RootIndex, list[PageModule])
WORKERS = 8
_TRIES = 10


class StoreIndex:
    """The indexes in ``store``, and the page, where a store can show one."""

    def __init__(
        self,
        store: Store,
        *,
        reporter: Reporter,
        has_page: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._has_page = has_page
        self._reporter = reporter
        self._sleep = sleep

    def module(self, module_id: str) -> ModuleIndex | None:
        """Return the module's index, derived if it is missing or corrupt; None without versions."""
        document = self._store.read(module_path(module_id))
        stored = None if document is None else parse_module_index(document.data)
        is_ours = stored is not None and stored["id"] == module_id
        found = stored if is_ours else self._derived(module_id)
        return found if found is not None and found["files"] else None

    def root(self) -> RootIndex:
        """Return the root index, derived if it is missing or corrupt."""
        document = self._store.read(INDEX_NAME)
        stored = None if document is None else parse_root_index(document.data)
        return self._derived_root() if stored is None else stored

    def lists(self, release: Release) -> bool:
        """Tell whether both stored indexes know the version."""
        module, root = self.module(release.id), self.root()
        ids = {entry["id"] for entry in root["modules"]}
        return module is not None and release.version in module["versions"] and release.id in ids

    def add(self, release: Release) -> None:
        """Add a new version to both indexes; raises RepositoryError."""

        def with_release(stored: ModuleIndex | None) -> ModuleIndex:
            if stored is None:
                stored = self._derived(release.id)
            known = [] if stored is None else stored["versions"]
            return self._merged(stored, release.id, {*known, release.version}, fresh=release)

        self._write_all(release.id, with_release, fresh=release)

    def refresh(self, module_id: str) -> None:
        """Bring both indexes up to date with the module's marks; raises RepositoryError."""

        def with_marks(stored: ModuleIndex | None) -> ModuleIndex:
            if stored is None:
                return self._derived(module_id) or nothing_published(module_id)
            return self._merged(stored, module_id, stored["versions"])

        self._write_all(module_id, with_marks)

    def rebuild(self) -> Reindexed:
        """Write all indexes anew from records and marks alone; raises RepositoryError."""
        modules = {key.id for key in self._store.versions()}
        versions = 0
        for module_id in sorted(modules):
            index = self._derived(module_id) or nothing_published(module_id)
            versions += len(index["files"])
            self._write(module_path(module_id), parse_module_index, _always(index), index_bytes)
        root = self._root_of(modules)
        self._write(INDEX_NAME, parse_root_index, _always(root), index_bytes)
        if self._has_page:
            page = self._derived_page()
            self._write(PAGE_NAME, read_page, lambda _: page, render_page)
        return Reindexed(len(root["modules"]), versions)

    def _write_all(
        self,
        module_id: str,
        change: Callable[[ModuleIndex | None], ModuleIndex],
        *,
        fresh: Release | None = None,
    ) -> None:
        module = self._write(module_path(module_id), parse_module_index, change, index_bytes)

        def with_module(stored: RootIndex | None) -> RootIndex:
            if stored is None:
                return self._derived_root()
            kept = [entry for entry in stored["modules"] if entry["id"] != module_id]
            return make_root(kept, added=[module_entry(module)] if module["files"] else [])

        self._write(INDEX_NAME, parse_root_index, with_module, index_bytes)
        if self._has_page:
            self._update_page(module_id, module, fresh=fresh)

    def _update_page(self, module_id: str, module: ModuleIndex, *, fresh: Release | None) -> None:
        def with_module(stored: list[PageModule] | None) -> list[PageModule]:
            if stored is None:
                stored = self._derived_page()
            old = next((each for each in stored if each["id"] == module_id), None)
            return merge(stored, self._page_module(module, old=old, fresh=fresh))

        self._write(PAGE_NAME, read_page, with_module, render_page)

    def _page_module(
        self, index: ModuleIndex, *, old: PageModule | None = None, fresh: Release | None = None
    ) -> PageModule:
        def read(version: str) -> Release | None:
            is_fresh = fresh is not None and fresh.version == version
            return fresh if is_fresh else self._record(index["id"], version)

        return refresh_module(index, module_id=index["id"], old=old, read=read)

    def _derived_page(self) -> list[PageModule]:
        ids = [entry["id"] for entry in self.root()["modules"]]
        found = map_parallel(self.module, ids, workers=WORKERS)
        pages: list[PageModule] = []
        for index in found:
            pages = pages if index is None else merge(pages, self._page_module(index))
        return pages

    def _write(
        self,
        path: str,
        parse: Callable[[bytes], Stored | None],
        change: Callable[[Stored | None], Stored],
        dump: Callable[[Stored], bytes],
    ) -> Stored:
        """Change a stored document until the change stands; others may write it meanwhile."""
        for attempt in range(_TRIES):
            document = self._store.read(path)
            stored = None if document is None else parse(document.data)
            changed = change(stored)
            if changed == stored or self._replace(path, dump(changed), document):
                return changed
            self._sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 5)))  # noqa: S311 - no secret
        raise RepositoryError(
            f"{path} is written by many at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )

    def _replace(self, path: str, data: bytes, document: Document | None) -> bool:
        if not self._store.write(path, data, replaces=document):
            return False
        if document is not None and document.tag:
            return True
        # Nothing kept another run from writing at the same time: whoever wrote last has it.
        written = self._store.read(path)
        return written is not None and written.data == data

    def _derived(self, module_id: str) -> ModuleIndex | None:
        versions = {key.version for key in self._store.versions(module_id)}
        return self._merged_or_none(None, module_id, versions)

    def _derived_root(self) -> RootIndex:
        return self._root_of({key.id for key in self._store.versions()})

    def _root_of(self, module_ids: Iterable[str]) -> RootIndex:
        found = [self.module(module_id) for module_id in sorted(module_ids)]
        return make_root((), added=[module_entry(index) for index in found if index is not None])

    def _merged(
        self,
        stored: ModuleIndex | None,
        module_id: str,
        versions: Iterable[str],
        *,
        fresh: Release | None = None,
    ) -> ModuleIndex:
        merged = self._merged_or_none(stored, module_id, set(versions), fresh=fresh)
        return merged or nothing_published(module_id)

    def _merged_or_none(
        self,
        stored: ModuleIndex | None,
        module_id: str,
        versions: set[str],
        *,
        fresh: Release | None = None,
    ) -> ModuleIndex | None:
        known = set() if stored is None else set(stored["versions"])
        records = self._records(module_id, sorted(versions - known), fresh=fresh)

        def read(version: str) -> Release | None:
            return records[version] if version in records else self._record(module_id, version)

        return merge_module(
            stored,
            module_id=module_id,
            present=versions,
            read=read,
            marked=read_module_status(self._store, module_id, reporter=self._reporter),
        )

    def _records(
        self, module_id: str, versions: list[str], *, fresh: Release | None
    ) -> dict[str, Release | None]:
        found: dict[str, Release | None] = {} if fresh is None else {fresh.version: fresh}
        wanted = [version for version in versions if version not in found]
        records = map_parallel(
            lambda version: self._record(module_id, version), wanted, workers=WORKERS
        )
        return found | dict(zip(wanted, records, strict=True))

    def _record(self, module_id: str, version: str) -> Release | None:
        try:
            return read_record(self._store, Key(module_id, version))
        except RepositoryError as problem:
            self._reporter.warning(f"{module_id} {version} is left out: {problem.message}")
            return None


def module_path(module_id: str) -> str:
    """Return where a module's index is, relative to the repository."""
    return f"modules/{module_id}/{INDEX_NAME}"


def _always(index: Index) -> Callable[[Index | None], Index]:
    return lambda _: index
