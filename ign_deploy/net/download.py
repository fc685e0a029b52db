"""Downloads: streamed, resumed where they broke, and compared with their record while received."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Protocol

from ign_deploy.errors import IgnDeployError, NetworkError, VerificationError
from ign_deploy.module.findings import error as error_finding
from ign_deploy.net.errors import TransientFailure, host_of, raise_for_transient
from ign_deploy.net.response import (
    NO_HEADERS,
    Response,
    error_for_response,
    read_body,
    read_piece,
    require_plain,
)
from ign_deploy.net.retry import Deadline, RetryPolicy, retrying
from ign_deploy.report import Progress, Reporter

if TYPE_CHECKING:
    import requests

    from ign_deploy.net.session import HttpSession

_BLOCK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")
_MAX_ERROR = 64 << 10
_GONE = frozenset({404, 410})
_RESTORE = "restore the file from a backup: what is published must stay."


class RecordedFile(Protocol):
    """What the record says of a file: bytes, and SHA-256 in lower-case hex."""

    @property
    def name(self) -> str:
        """Its name, for messages."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    @property
    def sha256(self) -> str:
        """Its digest."""


def receive(
    session: HttpSession,
    url: str,
    file: RecordedFile,
    *,
    to: BinaryIO,
    reporter: Reporter,
    progress: Progress,
    headers: Mapping[str, str] = NO_HEADERS,
    policy: RetryPolicy | None = None,
    error: type[IgnDeployError] = NetworkError,
    error_for_response: Callable[[Response], IgnDeployError] = error_for_response,
) -> None:
    """Write a file to ``to`` from its present position, in constant memory.

    If ``to`` can be read and has bytes there already, an earlier run received them: only the rest
    is requested. After a break the next attempt requests the rest, if the server says which version
    of the file it has. If that changed, or the server sends everything, ``to`` is cut back; when it
    can't seek, what it has already is compared and skipped. At most one byte beyond the size is
    read. Raises VerificationError when the bytes aren't those of the record, ``error`` when the
    file is gone or compressed, what ``error_for_response`` returns when the server refuses,
    NetworkError when it can't be reached; an OSError of ``to`` is passed on.
    """
    title = f"downloading {file.name}"
    rules = policy or RetryPolicy.for_size(file.size)
    deadline = Deadline(rules, url=url)
    reception = _Reception(file, to=to, progress=progress, deadline=deadline, host=host_of(url))

    def attempt() -> None:
        if reception.complete:
            return
        part = reception.range_headers()
        response = session.follow(
            "GET",
            url,
            headers={**headers, "Accept-Encoding": "identity", **part},
            deadline=deadline,
        )
        try:
            require_plain(response, title=title, error=error)
            if response.status_code not in ({200, 206, 416} if part else {200}):
                raise _failure(response, deadline, title, error, error_for_response)
            reception.begin(response)
            reception.take(response)
        finally:
            response.close()

    def run() -> None:
        retrying(
            attempt, title=title, reporter=reporter, policy=rules,
            reached=lambda: reception.offset,
        )  # fmt: skip

    reception.take_over()
    run()
    if reception.has_other_beginning:
        reception.start_over()
        run()
    reception.compare()


def _failure(
    raw: requests.Response,
    deadline: Deadline,
    title: str,
    error: type[IgnDeployError],
    otherwise: Callable[[Response], IgnDeployError],
) -> IgnDeployError:
    """Return the error for a response without the file; raises TransientFailure if it may pass."""
    body = read_body(raw, limit=_MAX_ERROR, deadline=deadline)
    raise_for_transient(raw, now=datetime.now(UTC), text=body.decode(errors="replace"))
    response = Response(
        raw.status_code, raw.headers, body, url=raw.url, method="GET", title=title, error=error
    )
    if response.status in _GONE:
        return response.failure(f"{response.host} returned {response.status}", hint=_RESTORE)
    return otherwise(response)


