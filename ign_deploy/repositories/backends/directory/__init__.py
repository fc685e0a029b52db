"""Modules in a folder or on a file share: a path or ``file:``."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.files import os_error_reason
from ign_deploy.report import Reporter
from ign_deploy.repositories import Capabilities, Repository
from ign_deploy.repositories.backends.directory.documents import DirectoryDocuments
from ign_deploy.repositories.backends.directory.publisher import DirectoryPublisher
from ign_deploy.repositories.backends.directory.versions import DirectoryVersions, require_folder
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import IndexSession, Key, Store


def open_directory(root: Path, *, reporter: Reporter) -> Repository:
    """Return the repository in the folder ``root``, which is made when missing."""
    return StoreRepository(directory_store(root, reporter=reporter), reporter=reporter)


def directory_store(root: Path, *, reporter: Reporter) -> Store:
    """Return the store that the repository is made of."""
    versions = DirectoryVersions(root, reporter=reporter)
    documents = DirectoryDocuments(root)
    return Store(
        versions=versions,
        publisher=DirectoryPublisher(root, reporter=reporter),
        documents=documents,
        probe=lambda: _probe(root),
        location=lambda key: str(versions.folder(key).absolute()),
        guard=_DirectoryGuard(documents),
        has_page=True,
        lists_cheaply=True,
    )


@dataclass(frozen=True, slots=True)
class _DirectoryGuard:
    """See ``IndexGuard``: one run at a time writes the indexes, under the repository's lock."""

    documents: DirectoryDocuments

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:
        """See ``IndexGuard.session``."""
        with self.documents.locked(), NoGuard().session(keys) as session:
            yield session


def _probe(root: Path) -> Capabilities:
    """See ``Store.probe``; whether it is writable is tried, since rights can lie."""
    folder = root if root.exists() else root.absolute().parent
    require_folder(folder, root=root)
    return Capabilities(
        location=str(root),
        writable=not (obstacle := _obstacle_to_writing(folder)),
        obstacle=obstacle,
        create_once=True,
        compare_and_swap=True,
        server_digest=False,
        resume=False,
    )


def _obstacle_to_writing(folder: Path) -> str:
    probe = folder / f".probe-{secrets.token_hex(6)}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as cause:
        return f"cannot write to {folder}: {os_error_reason(cause)}"
    return ""
