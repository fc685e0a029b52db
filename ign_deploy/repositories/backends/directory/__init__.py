"""Modules in a folder or on a file share: a path or ``file:``."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import os_error_reason
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.directory.documents import DirectoryDocuments
from ign_deploy.repositories.backends.directory.publisher import DirectoryPublisher
from ign_deploy.repositories.backends.directory.versions import DirectoryVersions, require_folder
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.store import IndexSession, Key, Store

_HERE = ("", "localhost")


def open_directory(url: str, access: Access) -> Store:
    """Return the store in a folder, by its path or ``file:`` URL; it is made when missing.

    Raises ConfigurationError for a URL that doesn't name a folder of this machine.
    """
    root = _local_path(url)
    versions = DirectoryVersions(root, reporter=access.reporter)
    documents = DirectoryDocuments(root)
    return Store(
        versions=versions,
        publisher=DirectoryPublisher(root, reporter=access.reporter),
        documents=documents,
        address=str(root),
        exists=lambda: _exists(root),
        probe=lambda: _probe(root),
        location=lambda key: str(versions.folder(key).absolute()),
        guard=_DirectoryGuard(documents),
        now=documents.now,
        compares=lambda: True,
        has_page=True,
        has_scripts=True,
        lists_cheaply=True,
    )


def _local_path(url: str) -> Path:
    text = url
    if url.lower().startswith("file:"):
        try:
            parts = urlsplit(url)
        except ValueError:  # an unclosed [ where the host would be
            parts = None
        if parts is None or parts.netloc not in _HERE or parts.query or parts.fragment:
            raise ConfigurationError(
                "the repository's file: URL names a host, a query or a fragment",
                hint="write file:///absolute/path, with ? and # as %3F and %23.",
            )
        text = unquote(parts.path)
    if not text.strip() or not text.isprintable():
        raise ConfigurationError(
            "the repository path is empty or contains control characters",
            hint="set --repository-url to a path without control characters.",
        )
    return Path(text)


@dataclass(frozen=True, slots=True)
class _DirectoryGuard:
    """See ``IndexGuard``: one run at a time writes the indexes, under the repository's lock."""

    documents: DirectoryDocuments

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:
        """See ``IndexGuard.session``."""
        with self.documents.locked(), NoGuard().session(keys) as session:
            yield session


def _exists(root: Path) -> bool:
    """See ``Store.exists``."""
    _existing(root)
    return root.exists()


def _existing(root: Path) -> Path:
    """Return the repository's folder, or the one to make it in; raises RepositoryError."""
    folder = root if root.exists() else root.absolute().parent
    require_folder(folder, root=root)
    return folder


def _probe(root: Path) -> Capabilities:
    """See ``Store.probe``; whether it is writable is tried, since rights can lie."""
    folder = _existing(root)
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
