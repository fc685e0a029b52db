"""The repository in a store that is reached over the network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import IgnDeployError, NotInRepository
from ign_deploy.report import Progress, Reporter, no_progress
from ign_deploy.repositories import Capabilities, CatalogueEntry, Outcome, Publication, Reindexed
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.cache import DownloadCache
from ign_deploy.repositories.conflicts import refuse_removed, require_same
from ign_deploy.repositories.publishing import Attempt, read_record
from ign_deploy.repositories.record import FileRole, Release, is_safe_component
from ign_deploy.repositories.rows import module_row, version_rows
from ign_deploy.repositories.store import DocumentStore, Key, Store
from ign_deploy.repositories.store_index import StoreIndex


class StoreRepository:
    """See ``Repository``; ``store`` is where everything is kept, ``access`` how it is reached.

    ``has_page``: people can open the store's files in a browser, so the page is kept there.
    """

    def __init__(
        self, store: Store, *, reporter: Reporter, access: Access, has_page: bool = False
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._cache = DownloadCache(access.cache)
        self._patience = access.patience
        self._index = StoreIndex(store, reporter=reporter, has_page=has_page)

    @cached_property
    def _capabilities(self) -> Capabilities:
        return self._store.probe()

    def check(self) -> Capabilities:
        """See ``Repository.check``; asked once."""
        return self._capabilities

    def publish(
        self, release: Release, *, files: Mapping[str, Path], progress: Progress = no_progress
    ) -> Publication:
        """See ``Repository.publish``."""
        release.require_given(files)
        release.to_json()  # refuses what is too long before anything is sent
        attempt = Attempt(
            store=self._store,
            release=release,
            files=files,
            settle=lambda there: require_same(
                there, release, documents=self._store, reporter=self._reporter
            ),
            reporter=self._reporter,
            progress=progress,
            patience=self._patience,
        )
        outcome, published = attempt.publish()
        self._update_indexes(published, outcome=outcome)
        return Publication(outcome, published, self._store.location(attempt.key))

    def catalogue(self, module_id: str | None = None) -> tuple[CatalogueEntry, ...]:
        """See ``Repository.catalogue``; one request where the index stands."""
        if module_id is None:
            return tuple(module_row(entry) for entry in self._index.root()["modules"])
        if not is_safe_component(module_id):
            return ()
        index = self._index.module(module_id)
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
            release = read_record(self._store, key)
        if release is None:
            raise NotInRepository(
                f"{module_id!a} has no published version {version!a} in this repository",
                hint="see what there is with `ign-deploy list-modules`.",
            )
        if to is not None:
            file = release.required_file(role)
            copy = partial(self._store.copy_file, key, file)
            try:
                self._cache.copy(file, to=to, progress=progress, fetch=copy)
            except NotInRepository:
                refuse_removed(release, documents=self._store, reporter=self._reporter)
                raise
        return release

    @property
    def maintenance(self) -> StoreRepository:
        """See ``Repository.upkeep``."""
        return self

    @property
    def documents(self) -> DocumentStore:
        """See ``Maintenance.documents``."""
        return self._store

    def refresh(self, module_id: str) -> None:
        """See ``Maintenance.refresh``."""
        self._index.refresh(module_id)

    def reindex(self) -> Reindexed:
        """See ``Maintenance.reindex``."""
        return self._index.rebuild()

    def discard(self, release: Release) -> None:
        """See ``Maintenance.discard``."""
        self._store.discard(Key(release.id, release.version), release)

    def _update_indexes(self, release: Release, *, outcome: Outcome) -> None:
        try:
            # What is there already may stem from a run that was killed before it got here.
            if outcome is Outcome.PUBLISHED or not self._index.lists(release):
                self._index.add(release)
        except IgnDeployError as problem:
            self._reporter.warning(
                f"the version is published, but its index isn't up to date: {problem.message}; "
                "run `ign-deploy reindex`"
            )
