"""Uploads: a file is hashed while it is sent, afresh at each attempt, and refused if it changed."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import IgnDeployError
from ign_deploy.files import explain_os_error, open_regular
from ign_deploy.net.errors import TransientFailure
from ign_deploy.report import Progress

if TYPE_CHECKING:
    from ign_deploy.net.response import Response
    from ign_deploy.net.retry import Deadline

_BLOCK = 1 << 20
# One ``send`` has the stall time-out for all of its bytes: small pieces suit slow lines.
_PIECE = 1 << 18
_HINTS = {
    errno.EACCES: "give this user read access to the file.",
    errno.ENOENT: "build the file again, then upload it.",
    errno.EISDIR: "give the path of a file, not of a folder.",
}


@dataclass(frozen=True, slots=True)
class UploadSource:
    """What to send of a file: how many bytes with which SHA-256 (lower-case hex).

    For a part of a file, ``offset`` is where it begins, and ``total`` the size of the whole file.
    ``as_base64`` sends its bytes as Base64 text.
    """

    path: Path
    size: int
    sha256: str
    offset: int = 0
    total: int | None = None
    as_base64: bool = False

    @property
    def body_size(self) -> int:
        """The number of bytes that are sent."""
        return 4 * -(-self.size // 3) if self.as_base64 else self.size

    @property
    def file_size(self) -> int:
        """The size that the whole file must have."""
        return self.size if self.total is None else self.total


def split_source(
    source: UploadSource, *, length: int, error: type[IgnDeployError]
) -> list[UploadSource]:
    """Return a file as parts of so many bytes, the last one shorter.

    Raises ``error`` unless the file, read once for it, is ``source``.
    """
    parts: list[UploadSource] = []
    whole = hashlib.sha256()
    with _opened(source, error) as descriptor, _explained(source.path, error):
        for offset in range(0, source.size, length):
            part, end = hashlib.sha256(), min(offset + length, source.size)
            for start in range(offset, end, _BLOCK):
                block = os.pread(descriptor, min(_BLOCK, end - start), start)
                part.update(block)
                whole.update(block)
            size = end - offset
            parts.append(
                UploadSource(source.path, size, part.hexdigest(), offset, total=source.size)
            )
    if whole.hexdigest() != source.sha256:
        raise _changed(source, f"read {source.size} bytes with {whole.hexdigest()}", error)
    return parts


def rest_of(source: UploadSource, offset: int, *, error: type[IgnDeployError]) -> UploadSource:
    """Return a file from ``offset`` on, which is read once for its digest."""
    if not offset:
        return source
    digest = hashlib.sha256()
    with _opened(source, error) as descriptor, _explained(source.path, error):
        for start in range(offset, source.size, _BLOCK):
            digest.update(os.pread(descriptor, min(_BLOCK, source.size - start), start))
    size = source.size - offset
    return UploadSource(source.path, size, digest.hexdigest(), offset, total=source.size)


def send_file(
    send: Callable[[object], Response],
    *,
    source: UploadSource,
    progress: Progress,
    deadline: Deadline,
    error: type[IgnDeployError],
) -> Response:
    """Send a file with one request; ``send`` makes it with the body that it is given.

    Raises ``error`` for a file that changed or can't be read, TransientFailure for a success that
    came before the server had all of it. Progress is taken back unless the server has the file.
    """
    accepted = False
    with _opened(source, error) as descriptor:
        body = _FileBody(
            descriptor, source=source, progress=progress, deadline=deadline, error=error
        )
        try:
            # requests would send an empty iterable in chunks.
            response = send(body if source.size else b"".join(body))
            if response.ok and body.sent != source.body_size:
                raise TransientFailure(
                    f"{response.host} returned {response.status} after {body.sent} of "
                    f"{source.body_size} bytes",
                    hint="check the server's log.",
                )
            accepted = response.ok
        finally:
            if not accepted:
                progress(-body.sent)
    return response


class _FileBody:
    """A request's body with a known length, to be iterated once.

    It has no ``read`` and no ``seek``: nothing below can rewind it and send half of it.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        source: UploadSource,
        progress: Progress,
        deadline: Deadline,
        error: type[IgnDeployError],
    ) -> None:
        self.sent = 0
        self._descriptor = descriptor
        self._source = source
        self._progress = progress
        self._deadline = deadline
        self._error = error
        self._pieces = self._read()

    def __len__(self) -> int:
        return self._source.body_size

    def __iter__(self) -> Iterator[memoryview]:
        return self._pieces

    def _read(self) -> Iterator[memoryview]:
        blocks = _checked_blocks(self._descriptor, self._source, self._error)
        for block in _encoded(blocks) if self._source.as_base64 else blocks:
            for start in range(0, len(block), _PIECE):
                self._deadline.check()
                piece = block[start : start + _PIECE]
                yield piece
                self.sent += len(piece)
                self._progress(len(piece))


