"""The repository in a store: one for every kind of store, a folder included."""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO, Protocol

from ign_deploy.errors import IgnDeployError, NotInRepository
from ign_deploy.report import Progress, Reporter, no_progress
from ign_deploy.repositories import (
    Capabilities,
    CatalogueEntry,
    Publication,
    PublishOutcome,
    Reindexed,
)
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.index import ModuleIndex, asked_again, version_rows
from ign_deploy.repositories.leases import LeaseStore
from ign_deploy.repositories.ledger import Ledger
from ign_deploy.repositories.local_files import copy_out
from ign_deploy.repositories.partial_files import partial_file
from ign_deploy.repositories.publishing import confirm_same, read_record, refuse_removed
from ign_deploy.repositories.record import FileRole, Release, ReleaseFile, is_safe_component
from ign_deploy.repositories.root_index import module_row
from ign_deploy.repositories.status_events import (
    NO_STATUS,
    ModuleStatus,
    RememberedLedger,
    read_module_status,
)
from ign_deploy.repositories.store import DocumentStore, Key, Publishing, Store
from ign_deploy.repositories.store_index import StoreIndex

MAX_CACHE_SIZE = 2 << 30
_MOST_RECORDS = 64
_LEFTOVER_AGE = 24 * 3600.0
_OWN_NAME = re.compile(r"[0-9a-f]{64}((\.[0-9a-f]{8})?\.partial)?")


class StoreRepository:
    """See ``Repository``; fit for several threads. ``cache`` keeps downloads, None for none."""

    def __init__(
        self,
        store: Store,
        *,
        reporter: Reporter,
        cache: Path | None = None,
        wait_policy: WaitPolicy | None = None,
    ) -> None:
        self.store = store = replace(store, documents=RememberedLedger(store.documents))
        self._reporter = reporter
        self._cache = DownloadCache(cache)
        self._index = StoreIndex(store, reporter=reporter)
        self._leases = LeaseStore(store, wait_policy or WaitPolicy(), reporter)
        self._probing = threading.Lock()
        self._capabilities: Capabilities | None = None
        self._records: dict[Key, Release] = {}

    @property
    def location(self) -> str:
        """See ``Repository.location``."""
        return self.store.address

    def exists(self) -> bool:
        """See ``Repository.exists``."""
        return self.store.exists()

    def check(self) -> Capabilities:
        """See ``Repository.check``; the store is asked once."""
        with self._probing:
            if self._capabilities is None:
                self._capabilities = self.store.probe()
            return self._capabilities

    def describe(self) -> Capabilities:
        """See ``Repository.describe``."""
        found = self.check()
        return self.store.describe(found) if found.writable else found

    def publish(
        self, release: Release, *, files: Mapping[str, Path], progress: Progress = no_progress
    ) -> Publication:
        """See ``Repository.publish``."""
        release.require_given(files)
        release.to_json()  # refuses what is too long before anything is sent
        is_listed = cache(partial(self._index.lists, release))
        status = partial(self._status_if_unlisted, is_listed=is_listed)
        confirm = partial(confirm_same, offered=release, status=status)
        wanted = Publishing(release, files, progress, confirm)
        outcome, published = self.store.publisher.publish(wanted)
        # What is there already may stem from a run that was killed before it got here.
        is_known = outcome is not PublishOutcome.PUBLISHED
        index = self._update_indexes(published, is_listed if is_known else lambda: False)
        again = None if index is None else asked_again(index, published)
        return Publication(outcome, published, self.store.location(wanted.key), again)

    def catalogue(self, module_id: str | None = None) -> tuple[CatalogueEntry, ...]:
        """See ``Repository.catalogue``; one request where there is an index."""
        if module_id is None:
            return tuple(module_row(entry) for entry in self._index.reader.root()["modules"])
        if not is_safe_component(module_id):
            return ()
        index = self._index.reader.module(module_id)
        return () if index is None else version_rows(index)

    def fetch(
        self,
        module_id: str,
        *,
        version: str,
        to: BinaryIO | None = None,
        role: FileRole | None = None,
        progress: Progress = no_progress,
    ) -> Release:
        """See ``Repository.fetch``."""
        key = Key(module_id, version)
        release = None
        if is_safe_component(module_id) and is_safe_component(version):
            release = self._record(key)
        if release is None:
            raise NotInRepository(
                f"{module_id!a} has no published version {version!a} in this repository",
                hint="list what is published with `ign-deploy list-modules`.",
            )
        if to is not None:
            file = release.required_file(role)
            if self.store.lists_cheaply:  # then so does reading what was said of the version
                refuse_removed(release, status=self.status)
            copy = partial(self.store.versions.copy_file, key, file)
            try:
                self._cache.copy(file, to=to, progress=progress, fetch=copy)
            except NotInRepository:
                refuse_removed(release, status=self.status)
                raise
        return release

    @property
    def maintenance(self) -> StoreRepository:
        """See ``Repository.maintenance``."""
        return self

    @property
    def documents(self) -> DocumentStore:
        """See ``Maintenance.documents``."""
        return self.store.documents

    @property
    def ledger(self) -> Ledger:
        """See ``Maintenance.ledger``."""
        return Ledger(self.documents, self.store.guard, self.store.lists_cheaply)

    @property
    def leases(self) -> LeaseStore:
        """See ``Maintenance.leases``."""
        return self._leases

    def status(self, module_id: str) -> ModuleStatus:
        """See ``Maintenance.status``."""
        return read_module_status(self.documents, module_id, reporter=self._reporter)

    def refresh(self, *module_ids: str) -> None:
        """See ``Maintenance.refresh``."""
        self._index.refresh(*module_ids)

    def reindex(self) -> Reindexed:
        """See ``Maintenance.reindex``."""
        return self._index.rebuild()

    def discard(self, release: Release) -> None:
        """See ``Maintenance.discard``."""
        self.store.versions.discard(Key(release.id, release.version), release)

    def _record(self, key: Key) -> Release | None:
        """Return a version's record, which never changes, so that the last ones are remembered."""
        if (known := self._records.get(key)) is not None:
            return known
        found = read_record(self.store.versions, key)
        if found is not None:
            if len(self._records) >= _MOST_RECORDS:
                self._records.clear()
            self._records[key] = found
        return found

    def _status_if_unlisted(self, module_id: str, *, is_listed: Callable[[], bool]) -> ModuleStatus:
        """Return a module's status; of a version in the indexes only where that is cheap to list.

        One that was removed isn't in them, once that has ended.
        """
        if self.store.lists_all:
            with suppress(IgnDeployError):
                if is_listed():
                    return NO_STATUS
        return self.status(module_id)

    def _update_indexes(
        self, release: Release, is_listed: Callable[[], bool]
    ) -> ModuleIndex | None:
        """Return the module's index, if it was written."""
        try:
            if not is_listed():
                return self._index.add(release)
        except IgnDeployError as problem:
            self._reporter.warning(
                f"the version is published, but its index isn't up to date: {problem.message}; "
                "run `ign-deploy reindex`"
            )
        return None


