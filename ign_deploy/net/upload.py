"""Uploads: a file is hashed while it is sent, afresh at each attempt, and refused if it changed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ign_deploy.errors import RepositoryError
from ign_deploy.files import explain_os_error, open_regular
from ign_deploy.net.deadline import Deadline, policy_for
from ign_deploy.net.errors import (
    TransientAnswer,
    TransientFailure,
    host_of,
    raise_for_transient,
)
from ign_deploy.net.redirects import redirect_target
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.net.streams import read_body
from ign_deploy.report import Progress, Reporter

if TYPE_CHECKING:
    import requests

    from ign_deploy.net.session import Session

MAX_ANSWER = 1 << 20
"""Bytes of an upload's answer that are kept."""

_BLOCK = 1 << 20
# One ``send`` has the stall time-out for all of its bytes: small pieces suit slow lines.
_PIECE = 1 << 18
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_HINTS = {
    errno.EACCES: "give this user read access to the file.",
    errno.ENOENT: "make the file again, then upload it.",
    errno.EISDIR: "give the path of a file, not of a folder.",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to send, and what its record says it is: bytes and SHA-256 (lower-case hex)."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How an upload ended: the server's answer, or the knowledge that it has the bytes already.

    ``headers`` are looked up in any case, ``body`` is at most MAX_ANSWER bytes. When ``settled``
    there is no answer that counts: the status is 0, headers and body are empty.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    settled: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the server has what was sent."""
        return self.settled or 200 <= self.status < 300


def send_file(
    session: Session,
    method: str,
    url: str,
    *,
    source: Source,
    title: str,
    reporter: Reporter,
    progress: Progress,
    headers: Mapping[str, str] = _NO_HEADERS,
    policy: RetryPolicy | None = None,
    settle: Callable[[], bool] | None = None,
) -> Sent:
    """Send a file in constant memory, trying again from its start when that may help.

    The last piece leaves only when size and digest are right, so a server never gets a whole file
    that isn't ``source``. After each failed attempt ``settle`` tells whether the server has the
    file nevertheless (an acknowledgement that got lost); errors of it are raised. A refusal (4xx)
    is returned for the caller to judge: it may be due to an attempt of ours that did arrive. No
    redirect is followed. Raises RepositoryError for a file that changed or can't be read and for
    a redirect, NetworkError when it can't be sent.
    """
    rules = policy_for(source.size, policy)
    deadline = Deadline(rules, url=url)

    def attempt() -> Sent:
        with _opened(source) as descriptor:
            body = _FileBody(descriptor, source=source, progress=progress, deadline=deadline)
            sent: Sent | None = None
            try:
                # requests would send an empty iterable in chunks.
                data = body if source.size else b"".join(body)
                response = _exchange(session, method, url, data=data, headers=headers)
                if response.status_code < 300 and body.sent != source.size:
                    response.close()
                    raise TransientFailure(
                        f"{host_of(url)} answered {response.status_code} to {body.sent} of "
                        f"{source.size} bytes",
                        hint="look at the server's log.",
                    )
                sent = _answer(response, deadline=deadline)
            finally:
                if sent is None or not sent.accepted:
                    progress(-body.sent)
        return sent

    outcome = retrying(_settling(attempt, settle), title=title, reporter=reporter, policy=rules)
    if outcome.settled:
        progress(source.size)
    return outcome


def send_bytes(
    session: Session,
    method: str,
    url: str,
    *,
    data: bytes,
    title: str,
    reporter: Reporter,
    headers: Mapping[str, str] = _NO_HEADERS,
    policy: RetryPolicy | None = None,
    settle: Callable[[], bool] | None = None,
) -> Sent:
    """Send a small body, or none (``b""``): the rules are those of ``send_file``."""
    rules = policy_for(len(data), policy)
    deadline = Deadline(rules, url=url)

    def attempt() -> Sent:
        deadline.check()
        response = _exchange(session, method, url, data=data, headers=headers)
        return _answer(response, deadline=deadline)

    return retrying(_settling(attempt, settle), title=title, reporter=reporter, policy=rules)


class _FileBody:
    """A request's body with a known length, to be iterated once.

    It has no ``read`` and no ``seek``: nothing below can rewind it and send half of it.
    """

    def __init__(
        self, descriptor: int, *, source: Source, progress: Progress, deadline: Deadline
    ) -> None:
        self.sent = 0
        self._descriptor = descriptor
        self._source = source
        self._progress = progress
        self._deadline = deadline
        self._pieces = self._read()

    def __len__(self) -> int:
        return self._source.size

    def __iter__(self) -> Iterator[memoryview]:
        return self._pieces

    def _read(self) -> Iterator[memoryview]:
        digest = hashlib.sha256()
        size = 0
        view = memoryview(bytearray(_BLOCK))
        if not self._source.size:
            self._compare(0, digest.hexdigest())
        while size < self._source.size:
            with _explained(self._source.path):
                count = os.readv(self._descriptor, [view[: min(_BLOCK, self._source.size - size)]])
            digest.update(view[:count])
            size += count
            if size == self._source.size or not count:
                self._compare(size, digest.hexdigest())
            for start in range(0, count, _PIECE):
                self._deadline.check()
                piece = view[start : min(start + _PIECE, count)]
                yield piece
                self.sent += len(piece)
                self._progress(len(piece))

    def _compare(self, size: int, digest: str) -> None:
        with _explained(self._source.path):
            actual = max(size, os.fstat(self._descriptor).st_size)
        if (actual, digest) != (self._source.size, self._source.sha256):
            raise _changed(self._source, f"read {actual} bytes with {digest}")


@contextmanager
def _opened(source: Source) -> Iterator[int]:
    """Open a file that has the right size, by descriptor; a pipe in its place doesn't hang us."""
    with _explained(source.path):
        descriptor = open_regular(source.path, follow_links=True)
    try:
        size = os.fstat(descriptor).st_size
        if size != source.size:
            raise _changed(source, f"found {size} bytes")
        yield descriptor
    finally:
        os.close(descriptor)


def _explained(path: Path) -> AbstractContextManager[None]:
    """Turn an OSError of the file into a RepositoryError: it must not count as the network's."""
    return explain_os_error(
        "read", path, error=RepositoryError, hint="check the disk, and run again.", hints=_HINTS
    )


def _changed(source: Source, observed: str) -> RepositoryError:
    return RepositoryError(
        f"{source.path} changed while it was being published: expected {source.size} bytes with "
        f"SHA-256 {source.sha256}, {observed}",
        hint="run again when nothing else writes the file; nothing was published.",
    )


def _settling(attempt: Callable[[], Sent], settle: Callable[[], bool] | None) -> Callable[[], Sent]:
    """Let an attempt that failed for now end well, if the server has the bytes nevertheless."""

    def settled_attempt() -> Sent:
        try:
            return attempt()
        except (TransientAnswer, TransientFailure):
            if settle is not None and settle():
                return Sent(0, settled=True)
            raise

    return settled_attempt


def _exchange(
    session: Session, method: str, url: str, *, data: object, headers: Mapping[str, str]
) -> requests.Response:
    # While a body is sent, the time-out for connecting is in force, not that for reading.
    patience = (session.stall, session.stall)
    return session.request(
        method, url, data=data, headers=dict(headers), stream=True, timeout=patience
    )


def _answer(response: requests.Response, *, deadline: Deadline) -> Sent:
    body = read_body(response, limit=MAX_ANSWER, deadline=deadline)
    text = body[:4096].decode("utf-8", errors="replace")
    raise_for_transient(response, now=datetime.now(UTC), text=text)
    target = redirect_target(response)
    if target is not None:
        scheme, netloc = urlsplit(target)[:2]
        location = f"{scheme}://{netloc.rpartition('@')[2]}"
        raise RepositoryError(
            f"{host_of(response.url)} redirects uploads to {location}, and they aren't sent on",
            hint=f"check that {location} may have the module and the credentials, then use "
            "its URL.",
        )
    return Sent(response.status_code, response.headers, body)