class _Reception:
    """What has been received, over all attempts.

    ``offset`` counts the bytes that the server's present version is known to begin with, and the
    digest is theirs. ``written`` bytes are in the target; it is ahead of the offset only when a
    target that can't seek has to see the same bytes again.
    """

    def __init__(
        self,
        expected: RecordedFile,
        *,
        to: BinaryIO,
        progress: Progress,
        deadline: Deadline,
        host: str,
    ) -> None:
        self._expected = expected
        self._to = to
        self._progress = progress
        self._deadline = deadline
        self._host = host
        self._start = to.tell() if to.seekable() else None
        self._offset = 0
        self._digest = hashlib.sha256()
        self._written = 0
        self._written_digest = ""
        self._validator = ""
        self._taken_over = 0

    @property
    def offset(self) -> int:
        """How many bytes there are."""
        return self._offset

    @property
    def has_other_beginning(self) -> bool:
        """Whether the file is wrong, and began with what an earlier run received."""
        return bool(self._taken_over) and not self._is_right()

    def take_over(self) -> None:
        """Begin with what the target holds already, if it can be read; what is too long is cut."""
        if self._start is None or not self._to.readable():
            return
        while piece := self._to.read(min(_BLOCK, self._expected.size - self._offset)):
            self._advance(piece)
        if self._to.read(1):
            self._to.seek(self._start + self._offset)
            self._to.truncate()
        self._written = self._taken_over = self._offset

    @property
    def complete(self) -> bool:
        """Whether all bytes are there: only the end of the response got lost."""
        return 0 < self._expected.size <= self._offset

    def range_headers(self) -> dict[str, str]:
        """Return the headers that request the rest, of this version only (RFC 9110 13.1.5).

        What an earlier run received is of no known version; the digest shows whether it fits.
        """
        part = {"Range": f"bytes={self._offset}-"}
        if self._offset and self._validator:
            return part | {"If-Range": self._validator}
        return part if self._taken_over else {}

    def begin(self, response: requests.Response) -> None:
        """Prepare for the body of a response, which is the rest or everything."""
        if response.status_code == 200:
            self.start_over()
            self._validator = _validator(response)
        elif response.status_code == 416 or not self._continues(response):
            # The file is another one by now: the next attempt requests all of it.
            self._validator, self._taken_over = "", 0
            raise TransientFailure(
                f"{self._host} can't resume {self._expected.name} at byte {self._offset}",
                hint="try again when nothing else writes the file on the server.",
            )
        else:
            self._validator = self._validator or _validator(response)

    def take(self, response: requests.Response) -> None:
        """Take the body until its end, or one byte beyond the size."""
        size = self._expected.size
        while self._offset <= size:
            room = size + 1 - self._offset
            piece = read_piece(response, limit=min(_BLOCK, room), deadline=self._deadline)
            if not piece:
                break
            self._keep(piece)
        if self._offset < size and _is_open_ended(response):
            raise TransientFailure(
                f"the connection to {self._host} ended after {self._offset} of {size} bytes",
                hint="check the network, or try again later.",
            )

    def compare(self) -> None:
        """Raise VerificationError if it isn't what was expected."""
        if not self._is_right():
            self._refuse(f"read {self._offset} bytes with {self._digest.hexdigest()}")

    def _is_right(self) -> bool:
        found = (self._offset, self._digest.hexdigest())
        return found == (self._expected.size, self._expected.sha256)

    def _keep(self, piece: bytes) -> None:
        """Hash a piece, and write what the target doesn't have yet."""
        again = piece[: max(0, self._written - self._offset)]
        fresh = piece[len(again) :]
        if again:
            self._advance(again)
            if self._offset == self._written and self._digest.hexdigest() != self._written_digest:
                self._refuse("two attempts got different bytes")
        if fresh:
            self._write(fresh)
            self._advance(fresh)
            self._written = self._offset

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            # An unbuffered target may take less than it is given.
            view = view[self._to.write(view) :]

    def _advance(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._offset += len(piece)
        self._progress(len(piece))

    def start_over(self) -> None:
        """Forget what has been received; a target that can't seek has it nevertheless."""
        self._taken_over = 0
        if not self._offset:
            return
        if self._start is not None:
            self._to.seek(self._start)
            self._to.truncate()
            self._written = 0
        elif self._offset == self._written:
            self._written_digest = self._digest.hexdigest()
        self._progress(-self._offset)
        self._offset = 0
        self._digest = hashlib.sha256()

    def _continues(self, response: requests.Response) -> bool:
        """Return whether a response is the rest of the version of which we have the beginning."""
        given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        return (
            given is not None
            and int(given[1]) == self._offset
            and (not self._validator or _validator(response) in {"", self._validator})
        )

    def _refuse(self, observed: str) -> NoReturn:
        expected = self._expected
        problem = error_finding(
            "digest-mismatch",
            f"{expected.name} isn't what its record says: expected {expected.size} bytes with "
            f"SHA-256 {expected.sha256}, {observed}",
            location=expected.name,
            hint="don't install it; restore the file from a backup, or remove the version and "
            "publish a new one; find out who changed it.",
        )
        raise VerificationError.from_findings(problem)


def _validator(response: requests.Response) -> str:
    """Return what names the file's version; a weak ETag doesn't promise the same bytes."""
    etag: str = response.headers.get("ETag", "").strip()
    if etag:
        return etag if etag.startswith('"') else ""
    modified: str = response.headers.get("Last-Modified", "").strip()
    return modified


def _is_open_ended(response: requests.Response) -> bool:
    """Return whether only the connection's end marks that of the body."""
    return "Content-Length" not in response.headers and not response.raw.chunked
