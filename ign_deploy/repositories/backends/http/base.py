"""What all stores over HTTP have in common: reading, comparing, and claims of those without locks.

Where a store can't create an object once only, the claim is timed (Fischer's mutual exclusion):
see that nobody has claimed, write ours, wait longer than anyone takes from seeing to writing, and
read back whose it is.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.fetching import SmallAnswer
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.client import Client
from ign_deploy.repositories.backends.http.digests import WANTED, stated_digest, stated_size
from ign_deploy.repositories.backends.http.errors import refusal
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

SETTLE = 5.0
"""Seconds that a timed claim is left alone before it is read back."""


@dataclass(frozen=True, slots=True)
class Tagged(Document):
    """A document whose strong ETag is worth sending, though not safe to rely on (``tag``)."""

    etag: str = ""


class HttpObjectStore(ABC):
    """See ``path_store.ObjectStore``; ``settle`` is how long a timed claim waits, in seconds."""

    def __init__(self, client: Client, *, settle: float = SETTLE) -> None:
        self._client = client
        self._settle = settle
        self._lock = threading.Lock()
        self._found: Capabilities | None = None

    def probe(self) -> Capabilities:
        """See ``Store.probe``; the server is asked once."""
        with self._lock:
            if self._found is None:
                self._found = self._find_out()
            return self._found

    def now(self) -> datetime:
        """See ``Store.now``."""
        return self._client.now()

    def url(self, path: str) -> str:
        """See ``ObjectStore.url``."""
        return f"{self._client.location.root}/{quote(path)}"

    def get(self, path: str, *, limit: int) -> Document | None:
        """See ``ObjectStore.get``."""
        # Who reads it judges its length: an index that is too long can be written anew.
        answer = self._client.ask("GET", self.url(path), limit=limit + 1, cut=True)
        if answer.status in {404, 410}:
            return None
        if answer.status != 200:
            raise refusal(answer.status, self.url(path), doing=f"reading {path}")
        etag = answer.headers.get("ETag", "").strip()
        return Tagged(answer.body, etag=etag if etag.startswith('"') else "")

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """See ``ObjectStore.receive``."""
        try:
            self._client.download(self.url(path), to=to, expected=expected, progress=progress)
        except RepositoryError as problem:
            if self._head(path).status in {404, 410}:
                raise NotInRepository(problem.message, hint=problem.hint) from problem
            raise

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``. Raises RepositoryError when the store can't be written."""
        found = self.probe()
        if not found.writable:
            raise RepositoryError(
                f"the repository can't be written: {found.obstacle}",
                hint="see `ign-deploy validate-env --repository`.",
            )
        return self._create_once(path, data) if found.create_once else self._claim(path, data)

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        document = self.get(path, limit=MAX_CLAIM_SIZE)
        return None if document is None else document.data

    @abstractmethod
    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""

    @abstractmethod
    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""

    @abstractmethod
    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""

    @abstractmethod
    def _find_out(self) -> Capabilities:
        """See ``Store.probe``."""

    @abstractmethod
    def _create_once(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``; only called where the probe found that it is safe."""

    def _claim(self, path: str, data: bytes) -> bool:
        begin = self._client.patience.clock()
        if self.created(path) is not None:
            return False
        # Whether it was refused or overwritten: what stands there in the end counts.
        self.put(path, data, replaces=None)
        if (took := self._client.patience.clock() - begin) > self._settle:
            raise RepositoryError(
                f"the server took {took:.1f} s for a claim, expected at most {self._settle:.1f} s: "
                "another job may have claimed the version meanwhile",
                hint="run again when the server is less busy; nothing was published.",
            )
        self._client.patience.sleep(self._settle)
        return self.created(path) == data

    def _head(self, path: str) -> SmallAnswer:
        return self._client.ask("HEAD", self.url(path), headers=WANTED)

    def _holds(self, path: str, expected: ReleaseFile) -> bool:
        """Tell whether the store states that it has exactly this file.

        The size alone proves nothing: a killed run with other bytes may have left it.
        """
        answer = self._head(path)
        return answer.status == 200 and stated_digest(answer.headers) == expected.sha256

    def _require_stored(self, path: str, expected: ReleaseFile) -> None:
        """Raise RepositoryError unless the stored file is as the record says, as far as stated."""
        answer = self._head(path)
        size, digest = stated_size(answer.headers), stated_digest(answer.headers)
        if answer.status != 200:
            raise refusal(answer.status, self.url(path), doing=f"looking at {expected.name}")
        if size not in {None, expected.size} or digest not in {None, expected.sha256}:
            raise RepositoryError(
                f"the store holds {expected.name} with {size} bytes and SHA-256 "
                f"{digest or 'not stated'}, expected {expected.size} bytes and {expected.sha256}",
                hint="run again; if it stays so, look at the server's log and its disk.",
            )
