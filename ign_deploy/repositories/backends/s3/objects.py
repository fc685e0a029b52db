"""The objects of a repository in a bucket."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.response import NO_HEADERS, Response
from ign_deploy.net.retry import retrying
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.backends.s3.client import S3Client
from ign_deploy.repositories.backends.s3.probe import ONCE, WAIT, probe_s3
from ign_deploy.repositories.backends.s3.upload import upload_object
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}
_MAX_ERROR = 1 << 16


class S3ObjectStore:
    """See ``ObjectStore``; objects are below the prefix of the client's bucket."""

    def __init__(self, client: S3Client, *, wait_policy: WaitPolicy) -> None:
        self._client = client
        self._wait_policy = wait_policy
        self._wait = min(WAIT, wait_policy.grace)
        self._claims = OrderedClaims(client, wait=self._wait, sleep=wait_policy.sleep)
        self._lock = threading.Lock()
        self._found: Capabilities | None = None
        self._tags: dict[str, tuple[bytes, str]] = {}

    def exists(self) -> bool:
        """See ``ObjectStore.exists``; a bucket that isn't there raises."""
        self._client.list_page(prefix=self._client.bucket.key(""), **{"max-keys": "1"})
        return True

    def probe(self) -> Capabilities:
        """See ``ObjectStore.probe``; the store is probed once."""
        with self._lock:
            if self._found is None:
                self.exists()
                self._found = probe_s3(self._client)
            return self._found

    def compares(self) -> bool:
        """See ``ObjectStore.compares``."""
        return self.probe().compare_and_swap

    def now(self) -> datetime:
        """See ``ObjectStore.now``."""
        return self._client.now()

    def url(self, path: str) -> str:
        """See ``ObjectStore.url``."""
        return self._client.bucket.url(path)

    def get(self, path: str, *, limit: int) -> Document | None:
        """See ``ObjectStore.get``."""
        response = self._client.call(
            "GetObject", path, limit=max(limit + 1, _MAX_ERROR), expect={"NoSuchKey"}
        )
        if not response.ok:
            return None
        return Document(response.body[: limit + 1], response.headers.get("ETag", ""))

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""
        found, condition = self.probe(), NO_HEADERS
        if replaces is None and found.create_once:
            condition = {"If-None-Match": "*"}
        elif replaces is not None and found.compare_and_swap:
            tag = replaces.tag or self._tag_of(path, replaces.data)
            if not tag:
                return False
            condition = {"If-Match": tag}
        sent = self._send_small(path, data, condition)
        if sent.ok:
            self._tags[path] = (_digest(data), sent.headers.get("ETag", ""))
        # Ours, if only the response to an earlier attempt got lost.
        return sent.ok or self._holds(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``."""
        if not self.probe().create_once:
            return self._claims.claim(path, data)
        begin = self._wait_policy.clock()
        sent = self._send_small(path, data, {"If-None-Match": "*"})
        is_versioned = "x-amz-version-id" in sent.headers
        if not sent.ok or not is_versioned or ".amazonaws.com" in self._client.bucket.host:
            return sent.ok
        # In a bucket with versions, Ceph lets several writers at once create an object: the last
        # one has it. All have written by the end of the wait.
        if self._wait_policy.clock() - begin > self._wait:
            raise RepositoryError(
                "the store took so long for a claim that another job may have claimed the version",
                hint="run again when the store is less busy; nothing was published.",
            )
        self._wait_policy.sleep(self._wait)
        return self._holds(path, data)

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        holder = path if self.probe().create_once else self._claims.oldest(path)
        found = None if holder is None else self.get(holder, limit=MAX_CLAIM_SIZE)
        return None if found is None else found.data

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""
        self.probe()  # finds out whether the store takes checksums
        upload_object(self._client, path, source, expected=expected, progress=progress)

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """See ``ObjectStore.receive``."""
        try:
            url = self._client.bucket.request_url(path)
            self._client.download(url, expected, to=to, progress=progress)
        except RepositoryError as problem:
            # Says which right is missing.
            if self._client.call("HeadObject", path, expect={404}).ok:
                raise
            raise NotInRepository(
                f"{self.url(path)} is missing",
                hint="restore the file from a backup: what is published must stay.",
            ) from problem

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``."""
        return [Name(each.name, each.is_folder) for each in self._client.entries(folder)]

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        if self.probe().create_once or not self._claims.remove(path):
            self._client.call("DeleteObject", path, expect={"NoSuchKey"})

    def _tag_of(self, path: str, data: bytes) -> str:
        """Return the tag of what this run has written; empty for anything else."""
        digest, tag = self._tags.get(path, (b"", ""))
        return tag if digest == _digest(data) else ""

    def _send_small(self, path: str, data: bytes, condition: Mapping[str, str]) -> Response:
        kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        fails: list[int | str] = [412] if condition else []
        fails += ["NoSuchKey"] if "If-Match" in condition else []
        headers = {"Content-Type": kind, **condition}
        return self._client.call("PutObject", path, body=data, headers=headers, expect=fails)

    def _holds(self, path: str, data: bytes) -> bool:
        found = self.get(path, limit=MAX_DOCUMENT_SIZE)
        return found is not None and found.data == data


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class OrderedClaims:
    """Claims where the store can't create an object only once: the oldest of several wins.

    Every writer writes an object of its own below the claim's path, waits, and lists them: the
    oldest, by the store's own time, is the claim. A writer that was suspended comes later and has a
    later one, so its delay does no harm. What has to hold is that the store lists within the
    ``wait`` (in seconds) what it has accepted, and that its servers' clocks differ by less; S3's
    times are whole seconds.
    """

    def __init__(self, client: S3Client, *, wait: float, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._wait = wait
        self._sleep = sleep

    def claim(self, path: str, data: bytes) -> bool:
        """Write the data unless there is a claim; of several writers one gets True.

        False also when in doubt; ``oldest`` then says whose claim it is.
        """
        if self.oldest(path) is not None:
            return False
        ours = self._write(path, data)
        self._sleep(self._wait)
        return self.oldest(path) in ours

    def oldest(self, path: str) -> str | None:
        """Return the path of the oldest object; None without one."""
        return min(self._all(path), default=(None, None))[1]

    def remove(self, path: str) -> bool:
        """Delete all of them; return whether there was one."""
        found = self._all(path)
        for _, each in found:
            self._client.call("DeleteObject", each)
        return bool(found)

    def _write(self, path: str, data: bytes) -> list[str]:
        """Write an object, at each attempt another: one that arrives late must not replace ours."""
        written: list[str] = []

        def attempt() -> None:
            written.append(f"{path}/{secrets.token_hex(16)}")
            self._client.call("PutObject", written[-1], body=data, retry=ONCE)

        retrying(attempt, title="claiming the version", reporter=self._client.reporter)
        return written

    def _all(self, path: str) -> list[tuple[str, str]]:
        return [
            (each.modified, f"{path}/{each.name}")
            for each in self._client.entries(path)
            if not each.is_folder
        ]
