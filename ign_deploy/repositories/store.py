"""What a backend composes a repository of: ``Store(versions, publisher, documents, …)``.

Three small interfaces: ``VersionStore`` holds published versions, ``Publisher`` publishes one
exactly once, ``DocumentStore`` keeps small files (indexes, status events, deployments). Where the
store has no compare-and-swap, an ``IndexGuard`` notices that two runs write the indexes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities, PublishOutcome
from ign_deploy.repositories.record import Release, ReleaseFile

MAX_DOCUMENT_SIZE = 64 << 20
LEDGER_KEY = "ledger+"
"""How the ids of keys begin that stand for what is derived from the ledger, not for modules."""


class Key(NamedTuple):
    """Which version: a module's id and its version, both safe components of a path."""

    id: str
    version: str

    @property
    def folder(self) -> str:
        """The version's folder in a store of paths, without a slash at either end."""
        return f"modules/{self.id}/{self.version}"


class VersionStore(Protocol):
    """Published versions: a version with a record is published, one without isn't there."""

    def read_record(self, key: Key) -> bytes | None:
        """Return the record's bytes, at most MAX_RECORD_SIZE + 1; None when it isn't published."""

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """Copy one file of a published version, compared with ``file``'s size and digest.

        Raises VerificationError when it differs, NotInRepository when it is gone.
        """

    def versions(self, module_id: str | None = None) -> Iterable[Key]:
        """Yield every version that may be published, of one module or of all, in no order.

        A key without a record may be among them. Costs a request per page of the store's listing.
        """

    def discard(self, key: Key, release: Release) -> None:
        """Delete the version's files but never its record, which stays as the tombstone.

        Files that are already gone are not an error. Raises RepositoryError where the store doesn't
        delete.
        """


@dataclass(frozen=True, slots=True)
class Publishing:
    """A version to be published: its record, and the local file for each name it lists.

    ``confirm`` returns the record that is in the store if it is of the same module, and raises
    VersionConflict if not.
    """

    release: Release
    files: Mapping[str, Path]
    progress: Progress
    confirm: Callable[[Release], Release]

    @property
    def key(self) -> Key:
        """The version to be published."""
        return Key(self.release.id, self.release.version)


class Publisher(Protocol):
    """Publishes a version exactly once."""

    def publish(self, wanted: Publishing) -> tuple[PublishOutcome, Release]:
        """Publish the version, or find out that it is published; return the record in the store.

        Raises VersionConflict or RepositoryError; nothing is published then.
        """


@dataclass(frozen=True, slots=True)
class Document:
    """A small file; ``tag`` identifies its content to the store, empty where it has none.

    What this run has written itself needs none.
    """

    data: bytes
    tag: str = ""


class DocumentStore(Protocol):
    """Small files by path: ``index.json``, ``ledger/status-events/<id>/<name>.json``."""

    def read(self, path: str) -> Document | None:
        """Return the document, None when there is none. At most MAX_DOCUMENT_SIZE bytes."""

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """Write an index or page; ``replaces`` is what was read before, None for nothing.

        Returns False when the store holds another document by now. A store without
        compare-and-swap has written it nevertheless, or doesn't notice, and returns True.
        """

    def add(self, path: str, data: bytes) -> None:
        """Write a document that is never changed, under a name that nothing else has.

        The same bytes again (a lost acknowledgement) are not an error.
        """

    def names(self, folder: str) -> list[str]:
        """Return the names of the documents directly in a folder, in no order; none if missing."""


class Indexed(NamedTuple):
    """What the root index says of a module: its versions, removed ones included, and the latest.

    ``status_events`` is how many of them it accounts for.
    """

    versions: int
    latest: str
    status_events: int


class IndexSession(Protocol):
    """One run's writing of the indexes, from before its first read to after its last write.

    ``is_exclusive``: a write over what another run has written since the read is refused, so that
    what was read before the session may be replaced in it.
    """

    @property
    def is_exclusive(self) -> bool:
        """See above."""

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:
        """Return the modules that other runs may have changed since the session began.

        Called after writing; ``indexed`` is the root index by module, as this run wrote or found
        it. An empty id means a run that writes all modules.
        """

    def overlaps(self, key: str) -> bool:
        """Return whether another run may have written what is derived for this key of the ledger.

        Called after writing; also whether it has done so since the last question.
        """


class IndexGuard(Protocol):
    """Keeps runs that write the indexes at once from losing each other's changes."""

    def session(self, keys: Collection[Key]) -> AbstractContextManager[IndexSession]:
        """Begin to change the indexes for these versions; an empty version is the whole module."""


@dataclass(frozen=True, slots=True)
class Store:
    """A whole store. ``probe`` finds out what it can do, by as few requests as possible.

    It writes, and raises RepositoryError (wrong credentials: say which right is missing) or
    NetworkError. ``describe`` adds what publishing needn't know. ``exists`` only reads; see
    ``Repository.exists``. ``address`` is that of the whole store, without credentials.
    ``location`` returns where a person finds a version, without credentials. ``snapshot``: while it
    is open, listings may be as of its beginning. ``has_page``: people can open the store's files in
    a browser. ``has_scripts``: their page can't request other files there, since it comes from a
    folder or the server isolates it, so the indexes are scripts, too. ``lists_cheaply``: a listing
    costs so little that readers compare the indexes with it. ``now`` is the store's own time, as
    its last response gave it. ``compares`` returns whether ``DocumentStore.write`` never replaces
    another document than the one that was read. ``read_together`` reads several documents by one
    request, where that is possible, and ``compares``. ``lists_all``: a listing has everything that
    is in the store, however little is requested, so a version in the indexes isn't looked up there.
    """

    versions: VersionStore
    publisher: Publisher
    documents: DocumentStore
    address: str
    exists: Callable[[], bool]
    probe: Callable[[], Capabilities]
    location: Callable[[Key], str]
    guard: IndexGuard
    now: Callable[[], datetime]
    compares: Callable[[], bool]
    describe: Callable[[Capabilities], Capabilities] = lambda found: found
    snapshot: Callable[[], AbstractContextManager[None]] = nullcontext
    has_page: bool = False
    has_scripts: bool = False
    lists_cheaply: bool = False
    lists_all: bool = False
    read_together: Callable[[Sequence[str]], Sequence[Document | None]] | None = None
