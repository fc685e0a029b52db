"""A store's indexes and page: read as they are, brought up to date after each change.

Where listing is cheap (a folder), readers compare the indexes with the listing. Elsewhere an index
is read as it is; writers see to it that it is complete once they have ended (``IndexGuard``).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.repositories import Reindexed
from ign_deploy.repositories.index import (
    ModuleEntry,
    ModuleIndex,
    RootIndex,
    add_version,
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
from ign_deploy.repositories.status_events import read_module_status, status_event_names
from ign_deploy.repositories.store import Document, Indexed, Key, Store

Stored = TypeVar("Stored", ModuleIndex, RootIndex, list[PageModule])
_WORKERS = 8
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
        self._reporter = reporter
        self._sleep = sleep
        self._joining = threading.Lock()
        self._writing = threading.Lock()
        self._batch = _Batch()

    def module(self, module_id: str) -> ModuleIndex | None:
        """Return the module's index, rebuilt if it is missing or corrupt; None without versions.

        A version whose record can't be read is skipped, with a warning.
        """
        found = self._stored_module(module_id)
        if found is None or self._store.lists_cheaply:
            found = self._derived(module_id, found)
        return found if found is not None and found["files"] else None

    def root(self) -> RootIndex:
        """Return the root index, rebuilt if it is missing or corrupt."""
        stored = self._stored_root()
        if stored is None or self._store.lists_cheaply:
            return self._derived_root(stored)
        return stored

    def lists(self, release: Release) -> bool:
        """Return whether both stored indexes have the version."""
        module, root = self._stored_module(release.id), self._stored_root()
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

    def refresh(self, module_id: str) -> None:
        """Bring both indexes up to date with the module's status events; raises RepositoryError."""
        with self._writing:
            self._update({module_id: []})

    def rebuild(self) -> Reindexed:
        """Write all indexes from records and status events alone; raises RepositoryError."""
        with self._writing, self._store.guard.session([Key("", "")]) as session:
            ids = {key.id for key in self._store.versions.versions()}
            found = [self._derived(each) or nothing_published(each) for each in sorted(ids)]
            for index in found:
                self._write(
                    module_path(index["id"]), parse_module_index, _always(index), index_bytes
                )
            root = make_root((), added=[module_entry(each) for each in found if each["files"]])
            self._write(INDEX_NAME, parse_root_index, _always(root), index_bytes)
            if self._store.has_page:
                page = self._derived_page(found)
                self._write(PAGE_NAME, read_page, lambda _: page, render_page)
            while changed := set(session.others(_indexed(root))) - {""}:
                written, root = self._write_all({each: [] for each in changed}, is_complete=False)
                if not written:
                    break
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
            while changed := set(session.others(_indexed(root))):
                again = {each: list[Release]() for each in (changed | set(added)) - {""}}
                written, root = self._write_all(again, is_complete=False)
                if not written:
                    break

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

        map_parallel(write_module, sorted(added), workers=_WORKERS)

        def with_modules(stored: RootIndex | None) -> RootIndex:
            if stored is None:
                return self._derived_root(None)
            kept = [entry for entry in stored["modules"] if entry["id"] not in modules]
            fresh = [module_entry(each) for each in modules.values() if each["files"]]
            return make_root(kept, added=fresh)

        def reread() -> None:
            for module_id, written_before in modules.items():
                modules[module_id] = self._stored_module(module_id) or written_before

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
            return self._derived(module_id, stored, known=known) or nothing_published(module_id)
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
            return known.get(Key(index["id"], version)) or self._record(index["id"], version)

        return refresh_module(index, module_id=index["id"], old=old, read=read)

    def _derived_page(self, modules: Iterable[ModuleIndex]) -> list[PageModule]:
        pages: list[PageModule] = []
        for index in modules:
            pages = merge(pages, self._page_module(index, old=None, known={}))
        return pages

    def _modules_but(self, known: Collection[str]) -> list[ModuleIndex]:
        """Return the indexes of all modules but the known ones."""
        ids = [each["id"] for each in self.root()["modules"] if each["id"] not in known]
        found = map_parallel(self.module, ids, workers=_WORKERS)
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

        Return whether it was written, and what it is now. ``first`` is what was read already;
        ``reread`` is called before the change is made once more.
        """
        for attempt in range(_TRIES):
            is_read = not attempt and first is not _UNREAD
            document = first if is_read else self._documents.read(path)
            if attempt and reread is not None:
                reread()
            stored = None if document is None else parse(document.data)
            changed = change(stored)
            if changed == stored:
                return False, changed
            if self._documents.write(path, dump(changed), replaces=document):
                return True, changed
            self._sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise RepositoryError(
            f"{path} is written by many runs at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )

    def _shared_paths(self) -> list[str]:
        return [INDEX_NAME, PAGE_NAME] if self._store.has_page else [INDEX_NAME]

    def _stored_module(self, module_id: str) -> ModuleIndex | None:
        document = self._read(module_path(module_id))
        stored = None if document is None else parse_module_index(document.data)
        return stored if stored is not None and stored["id"] == module_id else None

    def _read(self, path: str) -> Document | None:
        try:
            return self._documents.read(path)
        except RepositoryError:
            if not self._store.lists_cheaply:
                raise
            return None  # a listing is as good

    def _stored_root(self) -> RootIndex | None:
        document = self._read(INDEX_NAME)
        return None if document is None else parse_root_index(document.data)

    def _derived(
        self,
        module_id: str,
        stored: ModuleIndex | None = None,
        *,
        known: Mapping[str, Release] | None = None,
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
            lambda version: self._record(module_id, version), missing, workers=_WORKERS
        )
        records = dict(zip(missing, found, strict=True)) | dict(known or {})

        def read(version: str) -> Release | None:
            return records[version] if version in records else self._record(module_id, version)

        return merge_module(stored, module_id=module_id, present=versions, read=read, status=status)

    def _derived_root(self, stored: RootIndex | None) -> RootIndex:
        """Return the root index as the store's listing has it; lines that agree are kept."""
        known = {} if stored is None else {entry["id"]: entry for entry in stored["modules"]}
        versions: dict[str, set[str]] = {}
        for key in self._store.versions.versions():
            versions.setdefault(key.id, set()).add(key.version)
        entries = [self._entry(each, versions[each], known.get(each)) for each in sorted(versions)]
        return make_root((), added=[entry for entry in entries if entry is not None])

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
            self._reporter.warning(f"{module_id} is skipped: {problem.message}")
            return None
        return None if index is None else module_entry(index)

    def _agrees(self, known: ModuleEntry, versions: Collection[str]) -> bool:
        if len(versions) != known["count"] + known["removed"] or known["latest"] not in versions:
            return False
        return status_event_names(self._documents, known["id"]) == known["status_events"]

    def _record(self, module_id: str, version: str) -> Release | None:
        try:
            return read_record(self._store.versions, Key(module_id, version))
        except RepositoryError as problem:
            self._reporter.warning(f"{module_id} {version} is skipped: {problem.message}")
            return None


def module_path(module_id: str) -> str:
    """Return where a module's index is, relative to the repository."""
    return f"modules/{module_id}/{INDEX_NAME}"


def _indexed(root: RootIndex) -> dict[str, Indexed]:
    return {
        entry["id"]: Indexed(entry["count"] + entry["removed"], entry["latest"])
        for entry in root["modules"]
    }


def _always(index: Stored) -> Callable[[Stored | None], Stored]:
    return lambda _: index
