"""A store of objects by path (WebDAV, S3, Nexus, …), composed to a store of versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from ign_deploy.errors import IgnDeployError
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.pending_writes import PENDING, PendingGuard
from ign_deploy.repositories.claims import (
    MAX_CLAIM_SIZE,
    Claim,
    ClaimStore,
    claim_bytes,
    parse_claim,
)
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.record import (
    MAX_RECORD_SIZE,
    RECORD_NAME,
    Release,
    ReleaseFile,
    is_safe_component,
)
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document, Key, Store

_LOOKS = 4
_CLAIM = re.compile(r"claim-(\d{1,6})\.json")


class Name(NamedTuple):
    """What is in a folder: the last part of its path, and whether it is a folder itself."""

    text: str
    is_folder: bool


class ObjectStore(Protocol):
    """Objects by path, relative to the repository's root; folders need not be made.

    Every method retries what may pass, and raises RepositoryError (the store refused; what to do)
    or NetworkError.
    """

    def exists(self) -> bool:
        """See ``Store.exists``."""

    def probe(self) -> Capabilities:
        """See ``Store.probe``."""

    def compares(self) -> bool:
        """Return whether ``put`` compares, and no other run can write in between."""

    def now(self) -> datetime:
        """See ``Store.now``."""

    def url(self, path: str) -> str:
        """Return the object's address without credentials."""

    def get(self, path: str, *, limit: int) -> Document | None:
        """Return a small object, at most ``limit`` + 1 bytes of it; None when it isn't there."""

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """Write a small object; False when it is no longer what ``replaces`` says (None: nothing).

        Where the store can't compare, it is written, and True returned.
        """

    def create(self, path: str, data: bytes) -> bool:
        """Write a small object unless it is there; of several writers one gets True.

        False also in doubt. What it holds is read with ``created``.
        """

    def created(self, path: str) -> bytes | None:
        """Return what ``create`` wrote; None when its content isn't (yet) there."""

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """Upload a file, compared with its record while sending and afterwards.

        An object that is there already and has that digest, where the store states it, is left.
        """

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Download a file, compared with its record; raises NotInRepository when it is gone."""

    def names(self, folder: str) -> list[Name]:
        """Return what is directly in a folder, in no order; nothing when it is missing."""

    def delete(self, path: str) -> None:
        """Delete an object; what is gone already is not an error."""


@dataclass(frozen=True, slots=True)
class ObjectVersions:
    """See ``store.VersionStore``; versions are at ``modules/<id>/<version>/``."""

    objects: ObjectStore
    wait_policy: WaitPolicy

    def read_record(self, key: Key) -> bytes | None:
        """See ``VersionStore.read_record``."""
        for look in range(_LOOKS):
            if look:
                self.wait_policy.sleep(self.wait_policy.poll)
            document = self.objects.get(f"{key.folder}/{RECORD_NAME}", limit=MAX_RECORD_SIZE)
            # Some servers show a file while it is being written (WsgiDAV, rclone).
            if document is None or document.data.rstrip().endswith(b"}"):
                break
        return None if document is None else document.data

    def copy_file(self, key: Key, file: ReleaseFile, *, to: BinaryIO, progress: Progress) -> None:
        """See ``VersionStore.copy_file``."""
        self.objects.receive(f"{key.folder}/{file.name}", to=to, expected=file, progress=progress)

    def versions(self, module_id: str | None = None) -> Iterator[Key]:
        """See ``VersionStore.versions``."""
        ids = self._folders("modules") if module_id is None else [module_id]
        for each in ids:
            for version in self._folders(f"modules/{each}"):
                yield Key(each, version)

    def discard(self, key: Key, release: Release) -> None:
        """See ``VersionStore.discard``."""
        for file in release.files:
            self.objects.delete(f"{key.folder}/{file.name}")

    def _folders(self, folder: str) -> list[str]:
        names = self.objects.names(folder)
        return [name.text for name in names if name.is_folder and is_safe_component(name.text)]


@dataclass(frozen=True, slots=True)
class ObjectClaims:
    """See ``claims.ClaimStore``; a claim is an object in the version's folder."""

    objects: ObjectStore
    reporter: Reporter

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self.objects.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a claim is removed once there is a record."""
        return False

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``."""
        generation = last_generation(self.objects.names(key.folder))
        if generation is None:
            return None
        data = self.objects.created(_claim_path(key, generation))
        if data is None:
            return Claim("", generation)
        return parse_claim(data[: MAX_CLAIM_SIZE + 1], generation=generation)

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``ClaimStore.claim``."""
        return self.objects.create(_claim_path(key, claim.generation), claim_bytes(claim))

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``ClaimStore.put_files``."""
        for file in release.files:
            path = f"{key.folder}/{file.name}"
            self.objects.send(path, files[file.name], expected=file, progress=progress)

    def put_record(self, key: Key, claim: Claim, record: bytes, *, oldest: int = 0) -> bool:
        """See ``ClaimStore.put_record``; ``oldest`` is the first claim that is an object."""
        path = f"{key.folder}/{RECORD_NAME}"
        if not self.objects.put(path, record, replaces=None):
            found = self.objects.get(path, limit=MAX_DOCUMENT_SIZE)
            # WsgiDAV keeps the beginning of an upload that was cut off, and then refuses the next.
            # Only the claim's holder writes here, and no record is the beginning of another.
            if found is not None and found.data != record and record.startswith(found.data):
                self.objects.put(path, record, replaces=found)
        try:
            for generation in range(oldest, claim.generation + 1):
                self.objects.delete(_claim_path(key, generation))
        except IgnDeployError as problem:
            # A claim beside a record means nothing; it only stays to be seen.
            self.reporter.info(f"the claim on {key.id} {key.version} stays: {problem.message}")
        return True


