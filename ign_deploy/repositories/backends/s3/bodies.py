"""What is sent: pieces that are read once, in their order, and can't be rewound by anybody."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ign_deploy.errors import RepositoryError
from ign_deploy.files import explain_os_error, open_regular
from ign_deploy.net.retry import Deadline
from ign_deploy.report import Progress
from ign_deploy.repositories.record import ReleaseFile

_BLOCK = 1 << 18
_HINTS = {
    errno.EACCES: "give this user read access to the file.",
    errno.ENOENT: "make the file again, then upload it.",
    errno.EISDIR: "give the path of a file, not of a folder.",
}


class OpenSource:
    """A local file that is to be what its record says, read from a descriptor of ours."""

    def __init__(self, descriptor: int, *, path: Path, expected: ReleaseFile) -> None:
        self.expected = expected
        self._descriptor = descriptor
        self._path = path

    def read_into(self, view: memoryview, *, offset: int) -> int:
        """Fill ``view`` from the offset; returns how many bytes there were."""
        done = 0
        with _explained(self._path):
            while done < len(view):
                count = os.preadv(self._descriptor, [view[done:]], offset + done)
                if not count:
                    break
                done += count
        return done

    @property
    def whole(self) -> Span:
        """All of the file, as its record has it."""
        return Span(0, self.expected.size, self.expected.sha256)

    def hash_span(self, offset: int, size: int, *, whole: hashlib._Hash) -> Span:
        """Read a part of the file; ``whole`` is fed with it too."""
        digest = hashlib.sha256()
        block = memoryview(bytearray(min(size, _BLOCK)))
        done = 0
        while done < size:
            count = self.read_into(block[: min(_BLOCK, size - done)], offset=offset + done)
            if not count:
                break
            digest.update(block[:count])
            whole.update(block[:count])
            done += count
        return Span(offset, done, digest.hexdigest())

    def compare(self, span: Span, size: int, digest: str) -> None:
        """Raise RepositoryError unless these are the span's, and the file has its size."""
        with _explained(self._path):
            actual = os.fstat(self._descriptor).st_size
        if (actual, size, digest) != (self.expected.size, span.size, span.sha256):
            observed = max(actual, size) if span == self.whole else actual
            raise self.changed(f"read {observed} bytes with {digest}")

    def changed(self, observed: str) -> RepositoryError:
        """Return the error for a file that isn't what its record says."""
        return RepositoryError(
            f"{self._path} changed while it was being published: expected {self.expected.size} "
            f"bytes with SHA-256 {self.expected.sha256}, {observed}",
            hint="run again when nothing else writes the file; nothing was published.",
        )


@contextmanager
def open_source(path: Path, *, expected: ReleaseFile) -> Iterator[OpenSource]:
    """Open a file of the right size; a pipe in its place doesn't hang us.

    Raises RepositoryError when it can't be read or has another size.
    """
    with _explained(path):
        descriptor = open_regular(path, follow_links=True)
    try:
        source = OpenSource(descriptor, path=path, expected=expected)
        size = os.fstat(descriptor).st_size
        if size != expected.size:
            raise source.changed(f"found {size} bytes")
        yield source
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file, or all of it: where it begins, its bytes, and their SHA-256 in hex."""

    offset: int
    size: int
    sha256: str


class Body:
    """What botocore sends of a file, hashed on its way; the last block leaves only if it's right.

    It has no ``seek``: a request that broke needs a body of its own. ``sent`` counts the bytes
    that were handed over, as ``progress`` does.
    """

    def __init__(
        self, source: OpenSource, span: Span, *, progress: Progress, deadline: Deadline
    ) -> None:
        self.sent = 0
        self._source = source
        self._span = span
        self._progress = progress
        self._deadline = deadline
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""
        self._deadline.check()
        left = self._span.size - self.sent
        block = bytearray(min(_BLOCK if size < 0 else size, _BLOCK, left))
        if not block:
            return b""
        count = self._source.read_into(memoryview(block), offset=self._span.offset + self.sent)
        self._digest.update(memoryview(block)[:count])
        if count < len(block) or count == left:
            self._source.compare(self._span, self.sent + count, self._digest.hexdigest())
        self.sent += count
        self._progress(count)
        return bytes(block)

    def take_back(self) -> None:
        """Take back the progress: what was sent didn't arrive."""
        self._progress(-self.sent)
        self.sent = 0


def checksum_of(data: bytes) -> str:
    """Return the SHA-256 as S3 wants it: Base64."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def as_checksum(sha256: str) -> str:
    """Return the Base64 of a SHA-256 in hex."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _explained(path: Path) -> AbstractContextManager[None]:
    """Turn an OSError of the file into a RepositoryError: it must not count as the network's."""
    return explain_os_error(
        "read", path, error=RepositoryError, hint="check the disk, and run again.", hints=_HINTS
    )
