"""Repositories: where releases are kept, and one interface to all kinds of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ign_deploy.report import Progress, no_progress

if TYPE_CHECKING:
    from ign_deploy.repositories.leases import LeaseStore
    from ign_deploy.repositories.ledger import Ledger
    from ign_deploy.repositories.record import FileRole, Release
    from ign_deploy.repositories.status_events import ModuleStatus
    from ign_deploy.repositories.store import DocumentStore


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a repository can do, according to a probe.

    ``location`` has no credentials. ``obstacle`` says why the repository isn't ``writable``.
    ``create_once``: of concurrent writers of one version exactly one wins; ``compare_and_swap``:
    indexes are updated without losing updates; ``server_digest``: the store states the digest of
    its files; ``resume``: an interrupted download can continue (both only as far as
    ``Repository.describe`` looked). ``remarks`` are full sentences on
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
class ConsentChange:
    """What gateways with the version ``since`` have to accept with a later one."""

    since: str
    certificate: bool = False
    licence: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """A version in the repository, with its record and its location.

    If it was already published, ``release`` is the existing record, not the one offered.
    ``asked_again`` is what gateways with the version before it will ask, None for nothing, or if
    that isn't known.
    """

    outcome: PublishOutcome
    release: Release
    location: str
    asked_again: ConsentChange | None = None


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A published version, as far as the indexes know it.

    ``max_ignition`` is the newest Ignition that it supports, empty if that isn't stated, or for an
    entry of the list of modules. ``name``, ``description`` and ``tags`` are those of the module's
    newest version; ``versions`` counts the module's published versions; ``published_at`` is ISO
    8601 (UTC); ``yanked`` is the reason, None if the version isn't yanked.
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
    max_ignition: str = ""


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

    @property
    def ledger(self) -> Ledger:
        """The status events and deployments, and what is derived from them."""

    @property
    def leases(self) -> LeaseStore:
        """Which run deploys to which gateway."""

    def status(self, module_id: str) -> ModuleStatus:
        """Return the status of a module's versions: yanked, removed. Raises RepositoryError."""

    def refresh(self, *module_ids: str) -> None:
        """Update the indexes and the page with the status events of these modules, all at once.

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

    @property
    def location(self) -> str:
        """Where the repository is, without credentials; nothing is requested."""

    def exists(self) -> bool:
        """Return whether the repository is there, by reading alone.

        The first publication makes one that is missing. Raises RepositoryError if it can't be read.
        """

    def check(self) -> Capabilities:
        """Find out what the store can do, by writing to it, before anything expensive is done.

        For what publishes; reading needs none of it. Raises RepositoryError if it can't be reached
        or isn't a repository.
        """

    def describe(self) -> Capabilities:
        """Find out all that the store can do, for people: more than ``check`` needs to know."""

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