@dataclass(frozen=True, slots=True)
class ObjectDocuments:
    """See ``store.DocumentStore``; also keeps what ``PendingGuard`` notes."""

    objects: ObjectStore

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        return self.objects.get(path, limit=MAX_DOCUMENT_SIZE)

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``DocumentStore.write``."""
        return self.objects.put(path, data, replaces=replaces)

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        self.objects.put(path, data, replaces=None)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        return [name.text for name in self.objects.names(folder) if not name.is_folder]

    def now(self) -> datetime:
        """See ``PendingStore.now``."""
        return self.objects.now()

    def put_pending(self, name: str, data: bytes) -> None:
        """See ``PendingStore.put_pending``."""
        self.objects.put(f"{PENDING}/{name}", data, replaces=None)

    def pending_names(self) -> list[str]:
        """See ``PendingStore.pending_names``."""
        return self.names(PENDING)

    def remove_pending(self, name: str) -> None:
        """See ``PendingStore.remove_pending``."""
        self.objects.delete(f"{PENDING}/{name}")


def object_store(objects: ObjectStore, *, access: Access) -> Store:
    """Return the store that objects by path make; people can open it in a browser."""
    guard = pending_guard(objects, access)
    claims = ObjectClaims(objects, access.reporter)
    return compose(objects, claims, guard, access=access)


def pending_guard(objects: ObjectStore, access: Access) -> PendingGuard:
    """Return the guard of the indexes; it does nothing where the store compares and swaps."""
    documents = ObjectDocuments(objects)
    return PendingGuard(documents, access.reporter, lambda: not objects.compares())


def compose(
    objects: ObjectStore,
    claims: ClaimStore,
    guard: PendingGuard,
    *,
    access: Access,
) -> Store:
    """Return the store with claims of its own kind."""
    versions = ObjectVersions(objects, access.wait_policy)
    return Store(
        versions=versions,
        publisher=ClaimPublisher(versions, claims, access.wait_policy, access.reporter),
        documents=ObjectDocuments(objects),
        address=objects.url("").rstrip("/"),
        exists=objects.exists,
        probe=objects.probe,
        location=lambda key: objects.url(f"{key.folder}/"),
        guard=guard,
        now=objects.now,
        compares=lambda: _compares(objects.probe()),
        has_page=True,
    )


def _compares(found: Capabilities) -> bool:
    return found.create_once and found.compare_and_swap


def last_generation(names: Iterable[Name]) -> int | None:
    """Return the highest generation of the claims in a version's folder, None without one."""
    matches = (_CLAIM.fullmatch(name.text) for name in names)
    return max((int(match[1]) for match in matches if match), default=None)


def _claim_path(key: Key, generation: int) -> str:
    return f"{key.folder}/claim-{generation}.json"