class Fetch(Protocol):
    """Copies the file from the store, compared with its record."""

    def __call__(self, *, to: BinaryIO, progress: Progress) -> None:
        """Copy it; raises our errors."""


class DownloadCache:
    """Files named by their SHA-256 in ``folder``, None for no cache.

    If the cache can't be used, or its file is damaged, the file comes from the store. Above
    ``limit`` bytes, the least recently used files are deleted; files of others stay.
    """

    def __init__(self, folder: Path | None, *, limit: int = MAX_CACHE_SIZE) -> None:
        self._folder = folder
        self._limit = limit

    def copy(self, file: ReleaseFile, *, to: BinaryIO, progress: Progress, fetch: Fetch) -> None:
        """Copy the file from the cache, or fetch it into the cache first.

        Raises what ``fetch`` raises; an OSError of ``to`` is passed on.
        """
        if self._folder is None:
            fetch(to=to, progress=progress)
            return
        kept = self._folder / file.sha256
        if self._is_kept(kept, file):
            copy_out(kept, to, expected=file, progress=no_progress)
            return
        with self._partial(kept, file) as (partial, stream):
            if stream is None or not _is_written(stream, fetch=fetch, progress=progress):
                fetch(to=to, progress=progress)
                return
            copy_out(partial, to, expected=file, progress=no_progress)
            # What is in the way there stays; the requested copy is made.
            if file.size <= self._limit // 2:
                with suppress(OSError):
                    partial.replace(kept)
        self._shrink(self._folder)

    def _is_kept(self, path: Path, file: ReleaseFile) -> bool:
        try:
            if path.stat().st_size != file.size:
                return False
            os.utime(path)
            with open(os.devnull, "wb") as nowhere:
                copy_out(path, nowhere, expected=file, progress=no_progress)
        except (OSError, IgnDeployError):
            return False
        return True

    @contextmanager
    def _partial(self, kept: Path, file: ReleaseFile) -> Iterator[tuple[Path, BinaryIO | None]]:
        """Yield a file next to ``kept``, with what an earlier run received; None without one."""
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The second one while another run receives the same file.
        for end in ("", f".{secrets.token_hex(4)}"):
            partial = kept.with_name(f"{kept.name}{end}.partial")
            with partial_file(partial, size=file.size) as stream:
                if stream is not None:
                    yield partial, stream
                    with suppress(OSError):
                        partial.unlink()
                    return
        yield kept, None

    def _shrink(self, folder: Path) -> None:
        """Delete leftovers of killed runs, then the least recently used files beyond the limit."""
        with suppress(OSError):
            entries = sorted(
                (
                    (entry.stat().st_mtime, entry.stat().st_size, entry)
                    for entry in os.scandir(folder)
                    if _OWN_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
                ),
                key=lambda item: item[0],
                reverse=True,
            )
            newest, total = entries[0][0] if entries else 0.0, 0
            for used, size, entry in entries:
                if entry.name.endswith(".partial"):  # another run may be writing it
                    is_deleted = newest - used > _LEFTOVER_AGE
                else:
                    total += size
                    is_deleted = total > self._limit
                if is_deleted:
                    os.unlink(entry)


def _is_written(partial: BinaryIO, *, fetch: Fetch, progress: Progress) -> bool:
    """Fetch a file into the cache; return False if the disk doesn't take it."""
    done = 0

    def count(advance: int) -> None:
        nonlocal done
        done += advance
        progress(advance)

    try:
        fetch(to=partial, progress=count)
        partial.flush()
    except OSError:
        progress(-done)
        return False
    return True
