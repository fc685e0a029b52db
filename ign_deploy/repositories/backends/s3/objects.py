"""The objects of a repository in a bucket, and a probe of what the store supports."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.backends.s3.client import S3Client
from ign_deploy.repositories.backends.s3.errors import S3Error
from ign_deploy.repositories.backends.s3.upload import upload_object
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

WAIT = 3.0
"""Seconds before the oldest claim wins."""
_ONCE = RetryPolicy(attempts=1)
_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}
_PROBE = b"ign-deploy checks whether this store supports conditional writes; you may delete this.\n"
_MAX_ERROR = 1 << 16
_UNKNOWN = frozenset({"InvalidArgument", "InvalidRequest", "NotImplemented"})
_OTHER_TAG = '"00000000000000000000000000000000"'
_NO_CONDITIONS = (
    "This store ignores or refuses conditional writes (If-None-Match). Jobs of ign-deploy that "
    "publish the same version at once are kept apart by a wait of "
    f"{WAIT:.0f} seconds, other writers are not: use a store with conditional writes, or let one "
    "job at a time publish a module."
)
_LEFTOVER = (
    "Without s3:DeleteObject, claims, removed versions and the probe below .ign-deploy/ remain in "
    "the bucket; publishing works."
)


class S3ObjectStore:
    """See ``ObjectStore``; objects are below the prefix of the client's bucket."""

    def __init__(self, client: S3Client, *, wait_policy: WaitPolicy) -> None:
        self._client = client
        wait = min(WAIT, wait_policy.grace)
        self._claims = OrderedClaims(client, wait=wait, sleep=wait_policy.sleep)
        self._lock = threading.Lock()
        self._found: Capabilities | None = None

    def probe(self) -> Capabilities:
        """See ``ObjectStore.probe``; the store is probed once."""
        with self._lock:
            if self._found is None:
                prefix = self._client.bucket.key("")
                self._client.list_page(prefix=prefix, **{"max-keys": "1"})
                self._found = self._probe_conditions()
            return self._found

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
        if replaces is None or not self.probe().compare_and_swap:
            return self._write(path, data)
        # Ours, if only the response to an earlier attempt got lost.
        return self._write(path, data, {"If-Match": replaces.tag}) or self._holds(path, data)

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``."""
        if self.probe().create_once:
            return self._write(path, data, {"If-None-Match": "*"})
        return self._claims.claim(path, data)

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        holder = path if self.probe().create_once else self._claims.oldest(path)
        found = None if holder is None else self.get(holder, limit=MAX_CLAIM_SIZE)
        return None if found is None else found.data

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""
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

    def _probe_conditions(self) -> Capabilities:
        """Write an object twice on condition that it isn't there, then on another condition.

        A store that ignores a condition, or doesn't know it, isn't trusted with any.
        """
        path = f".ign-deploy/probe-{secrets.token_hex(16)}"
        once = swaps = False
        remarks, obstacle = [], ""
        try:
            if self._try_condition(path, {"If-None-Match": "*"}) != 501:
                try:
                    once = self._try_condition(path, {"If-None-Match": "*"}) == 412
                    swaps = once and self._try_condition(path, {"If-Match": _OTHER_TAG}) == 412
                finally:
                    deleted = self._client.call("DeleteObject", path, expect=ANY_STATUS)
                    remarks = [] if deleted.ok else [_LEFTOVER]
            remarks += [] if once else [_NO_CONDITIONS]
        except S3Error as problem:
            if problem.status != 403:
                raise
            obstacle = problem.message
        return Capabilities(
            location=self.url("").rstrip("/"),
            writable=not obstacle,
            obstacle=obstacle,
            create_once=once and not obstacle,
            compare_and_swap=swaps and not obstacle,
            server_digest=True,
            resume=True,
            remarks=tuple(remarks),
        )

    def _try_condition(self, path: str, condition: Mapping[str, str]) -> int:
        """Return the status of a conditional write.

        A 412 to the first may be due to an attempt whose response got lost: then it is honoured.
        """
        sent = self._client.call(
            "PutObject", path, body=_PROBE, headers=condition, expect={412, 501, *_UNKNOWN}
        )
        return sent.status if sent.ok or sent.status == 412 else 501

    def _write(self, path: str, data: bytes, condition: Mapping[str, str] = NO_HEADERS) -> bool:
        """Write an object; return whether the condition held."""
        kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        fails: list[int | str] = [412] if condition else []
        fails += ["NoSuchKey"] if "If-Match" in condition else []
        headers = {"Content-Type": kind, **condition}
        return self._client.call("PutObject", path, body=data, headers=headers, expect=fails).ok

    def _holds(self, path: str, data: bytes) -> bool:
        found = self.get(path, limit=MAX_DOCUMENT_SIZE)
        return found is not None and found.data == data


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
            self._client.call("PutObject", written[-1], body=data, retry=_ONCE)

        retrying(attempt, title="claiming the version", reporter=self._client.reporter)
        return written

    def _all(self, path: str) -> list[tuple[str, str]]:
        return [
            (each.modified, f"{path}/{each.name}")
            for each in self._client.entries(path)
            if not each.is_folder
        ]
