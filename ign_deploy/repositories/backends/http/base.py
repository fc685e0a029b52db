"""What all stores over HTTP share: reading, comparing, errors, and claims held by waiting."""

from __future__ import annotations

import base64
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS, NO_HINTS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.http.client import WebClient, http_error
from ign_deploy.repositories.backends.http.location import HttpLocation
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE, write_and_wait
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document

CLAIM_WAIT = 5.0
"""Seconds between writing a timed claim and reading it back."""
# A cache in between must not return what was there before another job's write.
_FRESH = {"Cache-Control": "no-cache"}
# RFC 9530, and RFC 3230 before it; a value may be one of several in a list.
_REPR = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):", re.IGNORECASE)
_OLD = re.compile(r"(?:^|[,\s])sha-256=([A-Za-z0-9+/]{43}=)(?:[,\s]|$)", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8"}
REQUESTED: Mapping[str, str] = {"Want-Repr-Digest": "sha-256=10", "Want-Digest": "sha-256"}
"""Headers that request the digest."""


@dataclass(frozen=True, slots=True)
class Tagged(Document):
    """A document whose strong ETag is worth sending, though not safe to rely on (``tag``)."""

    etag: str = ""


class HttpObjectStore(ABC):
    """See ``object_store.ObjectStore``.

    ``claim_wait`` is for timed claims, in seconds; ``hints`` are the product's own, by status of an
    error response, and ``error_of`` makes its errors (see ``http_error``).
    """

    def __init__(
        self,
        location: HttpLocation,
        *,
        access: Access,
        retry: RetryPolicy | None = None,
        claim_wait: float = CLAIM_WAIT,
        hints: Mapping[int, str] = NO_HINTS,
        error_of: Callable[..., RepositoryError] | None = None,
    ) -> None:
        self._location = location
        self._wait_policy = access.wait_policy
        self._claim_wait = claim_wait
        self._client = WebClient(
            access.open_session(location.auth),
            headers=_FRESH,
            reporter=access.reporter,
            retry=retry,
            error=RepositoryError,
            error_for_response=partial(error_of or http_error, hints=hints),
        )
        self._lock = threading.Lock()
        self._found: Capabilities | None = None

    @abstractmethod
    def exists(self) -> bool:
        """See ``ObjectStore.exists``."""

    def probe(self) -> Capabilities:
        """See ``Store.probe``; the server is probed once."""
        with self._lock:
            if self._found is None:
                self._found = self._find_out()
            return self._found

    def compares(self) -> bool:
        """See ``ObjectStore.compares``: what servers do with conditions isn't safe to rely on."""
        return False

    def now(self) -> datetime:
        """See ``Store.now``."""
        return self._client.now()

    def url(self, path: str) -> str:
        """See ``ObjectStore.url``."""
        return f"{self._location.root}/{quote(path)}"

    def get(self, path: str, *, limit: int) -> Document | None:
        """See ``ObjectStore.get``."""
        # The reader judges its length: an index that is too long can be rebuilt.
        response = self._client.request(
            "GET", self.url(path), title=f"reading {path}", limit=limit + 1, truncate=True,
            expect={404, 410},
        )  # fmt: skip
        if not response.ok:
            return None
        etag = response.headers.get("ETag", "").strip()
        return Tagged(response.body, etag=etag if etag.startswith('"') else "")

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """See ``ObjectStore.receive``."""
        try:
            self._client.download(self.url(path), expected, to=to, progress=progress)
        except RepositoryError as problem:
            if self._head(path).status in {404, 410}:
                raise NotInRepository(problem.message, hint=problem.hint) from problem
            raise

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``. Raises RepositoryError when the store can't be written."""
        found = self._require_writable()
        return self._create_once(path, data) if found.create_once else self._claim(path, data)

    def _require_writable(self) -> Capabilities:
        found = self.probe()
        if not found.writable:
            raise RepositoryError(
                f"cannot write to the repository: {found.obstacle}",
                hint="run `ign-deploy validate-env --repository` for details.",
            )
        return found

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

    def _capabilities(
        self, *, obstacle: str, once: bool = False, resume: bool = False, remark: str = ""
    ) -> Capabilities:
        """Return what a probe found; ``remark`` is on a store that doesn't create ``once``."""
        return Capabilities(
            location=self._location.root,
            writable=not obstacle,
            obstacle=obstacle,
            create_once=once,
            compare_and_swap=False,
            server_digest=True,
            resume=resume,
            remarks=() if once or obstacle else (remark,),
        )

    def _claim(self, path: str, data: bytes) -> bool:
        begin = self._wait_policy.clock()
        if self.created(path) is not None:
            return False
        # Refused or overwritten: only what is there in the end counts.
        took = write_and_wait(
            lambda: self.put(path, data, replaces=None), since=begin, wait=self._claim_wait,
            wait_policy=self._wait_policy,
        )  # fmt: skip
        if took > self._claim_wait:
            raise RepositoryError(
                f"the server took {took:.1f} s for a claim, expected at most "
                f"{self._claim_wait:.1f} s: another job may have claimed the version in the "
                "meantime",
                hint="run again when the server is less busy; nothing was published.",
            )
        return self.created(path) == data

    def _head(self, path: str, *, expect: Container[int] = ANY_STATUS) -> Response:
        return self._client.request(
            "HEAD", self.url(path), title=f"checking {path}", headers=REQUESTED, expect=expect
        )

    def _put(
        self, path: str, data: bytes, *, title: str = "", headers: Mapping[str, str] = NO_HEADERS,
        expect: Container[int] = (),
    ) -> Response:  # fmt: skip
        # Servers may serve a file as what it was sent.
        kind = _TYPES.get(path.rpartition(".")[2], "application/json")
        return self._client.request(
            "PUT", self.url(path), title=title or f"writing {path}", body=data,
            headers={"Content-Type": kind, **headers}, expect=expect,
        )  # fmt: skip

    def _upload(
        self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress,
        confirm: Callable[[], bool], headers: Mapping[str, str] = NO_HEADERS,
        expect: Container[int] = (),
    ) -> Response:  # fmt: skip
        return self._client.upload(
            "PUT", self.url(path), source=UploadSource(source, expected.size, expected.sha256),
            title=f"uploading {expected.name}", progress=progress, confirm=confirm,
            headers=headers, expect=expect,
        )  # fmt: skip

    def _holds(self, path: str, expected: ReleaseFile) -> bool:
        """Return whether the store states that it has exactly this file.

        The size alone proves nothing: a killed run with other bytes may have left it.
        """
        response = self._head(path)
        return response.ok and stated_digest(response.headers) == expected.sha256

    def _require_stored(self, path: str, expected: ReleaseFile) -> None:
        """Raise RepositoryError unless the stored file is as the record says, as far as stated."""
        response = self._head(path, expect=())
        size, digest = stated_size(response.headers), stated_digest(response.headers)
        if size not in {None, expected.size} or digest not in {None, expected.sha256}:
            raise RepositoryError(
                f"the server has {expected.name} with {size} bytes and SHA-256 "
                f"{digest or 'not stated'}, expected {expected.size} bytes and {expected.sha256}",
                hint="run again; if it persists, check the server's log and disk.",
            )


def stated_digest(headers: Mapping[str, str]) -> str | None:
    """Return the SHA-256 (lower-case hex) of the whole file, None where no header has it."""
    for name, pattern in (("Repr-Digest", _REPR), ("Digest", _OLD)):
        if found := pattern.search(headers.get(name, "")):
            return base64.b64decode(found[1]).hex()
    text = headers.get("X-Checksum-Sha256", "").strip()
    return text.lower() if _HEX.fullmatch(text) else None


def accepts_ranges(headers: Mapping[str, str]) -> bool:
    """Return whether a download can be resumed."""
    return headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def stated_size(headers: Mapping[str, str]) -> int | None:
    """Return the size in bytes, None where it isn't stated."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
