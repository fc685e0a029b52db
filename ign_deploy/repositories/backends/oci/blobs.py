"""Blobs: sent only if the registry doesn't have them, each attempt in a new upload session."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

from ign_deploy.errors import ConfigurationError, NotInRepository, RepositoryError
from ign_deploy.net.credentials import is_this_machine, leads_inside, origin
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.location import OciLocation, error_codes
from ign_deploy.repositories.backends.oci.manifests import EMPTY, Descriptor, digest_of
from ign_deploy.repositories.backends.oci.resumed import ResumedUpload
from ign_deploy.repositories.record import ReleaseFile

# A session that is gone or out of step, or bytes that were changed on the way: start again.
_AGAIN = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"})
_OPAQUE = {"Content-Type": "application/octet-stream"}
_ON_THEIR_WAY = 16 << 20
RESUMABLE = 32 << 20
"""Bytes from which on an upload that broke off is continued rather than begun again."""
_CHECK_REGISTRY = "run again; if it persists, check the registry's log and disk."


class Blobs:
    """The blobs of one repository."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._known = _Memory()
        self._has_empty = False

    def url(self, digest: str) -> str:
        """Return a blob's path in the repository."""
        return f"/blobs/{digest}"

    def read(self, layer: Descriptor, *, limit: int, title: str) -> bytes | None:
        """Return a small blob, compared with its digest; None when it is gone.

        Of one that is longer than ``limit``, its first ``limit`` + 1 bytes. Blobs never change, so
        the last ones are remembered.
        """
        if (known := self._known.get(layer.digest)) is not None:
            return known
        if layer.size > limit:
            return b" " * (limit + 1)
        if (content := layer.content) is not None:
            return content
        response = self._client.request(
            "GET", self.url(layer.digest), title=title, limit=limit, expect={404}
        )
        if not response.ok:
            return None
        if digest_of(response.body) != layer.digest:
            raise response.failure(
                f"{response.host} sent {len(response.body)} bytes that aren't those of "
                f"{layer.digest}",
                hint=_CHECK_REGISTRY,
            )
        self._known.put(layer.digest, response.body)
        return response.body

    def receive(
        self, layer: Descriptor, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """Download a file; raises NotInRepository when it is gone."""
        try:
            self._client.download(self.url(layer.digest), expected, to=to, progress=progress)
        except RepositoryError as problem:
            if self._holds(layer.digest, layer.size) is None:
                raise NotInRepository(problem.message, hint=problem.hint) from problem
            raise

    def send(self, path: Path, *, expected: ReleaseFile, title: str, progress: Progress) -> None:
        """Upload a file, unless the registry has it."""
        digest = f"sha256:{expected.sha256}"
        if self._holds(digest, expected.size):
            progress(expected.size)
            return
        source = UploadSource(path, expected.size, expected.sha256)
        furthest = _Furthest(progress)

        def put(url: str, once: RetryPolicy) -> Response:
            return self._client.upload(
                "PUT", url, source=source, title=title, progress=furthest, retry=once,
                confirm=lambda: bool(self._holds(digest, expected.size)), expect=ANY_STATUS,
            )  # fmt: skip

        resumed = ResumedUpload(
            self._client, source, title, furthest, lambda: self._begun(title), self.session
        )
        self._upload(
            digest, expected.size, put=put, title=title, resumed=resumed,
            reached=lambda: max(resumed.offset, furthest.arrived),
        )  # fmt: skip

    def put(self, data: bytes, *, title: str) -> None:
        """Upload a small blob of ours."""
        digest = digest_of(data)

        def put(url: str, once: RetryPolicy) -> Response:
            return self._client.request(
                "PUT", url, title=title, body=data, headers=_OPAQUE, retry=once,
                confirm=lambda: bool(self._holds(digest, len(data))), expect=ANY_STATUS,
            )  # fmt: skip

        self._upload(digest, len(data), put=put, title=title)
        self._known.put(digest, data)

    def put_empty(self) -> None:
        """Upload the configuration that says nothing, which every manifest of ours names."""
        if not self._has_empty:
            if not self._holds(digest_of(EMPTY), len(EMPTY)):
                self.put(EMPTY, title="preparing the repository")
            self._has_empty = True

    def begin(self, *, title: str) -> Response:
        """Request an upload session; the response may be a rejection."""
        return self._client.request("POST", "/blobs/uploads/", title=title, expect=ANY_STATUS)

    def session(self, begun: Response) -> str:
        """Return the address of a session that has begun."""
        location = self._client.location
        header = begun.headers.get("Location", "")
        return upload_address(header, base=f"{location.root}/blobs/uploads/", location=location)

    def _upload(
        self,
        digest: str,
        size: int,
        *,
        put: Callable[[str, RetryPolicy], Response],
        title: str,
        resumed: ResumedUpload | None = None,
        reached: Callable[[], int] = lambda: 0,
    ) -> None:
        """Upload in one request; a large file that broke off, then in a session to be continued."""
        policy = RetryPolicy.for_size(size)
        once = RetryPolicy(attempts=1, deadline=policy.deadline)
        is_first = True

        def attempt() -> None:
            nonlocal is_first
            was_first, is_first = is_first, False
            if was_first or resumed is None or resumed.is_refused or size < RESUMABLE:
                sent = put(_with_digest(self._begun(title), digest), once)
            else:
                sent = self._end(resumed, digest, once)
            if not sent.confirmed:
                self._judge(sent, digest, size)

        retrying(
            attempt, title=title, reporter=self._client.reporter, policy=policy,
            reached=reached,
        )  # fmt: skip

    def _begun(self, title: str) -> str:
        begun = self.begin(title=title)
        if begun.status not in {201, 202}:
            raise self._client.error_for_response(begun)
        return self.session(begun)

    def _end(self, resumed: ResumedUpload, digest: str, once: RetryPolicy) -> Response:
        size = resumed.source.size
        address = resumed.fill(once)
        is_done = False
        try:
            sent = self._client.request(
                "PUT", _with_digest(address, digest), title=resumed.title, headers=_OPAQUE,
                retry=once, confirm=lambda: bool(self._holds(digest, size)), expect=ANY_STATUS,
            )  # fmt: skip
            is_done = sent.ok or sent.confirmed
        finally:
            if not is_done:
                resumed.progress(-size)
        if not is_done:
            resumed.address = ""
        return sent

    def _judge(self, sent: Response, digest: str, size: int) -> None:
        if not sent.ok:
            if sent.status == 416 or _AGAIN & set(error_codes(sent)):
                raise TransientResponse(
                    f"{sent.host} returned {sent.status} in the middle of an upload",
                    hint=_CHECK_REGISTRY,
                )
            raise self._client.error_for_response(sent)
        stated = sent.headers.get("Docker-Content-Digest", "")
        if stated != digest and not (not stated and self._holds(digest, size)):
            raise sent.failure(
                f"{sent.host} states the digest {stated[:80]!a}, expected {digest}",
                hint=_CHECK_REGISTRY,
            )

    def _holds(self, digest: str, size: int) -> bool | None:
        """Return whether the registry has a blob of that size; None when it has none."""
        response = self._client.request(
            "HEAD", self.url(digest), title="checking what is there already", expect={404}
        )
        if not response.ok:
            return None
        return response.headers.get("Content-Length", str(size)) == str(size)


def _with_digest(address: str, digest: str) -> str:
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}digest={quote(digest, safe='')}"


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


