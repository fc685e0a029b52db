"""What a kind of store has to offer, so that ``StoreRepository`` can make a repository of it.

Three small interfaces: ``VersionStore`` holds published versions, ``Publisher`` publishes one under
a claim, ``DocumentStore`` keeps small files (indexes, status events, deployments). A backend
implements all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.record import Release, ReleaseFile

MAX_DOCUMENT_SIZE = 64 << 20


class Key(NamedTuple):
    """Which version: a module's id and its version, both safe components of a path."""

    id: str
    version: str

    @property
    def folder(self) -> str:
        """The version's place in a store of paths, without a slash at either end."""
        return f"modules/{self.id}/{self.version}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who is about to publish a version, written down before the first byte of it.

    ``holder`` is random, one per run. ``claimed_at`` is the store's own time. ``release`` is the
    record that is going to be published, None when the claim can't be read (it is being written,
    or was left unfinished). ``generation`` counts how often the version was claimed: a claim that
    outlived its run is followed by one of the next generation, never removed.
    """

    holder: str
    generation: int
    claimed_at: datetime | None = None
    release: Release | None = None


class VersionStore(Protocol):
    """Published versions: what has a record is published, what has none isn't there."""

    def read_record(self, key: Key) -> bytes | None:
        """Return the record's bytes, at most MAX_RECORD_SIZE + 1; None when it isn't published."""

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """Copy one file of a published version, compared with ``file``'s size and digest.

        Raises VerificationError when it is another, NotInRepository when it is gone.
        """

    def versions(self, module_id: str | None = None) -> Iterable[Key]:
        """Yield every version that may be published, of one module or of all, in no order.

        A key without a record may be among them. Costs a request per page of the store's listing.
        """

    def discard(self, key: Key, release: Release) -> None:
        """Delete the version's files but never its record, which stays as the tombstone.

        What is gone already is no error. Raises RepositoryError where the store doesn't delete.
        """


class Publisher(Protocol):
    """Publishes one version under a claim; ``exactly_once`` calls these in their order."""

    def current_claim(self, key: Key) -> Claim | None:
        """Return the claim of the highest generation, None when nobody has claimed the version."""

    def claim(self, key: Key, claim: Claim) -> bool:
        """Write the claim if nobody has claimed that generation; of several writers one gets True.

        False also in doubt: ``current_claim`` then tells whose it is.
        """

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """Upload the version's files, out of the sight of readers; what is there is replaced.

        Size and digest are compared with the record while sending and with what the store states
        afterwards. Raises RepositoryError when they differ; nothing is published then.
        """

    def put_record(self, key: Key, claim: Claim, record: bytes) -> None:
        """Write the record: from then on the version is published. Clean up the claim if possible.

        An answer that says the record exists already is no error: it is read back afterwards.
        """


@dataclass(frozen=True, slots=True)
class Document:
    """A small file; ``tag`` identifies its content to the store, empty where it has none."""

    data: bytes
    tag: str = ""


class DocumentStore(Protocol):
    """Small files by path: ``index.json``, ``ledger/status-events/<id>/<name>.json``."""

    def read(self, path: str) -> Document | None:
        """Return the document, None when there is none. At most MAX_DOCUMENT_SIZE bytes."""

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """Write a document that can be derived again; ``replaces`` is what was read before.

        Returns False, and writes nothing, when another stands there meanwhile. A store without
        compare-and-swap always writes, and returns True.
        """

    def add(self, path: str, data: bytes) -> None:
        """Write a document that is never changed; its name is unique, so no other stands there.

        The same bytes again (a lost acknowledgement) are no error.
        """

    def names(self, folder: str) -> list[str]:
        """Return the names of the documents directly in a folder, in no order; none if missing."""


class Store(VersionStore, Publisher, DocumentStore, Protocol):
    """A whole store, reached over the network."""

    def probe(self) -> Capabilities:
        """Find out, by as few requests as possible, whether it can be read and written.

        Raises RepositoryError (wrong credentials: say which right is missing) or NetworkError.
        """

    def now(self) -> datetime:
        """Return the store's own time, as its last answer gave it; ours before any answer."""

    def location(self, key: Key) -> str:
        """Return where a person finds the version: a URL without credentials."""
