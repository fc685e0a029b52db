"""A store's indexes and page, brought up to date after each change.

Writers see to it that an index is complete once they have ended (``IndexGuard``).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories import Reindexed
from ign_deploy.repositories.index import (
    ModuleIndex,
    RootIndex,
    add_version,
    index_bytes,
    make_root,
    module_entry,
    nothing_published,
    parse_module_index,
    parse_root_index,
)
from ign_deploy.repositories.index_reader import WORKERS, IndexReader, module_path
from ign_deploy.repositories.page import (
    PAGE_NAME,
    PageModule,
    merge,
    read_page,
    refresh_module,
    render_page,
)
from ign_deploy.repositories.record import INDEX_NAME, Release
from ign_deploy.repositories.store import Document, Indexed, IndexSession, Key, Store

Stored = TypeVar("Stored", ModuleIndex, RootIndex, list[PageModule])
_TRIES = 40
_LONGEST_WAIT = 2.0
_UNREAD = Document(b"", tag="unread")


@dataclass
class _Batch:
    """What the threads of this run have to index: one of them does it for all."""

    added: dict[str, list[Release]] = field(default_factory=dict)
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
        self._sleep = sleep
        self._joining = threading.Lock()
        self._writing = threading.Lock()
        self._batch = _Batch()

    @property
    def reader(self) -> IndexReader:
        """How the indexes are read."""
        return self._reader

    def lists(self, release: Release) -> bool:
        """Return whether both stored indexes have the version."""
        module, root = self._reader.stored_module(release.id), self._reader.stored_root()
        if module is None or root is None or not module["files"]:
            return False
        return release.version in module["versions"] and module_entry(module) in root["modules"]

    def add(self, release: Release) -> None:
        """Add a published version to both indexes; raises RepositoryError.

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
                    self._update(batch.added)
                except IgnDeployError as problem:
                    batch.error = problem
                finally:
                    batch.is_done = True
        if batch.error is not None:
            raise batch.error

    def refresh(self, *module_ids: str) -> None:
        """Bring all indexes up to date with the modules' status events; raises RepositoryError."""
        with self._writing:
            self._update({each: [] for each in module_ids})

    def rebuild(self) -> Reindexed:
        """Write all indexes from records and status events alone; raises RepositoryError."""
        with self._writing, self._store.guard.session([Key("", "")]) as session:
            # Before the listing: what is written since then is not overwritten unseen.
            shared = {path: self._documents.read(path) for path in self._shared_paths()}
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

            _, root = self._write(
                INDEX_NAME, parse_root_index, make, index_bytes,
                first=shared[INDEX_NAME], reread=reread,
            )  # fmt: skip
            if self._store.has_page:
                self._write(
                    PAGE_NAME, read_page, lambda _: self._derived_page(found.values()), render_page,
                    first=shared[PAGE_NAME], reread=reread,
                )  # fmt: skip
            root = self._complete(session, root, ids=set(found))
        return Reindexed(len(root["modules"]), sum(each["count"] for each in root["modules"]))

    def _update(self, added: Mapping[str, list[Release]]) -> None:
        """Write what changed, then what other runs may have overwritten, until all is there."""
        keys = [
            Key(module_id, each)
            for module_id, releases in added.items()
            for each in ([release.version for release in releases] or [""])
        ]
        with self._store.guard.session(keys) as session:
            _, root = self._write_all(added, is_complete=True)
            self._complete(session, root, ids=set(added))

    def _complete(self, session: IndexSession, root: RootIndex, *, ids: set[str]) -> RootIndex:
        """Write what other runs may have overwritten, of these modules and theirs, if any did."""
        while changed := set(session.others(_indexed(root))):
            if "" in changed:  # a run that rebuilds all of them
                changed |= self._ids()
            ids = (ids | changed) - {""}  # what was repaired may have been overwritten once more
            again = {each: list[Release]() for each in ids}
            written, root = self._write_all(again, is_complete=False)
            if not written:
                break
        return root

    def _rebuild_module(self, module_id: str, *, workers: int) -> ModuleIndex:
        def change(_: ModuleIndex | None) -> ModuleIndex:
            return self._fresh(module_id, workers=workers)

        return self._write(module_path(module_id), parse_module_index, change, index_bytes)[1]

    def _fresh(self, module_id: str, *, workers: int = WORKERS) -> ModuleIndex:
        found = self._reader.derived(module_id, workers=workers)
        return found or nothing_published(module_id)

    def _ids(self) -> set[str]:
        return {key.id for key in self._store.versions.versions()}

    def _write_all(
        self, added: Mapping[str, list[Release]], *, is_complete: bool
    ) -> tuple[bool, RootIndex]:
        """Bring the modules' parts of all documents up to date; return whether any was written.

        ``is_complete``: the stored index of a module lacks nothing but the versions ``added``.
        """
        # Read before the modules' own: a line that is written is never older than what it replaces.
        shared = {path: self._documents.read(path) for path in self._shared_paths()}
        written: list[bool] = []
        modules: dict[str, ModuleIndex] = {}

        def write_module(module_id: str) -> None:
            path = module_path(module_id)

            def change(stored: ModuleIndex | None) -> ModuleIndex:
                stored = stored if stored is not None and stored["id"] == module_id else None
                return self._changed(stored, module_id, added[module_id], is_complete=is_complete)

            wrote, modules[module_id] = self._write(path, parse_module_index, change, index_bytes)
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

        wrote, root = self._write(
            INDEX_NAME, parse_root_index, with_modules, index_bytes,
            first=shared[INDEX_NAME], reread=reread,
        )  # fmt: skip
        written.append(wrote)
        if self._store.has_page:
            written.append(self._write_page(modules, added, first=shared[PAGE_NAME], reread=reread))
        return any(written), root

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

    def _write_page(
        self,
        modules: Mapping[str, ModuleIndex],
        added: Mapping[str, list[Release]],
        *,
        first: Document | None,
        reread: Callable[[], None],
    ) -> bool:
        known = {Key(each.id, each.version): each for some in added.values() for each in some}

        def with_modules(stored: list[PageModule] | None) -> list[PageModule]:
            if stored is None:
                stored = self._derived_page(self._modules_but(modules))
            for module_id, index in modules.items():
                old = next((each for each in stored if each["id"] == module_id), None)
                stored = merge(stored, self._page_module(index, old=old, known=known))
            return stored

        wrote, _ = self._write(
            PAGE_NAME, read_page, with_modules, render_page, first=first, reread=reread
        )
        return wrote

    def _page_module(
        self, index: ModuleIndex, *, old: PageModule | None, known: Mapping[Key, Release]
    ) -> PageModule:
        def read(version: str) -> Release | None:
            return known.get(Key(index["id"], version)) or self._reader.record(index["id"], version)

        return refresh_module(index, module_id=index["id"], old=old, read=read)

    def _derived_page(self, modules: Iterable[ModuleIndex]) -> list[PageModule]:
        pages: list[PageModule] = []
        for index in modules:
            pages = merge(pages, self._page_module(index, old=None, known={}))
        return pages

    def _modules_but(self, known: Collection[str]) -> list[ModuleIndex]:
        """Return the indexes of all modules but the known ones."""
        ids = [each["id"] for each in self._reader.root()["modules"] if each["id"] not in known]
        found = map_parallel(self._reader.module, ids, workers=WORKERS)
        return [index for index in found if index is not None]

    def _write(
        self,
        path: str,
        parse: Callable[[bytes], Stored | None],
        change: Callable[[Stored | None], Stored],
        dump: Callable[[Stored], bytes],
        *,
        first: Document | None = _UNREAD,
        reread: Callable[[], None] | None = None,
    ) -> tuple[bool, Stored]:
        """Change a document until the store takes the change; others may write it, too.

        Return whether it may have been written, and what it is now. ``first`` is what was read
        already; ``reread`` is called before the change is made once more.
        """
        for attempt in range(_TRIES):
            is_read = not attempt and first is not _UNREAD
            document = first if is_read else self._documents.read(path)
            if attempt and reread is not None:
                reread()
            stored = None if document is None else parse(document.data)
            changed = change(stored)
            if changed == stored:
                return attempt > 0, changed
            if self._documents.write(path, dump(changed), replaces=document):
                return True, changed
            self._sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise RepositoryError(
            f"{path} is written by many runs at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )

    def _shared_paths(self) -> list[str]:
        return [INDEX_NAME, PAGE_NAME] if self._store.has_page else [INDEX_NAME]


def _indexed(root: RootIndex) -> dict[str, Indexed]:
    return {
        entry["id"]: Indexed(
            entry["count"] + entry["removed"], entry["latest"], len(entry["status_events"])
        )
        for entry in root["modules"]
    }
