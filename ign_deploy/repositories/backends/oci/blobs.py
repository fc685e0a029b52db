"""Blobs: sent only if the registry doesn't have them, each attempt in an upload session anew."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.net.sending import Sent, Source
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.oci.client import Client, upload_address
from ign_deploy.repositories.backends.oci.errors import error_codes
from ign_deploy.repositories.backends.oci.manifests import EMPTY, Descriptor, digest_of
from ign_deploy.repositories.record import ReleaseFile

# A session that is gone or out of step, or bytes that were changed on the way: begin anew.
_AGAIN = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"})
_MAX_ERROR = 64 << 10
_OPAQUE = {"Content-Type": "application/octet-stream"}


class Blobs:
    """The blobs of one repository."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known = _Memory()
        self._has_empty = False

    def url(self, digest: str) -> str:
        """Return a blob's address."""
        return f"{self._client.location.root}/blobs/{digest}"

    def read(self, layer: Descriptor, *, limit: int, doing: str) -> bytes | None:
        """Return a small blob, compared with its digest; None when it is gone.

        Of one that is longer than ``limit``, its first ``limit`` + 1 bytes. Blobs never change, so
        the last ones are remembered.
        """
        if (known := self._known.get(layer.digest)) is not None:
            return known
        if layer.size > limit:
            return b" " * (limit + 1)
        answer = self._client.ask("GET", self.url(layer.digest), limit=limit, doing=doing)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._client.refused(answer, doing=doing)
        if digest_of(answer.body) != layer.digest:
            raise RepositoryError(
                f"{doing}: {self._client.location.host} sent {len(answer.body)} bytes that aren't "
                f"those of {layer.digest}",
                hint="run again; if it stays so, look at the registry's disk and log.",
            )
        self._known.put(layer.digest, answer.body)
        return answer.body

    def receive(
        self, layer: Descriptor, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Download a file; raises NotInRepository when it is gone."""
        try:
            url = self.url(layer.digest)
            self._client.download(url, to=to, expected=expected, progress=progress)
        except RepositoryError as problem:
            if self._holds(layer.digest, layer.size) is None:
                raise NotInRepository(problem.message, hint=problem.hint) from problem
            raise

    def send(self, path: Path, *, expected: ReleaseFile, doing: str, progress: Progress) -> None:
        """Upload a file, unless the registry has it."""
        digest = f"sha256:{expected.sha256}"
        if self._holds(digest, expected.size):
            progress(expected.size)
            return
        source = Source(path, expected.size, expected.sha256)
        policy = RetryPolicy.for_size(expected.size)

        def put(url: str) -> Sent:
            once = RetryPolicy(attempts=1, deadline=policy.deadline)
            return self._client.upload(url, source, doing=doing, progress=progress, policy=once)

        settled = self._upload(digest, expected.size, put=put, doing=doing, policy=policy)
        if settled:
            progress(expected.size)

    def put(self, data: bytes, *, doing: str) -> None:
        """Upload a small blob of ours."""
        digest = digest_of(data)

        def put(url: str) -> Sent:
            once = RetryPolicy(attempts=1)
            return self._client.change(
                "PUT", url, data=data, doing=doing, headers=_OPAQUE, policy=once
            )

        self._upload(
            digest, len(data), put=put, doing=doing, policy=RetryPolicy.for_size(len(data))
        )
        self._known.put(digest, data)

    def put_empty(self) -> None:
        """Upload the configuration that says nothing, which every manifest of ours names."""
        if not self._has_empty:
            if not self._holds(digest_of(EMPTY), len(EMPTY)):
                self.put(EMPTY, doing="preparing the repository")
            self._has_empty = True

    def begin(self, *, doing: str) -> Sent:
        """Ask for an upload session; the answer may be a refusal."""
        return self._client.change(
            "POST", f"{self._client.location.root}/blobs/uploads/", doing=doing
        )

    def session(self, begun: Sent) -> str:
        """Return the address of a session that has begun."""
        location = self._client.location
        header = begun.headers.get("Location", "")
        return upload_address(header, base=f"{location.root}/blobs/uploads/", location=location)

    def _upload(
        self,
        digest: str,
        size: int,
        *,
        put: Callable[[str], Sent],
        doing: str,
        policy: RetryPolicy,
    ) -> bool:
        """Upload in a new session per attempt; True if it only turned out to be there.

        A session that broke off can't be gone on with in one piece.
        """

        def attempt() -> bool:
            begun = self.begin(doing=doing)
            if begun.status not in {201, 202}:
                raise self._client.refused(begun, doing=doing)
            address = self.session(begun)
            joint = "&" if "?" in address else "?"
            try:
                sent = put(f"{address}{joint}digest={quote(digest, safe='')}")
            except (TransientResponse, TransientFailure):
                if self._holds(digest, size):
                    return True
                raise
            self._judge(sent, digest, size, doing=doing)
            return False

        return retrying(attempt, title=doing, reporter=self._client.reporter, policy=policy)

    def _judge(self, sent: Sent, digest: str, size: int, *, doing: str) -> None:
        if not sent.accepted:
            if sent.status == 416 or _AGAIN & set(error_codes(sent.body)):
                raise TransientResponse(
                    f"{self._client.location.host} answered {sent.status} in the middle of an "
                    "upload",
                    hint="run again; if it stays so, look at the registry's log and disk.",
                )
            raise self._client.refused(sent, doing=doing)
        stated = sent.headers.get("Docker-Content-Digest", "")
        if stated != digest and not (not stated and self._holds(digest, size)):
            raise RepositoryError(
                f"{doing}: {self._client.location.host} states the digest {stated[:80]!a}, "
                f"expected {digest}",
                hint="run again; if it stays so, look at the registry's log and disk.",
            )

    def _holds(self, digest: str, size: int) -> bool | None:
        """Tell whether the registry has a blob of that size; None when it has none."""
        doing = "looking for what is there already"
        answer = self._client.ask("HEAD", self.url(digest), limit=_MAX_ERROR, doing=doing)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._client.refused(answer, doing=doing)
        return answer.headers.get("Content-Length", str(size)) == str(size)


class _Memory:
    """The last small blobs, by digest."""

    _MOST = 16
    _LONGEST = 1 << 20

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: OrderedDict[str, bytes] = OrderedDict()

    def get(self, digest: str) -> bytes | None:
        with self._lock:
            return self._blobs.get(digest)

    def put(self, digest: str, data: bytes) -> None:
        if len(data) > self._LONGEST:
            return
        with self._lock:
            self._blobs[digest] = data
            self._blobs.move_to_end(digest)
            while len(self._blobs) > self._MOST:
                self._blobs.popitem(last=False)
