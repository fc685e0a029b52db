"""Repositories: where releases are kept, and one interface to all kinds of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Progress, Reporter, no_progress
from ign_deploy.repositories.access import Access

if TYPE_CHECKING:
    from ign_deploy.repositories.record import FileRole, Release
    from ign_deploy.repositories.status_events import ModuleStatus
    from ign_deploy.repositories.store import DocumentStore


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a repository can do, according to a probe.

    ``location`` has no credentials. ``obstacle`` says why the repository isn't ``writable``.
    ``create_once``: of concurrent writers of one version exactly one wins; ``compare_and_swap``:
    indexes are updated without losing updates; ``server_digest``: the store states the digest of
    its files; ``resume``: an interrupted download can continue. ``remarks`` are full sentences on
    what a user has to know about the store, such as why ``create_once`` isn't guaranteed.
    ``workers`` is a good number of parallel transfers.
    """

    location: str
    writable: bool
    obstacle: str
    create_once: bool
    compare_and_swap: bool
    server_digest: bool
    resume: bool
    remarks: tuple[str, ...] = ()
    workers: int = 8


class PublishOutcome(StrEnum):
    """The outcome of publishing."""

    PUBLISHED = "published"
    ALREADY_PUBLISHED = "already-published"


@dataclass(frozen=True, slots=True)
class Publication:
    """A version in the repository, with its record and its location.

    If it was already published, ``release`` is the existing record, not the one offered.
    """

    outcome: PublishOutcome
    release: Release
    location: str


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A published version, as far as the indexes know it.

    ``name``, ``description`` and ``tags`` are those of the module's newest version; ``versions``
    counts the module's published versions; ``published_at`` is ISO 8601 (UTC); ``yanked`` is
    the reason, None if the version isn't yanked.
    """

    id: str
    name: str
    version: str
    description: str
    tags: tuple[str, ...]
    requires_ignition: str
    published_at: str
    yanked: str | None
    versions: int


@dataclass(frozen=True, slots=True)
class Reindexed:
    """The number of modules and versions found by rebuilding the indexes."""

    modules: int
    versions: int


class Maintenance(Protocol):
    """What maintenance needs, in addition to publishing and reading."""

    @property
    def documents(self) -> DocumentStore:
        """The repository's small files: status events, deployments."""

    def status(self, module_id: str) -> ModuleStatus:
        """Return the status of a module's versions: yanked, removed. Raises RepositoryError."""

    def refresh(self, module_id: str) -> None:
        """Update the indexes and the page with the status events of a module.

        Raises RepositoryError.
        """

    def reindex(self) -> Reindexed:
        """Rebuild all indexes and the page from records and status events. Raises RepositoryError.

        A version whose record can't be read is skipped, with a warning.
        """

    def discard(self, release: Release) -> None:
        """Delete a version's files; its record stays, as the tombstone. Raises RepositoryError.

        Files that are already gone are not an error.
        """


class Repository(Protocol):
    """A store of releases; a version is published once and completely, or not at all."""

    def check(self) -> Capabilities:
        """Find out what the store can do, before anything expensive is done.

        Raises RepositoryError if it can't be reached or isn't a repository.
        """

    def publish(
        self, release: Release, *, files: Mapping[str, Path], progress: Progress = no_progress
    ) -> Publication:
        """Publish a version: its record, and the local file for each file name the record lists.

        The same module bytes again are a success, and nothing is written. Raises VersionConflict
        if the version is published with other bytes, RepositoryError if the store fails or a
        file doesn't match the record; then nothing is published.
        """

    def catalogue(self, module_id: str | None = None) -> tuple[CatalogueEntry, ...]:
        """Return the newest version of each module by id, or all of one module, highest first.

        The newest version is the newest final release, else the newest prerelease. An
        unknown module has no entries. Raises RepositoryError.
        """

    def fetch(
        self,
        module_id: str,
        *,
        version: str,
        to: BinaryIO | None = None,
        role: FileRole | None = None,
        progress: Progress = no_progress,
    ) -> Release:
        """Return a version's record and, with ``to``, copy its file of ``role`` there.

        ``role`` defaults to the module itself. The copy has the size and the digest in the record.
        Raises NotInRepository, RepositoryError, or VerificationError if the file doesn't match the
        record; an OSError of ``to`` is passed on.
        """

    @property
    def maintenance(self) -> Maintenance:
        """What the maintenance of this repository needs."""


Opener = Callable[[str, Access], Repository]


def _open_directory(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.directory import open_directory

    return open_directory(_local_path(url), reporter=access.reporter)


def _open_github(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.github import open_github

    return open_github(url, access)


def _open_gitlab(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.gitlab import open_gitlab

    return open_gitlab(url, access)


def _open_http(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.http import open_http

    return open_http(url, access)


def _open_oci(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.oci import open_oci

    return open_oci(url, access)


def _open_s3(url: str, access: Access) -> Repository:
    from ign_deploy.repositories.backends.s3 import open_s3

    return open_s3(url, access)


BACKENDS: Mapping[str, Opener] = {
    "file": _open_directory,
    "github": _open_github,
    "gitlab": _open_gitlab,
    "https": _open_http,
    "http": _open_http,
    "nexus+https": _open_http,
    "nexus+http": _open_http,
    "artifactory+https": _open_http,
    "artifactory+http": _open_http,
    "oci": _open_oci,
    "s3": _open_s3,
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HERE = ("", "localhost")
_SUPPORTED = (
    "supported are a folder (path or file:), https:, nexus+https:, artifactory+https:, github:, "
    "gitlab:, oci: and s3:"
)


def open_repository(
    url: str, *, access: Access | None = None, reporter: Reporter | None = None
) -> Repository:
    """Return the repository at ``url``: a path, or a URL whose scheme chooses the kind of store.

    Nothing is read or created yet. Raises ConfigurationError for a URL without a backend; the
    message shows only the scheme, because URLs can contain credentials.
    """
    if url != url.strip():
        # As a path, " https://…" would create a folder, and its name would be shown.
        raise ConfigurationError(
            "the repository URL begins or ends with spaces or line breaks",
            hint="remove them from --repository-url.",
        )
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "file"
    opener = BACKENDS.get(scheme)
    if opener is None:
        raise ConfigurationError(
            f'unsupported repository type "{scheme}:"; {_SUPPORTED}',
            hint="correct --repository-url; write ./ before a path that contains a colon.",
        )
    access = Access() if access is None else access
    return opener(url, access if reporter is None else replace(access, reporter=reporter))


def _local_path(url: str) -> Path:
    text = url
    if _SCHEME.match(url):
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