def read_source(source: UploadSource, *, error: type[IgnDeployError]) -> Iterator[memoryview]:
    """Yield a file block by block; the last one only when size and digest are right.

    A block is valid until the next is requested. Raises ``error`` for a file that changed or can't
    be read.
    """
    with _opened(source, error) as descriptor:
        yield from _checked_blocks(descriptor, source, error)


def _checked_blocks(
    descriptor: int, source: UploadSource, error: type[IgnDeployError]
) -> Iterator[memoryview]:
    digest = hashlib.sha256()
    size = 0
    view = memoryview(bytearray(min(_BLOCK, source.size)))
    if not source.size:
        _compare(descriptor, source, 0, digest.hexdigest(), error)
    while size < source.size:
        with _explained(source.path, error):
            room = view[: min(_BLOCK, source.size - size)]
            count = os.preadv(descriptor, [room], source.offset + size)
        digest.update(view[:count])
        size += count
        if size == source.size or not count:
            _compare(descriptor, source, size, digest.hexdigest(), error)
        yield view[:count]


def _compare(
    descriptor: int, source: UploadSource, size: int, digest: str, error: type[IgnDeployError]
) -> None:
    with _explained(source.path, error):
        actual = os.fstat(descriptor).st_size
    is_same = size == source.size and actual == source.file_size
    if not is_same or digest != source.sha256:
        raise _changed(source, f"read {max(size, actual)} bytes with {digest}", error)


def _encoded(blocks: Iterator[memoryview]) -> Iterator[memoryview]:
    """Yield the blocks as one Base64 text, which has padding only at its end."""
    rest = b""
    for block in blocks:
        data = rest + bytes(block)
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield memoryview(base64.b64encode(data[:whole]))
    yield memoryview(base64.b64encode(rest))


@contextmanager
def _opened(source: UploadSource, error: type[IgnDeployError]) -> Iterator[int]:
    """Open a file that has the right size, by descriptor; a pipe in its place doesn't hang us."""
    with _explained(source.path, error):
        descriptor = open_regular(source.path, follow_links=True)
    try:
        size = os.fstat(descriptor).st_size
        if size != source.file_size:
            raise _changed(source, f"found {size} bytes", error)
        yield descriptor
    finally:
        os.close(descriptor)


def _explained(path: Path, error: type[IgnDeployError]) -> AbstractContextManager[None]:
    """Turn an OSError of the file into the caller's error: it must not count as the network's."""
    return explain_os_error(
        "read", path, error=error, hint="check the disk, and run again.", hints=_HINTS
    )


def _changed(source: UploadSource, observed: str, error: type[IgnDeployError]) -> IgnDeployError:
    return error(
        f"{source.path} changed while it was being sent: expected {source.size} bytes with "
        f"SHA-256 {source.sha256}, {observed}",
        hint="run again when nothing else writes the file.",
    )
