"""A store's indexes and page, brought up to date after each change.

Writers see to it that an index is complete once they have ended (``IndexGuard``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ign_deploy.errors import IgnDeployError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories import Reindexed
from ign_deploy.repositories.index import (
    ModuleIndex,
    add_version,
    index_bytes,
    nothing_published,
    parse_module_index,
)
from ign_deploy.repositories.index_reader import WORKERS, IndexReader, module_path
from ign_deploy.repositories.index_writer import UNREAD, IndexWriter
from ign_deploy.repositories.page_documents import PageDocuments
from ign_deploy.repositories.record import INDEX_NAME, Release
from ign_deploy.repositories.root_index import (
    RootIndex,
    make_root,
    module_entry,
    parse_root_index,
)
from ign_deploy.repositories.store import Document, Indexed, IndexSession, Key, Store

_MOST_TOGETHER = 8
"""Modules whose indexes are all held at once, as one response has them."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all runs write, as it was before this run read anything else.

    ``modules`` are the modules' indexes by id, if they came along with it.
    """

    root: Document | None
    script: Document | None
    modules: Mapping[str, Document | None] = field(default_factory=dict)


@dataclass
class _Batch:
    """What the threads of this run have to index: one of them does it for all."""

    added: dict[str, list[Release]] = field(default_factory=dict)
    written: Mapping[str, ModuleIndex] = field(default_factory=dict)
    is_done: bool = False
    error: IgnDeployError | None = None


class StoreIndex:
    """The indexes of a store, and its page if it has one; fit for several threads."""

    def __init__(
        self, store: Store, *, reporter: Reporter, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._documents = store.documents
        self._reader = IndexReader(store, reporter=reporter)
        self._writer = IndexWriter(store.documents, sleep=sleep)
        self._page = PageDocuments(store, reader=self._reader, writer=self._writer)
        self._joining = threading.Lock()
        self._writing = threading.Lock()
        self._batch = _Batch()

    @property
    def reader(self) -> IndexReader:
        """How the indexes are read."""
        return self._reader

    def lists(self, release: Release) -> bool:
        """Return whether both stored indexes have the version, and the page shows what they say."""
        module, root = self._reader.stored_module(release.id), self._reader.stored_root()
        if module is None or root is None or not module["files"]:
            return False
        is_current = module_entry(module) in root["modules"] and self._page.shows(module, root)
        return is_current and release.version in module["versions"]

    def add(self, release: Release) -> ModuleIndex | None:
        """Add a published version to both indexes; raises RepositoryError.

        Return its module's index, as it was written.

        Threads that come while another one writes are served together by the next.
        """
        with self._joining:
            batch = self._batch
            batch.added.setdefault(release.id, []).append(release)
        with self._writing:
            if not batch.is_done:
                with self._joining:
                    self._batch = _Batch()
                try:
                    batch.written = self._update(batch.added)
                except IgnDeployError as problem:
                    batch.error = problem
                finally:
                    batch.is_done = True
        if batch.error is not None:
            raise batch.error
        return batch.written.get(release.id)

    def refresh(self, *module_ids: str) -> None:
        """Bring all indexes up to date with the modules' status events; raises RepositoryError."""
        with self._writing:
            self._update({each: [] for each in module_ids})

    def rebuild(self) -> Reindexed:
        """Write all indexes from records and status events alone; raises RepositoryError."""
        with self._writing, self._store.guard.session([Key("", "")]) as session:
            # Before the listing: what is written since then is not overwritten unseen.
            shared = self._read_shared(())
            with self._store.snapshot():
                ids = sorted(self._ids())
                share = WORKERS // max(1, min(WORKERS, len(ids)))
                rebuild = partial(self._rebuild_module, workers=share)
                rebuilt = map_parallel(rebuild, ids, workers=WORKERS)
            found = dict(zip(ids, rebuilt, strict=True))

            def reread() -> None:
                for each in self._ids():
                    found[each] = self._reader.stored_module(each) or self._fresh(each)

            def make(_: RootIndex | None) -> RootIndex:
                entries = [module_entry(each) for each in found.values() if each["files"]]
                return make_root((), added=entries)

            _, root = self._write_root(make, shared=shared, reread=reread)
            root = self._complete(session, root, ids=set(found))
            self._page.write_page()
        return Reindexed(len(root["modules"]), sum(each["count"] for each in root["modules"]))

    def _update(self, added: Mapping[str, list[Release]]) -> Mapping[str, ModuleIndex]:
        """Write what changed, then what other runs may have overwritten, until all is there.

        Return the indexes of these modules, as they were written first.
        """
        keys = [
            Key(module_id, each)
            for module_id, releases in added.items()
            for each in ([release.version for release in releases] or [""])
        ]
        with self._store.guard.session(keys) as session:
            _, root, modules = self._write_all(added, is_complete=True)
            self._complete(session, root, ids=set(added))
            self._page.write_page()
        return modules

    def _complete(self, session: IndexSession, root: RootIndex, *, ids: set[str]) -> RootIndex:
        """Write what other runs may have overwritten, of these modules and theirs, if any did."""
        while changed := set(session.others(_indexed(root))):
            if "" in changed:  # a run that rebuilds all of them
                changed |= self._ids()
            ids = (ids | changed) - {""}  # what was repaired may have been overwritten once more
            again = {each: list[Release]() for each in ids}
            written, root, _ = self._write_all(again, is_complete=False)
            if not written:
                break
        return root

    def _rebuild_module(self, module_id: str, *, workers: int) -> ModuleIndex:
        def change(_: ModuleIndex | None) -> ModuleIndex:
            return self._fresh(module_id, workers=workers)

        return self._write_module(module_id, change)[1]

    def _fresh(self, module_id: str, *, workers: int = WORKERS) -> ModuleIndex:
        found = self._reader.derived(module_id, workers=workers)
        return found or nothing_published(module_id)

    def _ids(self) -> set[str]:
        return {key.id for key in self._store.versions.versions()}

    def _write_all(
        self, added: Mapping[str, list[Release]], *, is_complete: bool
    ) -> tuple[bool, RootIndex, Mapping[str, ModuleIndex]]:
        """Bring the modules' parts of all documents up to date; return whether any was written.

        ``is_complete``: the stored index of a module lacks nothing but the versions ``added``.
        """
        # Read before the modules' own: a line that is written is never older than what it replaces.
        shared = self._read_shared(sorted(added))
        listed = _listed(shared.root)
        written: list[bool] = []
        modules: dict[str, ModuleIndex] = {}

        def write_module(module_id: str) -> None:
            def change(stored: ModuleIndex | None) -> ModuleIndex:
                if stored is None and listed is not None and module_id not in listed:
                    stored = nothing_published(module_id)  # it is new: there is nothing to look for
                elif stored is not None and stored["id"] != module_id:
                    stored = None
                return self._changed(stored, module_id, added[module_id], is_complete=is_complete)

            first = shared.modules.get(module_id, UNREAD)
            wrote, modules[module_id] = self._write_module(
                module_id, change, known=added[module_id], first=first
            )
            written.append(wrote)

        map_parallel(write_module, sorted(added), workers=WORKERS)

        def with_modules(stored: RootIndex | None) -> RootIndex:
            if stored is None:
                return self._reader.derived_root(None)
            kept = [entry for entry in stored["modules"] if entry["id"] not in modules]
            fresh = [module_entry(each) for each in modules.values() if each["files"]]
            return make_root(kept, added=fresh)

        def reread() -> None:
            for module_id, written_before in modules.items():
                modules[module_id] = self._reader.stored_module(module_id) or written_before

        wrote, root = self._write_root(with_modules, shared=shared, reread=reread)
        written.append(wrote)
        return any(written), root, modules

    def _read_shared(self, ids: Sequence[str]) -> _Shared:
        script = self._page.read_script(INDEX_NAME)  # first, see PageDocuments
        read_together = self._store.read_together
        if read_together is None or not 0 < len(ids) <= _MOST_TOGETHER:
            return _Shared(self._documents.read(INDEX_NAME), script)
        # As early as the root index, since an index that has changed by then isn't written over.
        root, *found = read_together([INDEX_NAME, *map(module_path, ids)])
        return _Shared(root, script, dict(zip(ids, found, strict=True)))

    def _write_root(
        self,
        change: Callable[[RootIndex | None], RootIndex],
        *,
        shared: _Shared,
        reread: Callable[[], None],
    ) -> tuple[bool, RootIndex]:
        wrote, root = self._writer.write(
            INDEX_NAME, parse_root_index, change, index_bytes, first=shared.root, reread=reread
        )
        return self._page.write_root(root, first=shared.script) or wrote, root

    def _write_module(
        self,
        module_id: str,
        change: Callable[[ModuleIndex | None], ModuleIndex],
        *,
        known: Iterable[Release] = (),
        first: Document | None = UNREAD,
    ) -> tuple[bool, ModuleIndex]:
        path, records = module_path(module_id), {each.version: each for each in known}
        script = self._page.read_script(path)
        wrote, index = self._writer.write(path, _parsed, change, index_bytes, first=first)

        def read(version: str) -> Release | None:
            return records.get(version) or self._reader.record(module_id, version)

        return self._page.write_module(index, read=read, first=script) or wrote, index

    def _changed(
        self,
        stored: ModuleIndex | None,
        module_id: str,
        added: list[Release],
        *,
        is_complete: bool,
    ) -> ModuleIndex:
        if stored is None or not is_complete or not added or self._store.lists_cheaply:
            known = {release.version: release for release in added}
            return self._reader.derived(module_id, stored, known=known) or nothing_published(
                module_id
            )
        for release in added:
            stored = add_version(stored, release)
        return stored


def _parsed(data: bytes) -> ModuleIndex:
    """Return a module's index; what is corrupt is no module's, but isn't the same as nothing."""
    return parse_module_index(data) or nothing_published("")


def _listed(root: Document | None) -> Collection[str] | None:
    """Return the modules that the root index has; None if it is missing or corrupt."""
    parsed = None if root is None else parse_root_index(root.data)
    return None if parsed is None else {entry["id"] for entry in parsed["modules"]}


def _indexed(root: RootIndex) -> dict[str, Indexed]:
    return {
        entry["id"]: Indexed(
            entry["count"] + entry["removed"], entry["latest"], entry["status_events"]
        )
        for entry in root["modules"]
    }