class _Furthest:
    """Progress that remembers how far an attempt got, also where the registry forgets it all."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._sent = self._most = 0

    def __call__(self, advance: int) -> None:
        """Advance, or go back after an attempt that failed."""
        self._sent += advance
        self._most = max(self._most, self._sent)
        self._progress(advance)

    @property
    def arrived(self) -> int:
        """So many bytes arrived in one attempt: others may still have been on their way."""
        return max(0, self._most - _ON_THEIR_WAY)


def upload_address(header: str, *, base: str, location: OciLocation) -> str:
    """Return where an upload continues: an untrusted ``Location``, relative or on another host.

    Raises RepositoryError for one that is less safe than the registry.
    """
    try:
        target = urljoin(base, header.strip())
        scheme, host, _ = origin(target)
        has_login = "@" in urlsplit(target).netloc
    except (ValueError, ConfigurationError):
        raise _unusable(location, "an invalid URL") from None
    old, registry, _ = origin(base)
    if has_login or not header.strip() or not target.isprintable():
        raise _unusable(location, "an invalid URL")
    if (old, scheme) == ("https", "http") and not is_this_machine(registry):
        raise _unusable(location, f"http://{host}, which isn't encrypted")
    if leads_inside(registry, host):
        raise _unusable(location, f"{host}, an address that only this machine has")
    return target


def _unusable(location: OciLocation, where: str) -> RepositoryError:
    return RepositoryError(
        f"{location.host} redirects uploads to {where}",
        hint="tell the registry that it is reached over https: let the proxy in front of it set "
        "X-Forwarded-Proto, or set the registry's own URL.",
    )
