"""Bodies that are read while they are sent: a module's file as it is, or as Base64 text."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from ign_deploy.errors import DeploymentError
from ign_deploy.files import os_error_reason
from ign_deploy.report import Progress

# A multiple of three bytes becomes Base64 without padding.
_BLOCK = 3 * (64 << 10)


def no_progress(advance: int) -> None:
    """Ignore progress."""


class _Body:
    """A file that the network reads from its start; it knows its length, so it isn't chunked."""

    def __init__(self, stream: BinaryIO, size: int, progress: Progress) -> None:
        self._stream = stream
        self._size = size
        self._progress = progress

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, empty at the end."""
        block = self._stream.read(size)
        self._progress(len(block))
        return block


class _Base64Body(_Body):
    """The same file as the text of its Base64; progress counts bytes of the file."""

    def __init__(self, stream: BinaryIO, size: int, progress: Progress) -> None:
        super().__init__(stream, 4 * -(-size // 3), progress)
        self._pending = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next characters."""
        while size < 0 or len(self._pending) < size:
            block = self._stream.read(_BLOCK)
            if not block:
                break
            self._progress(len(block))
            self._pending += base64.b64encode(block)
        wanted = len(self._pending) if size < 0 else size
        text, self._pending = self._pending[:wanted], self._pending[wanted:]
        return text


@contextmanager
def opened_for_sending(
    path: Path, progress: Progress = no_progress, *, as_base64: bool = False
) -> Iterator[IO[bytes]]:
    """Open a file as the body of one request. Raises DeploymentError when it can't be read."""
    try:
        stream = path.open("rb")
    except OSError as cause:
        raise DeploymentError(
            f"cannot read {path}: {os_error_reason(cause)}", hint="check the path of the module."
        ) from cause
    with stream:
        size = os.fstat(stream.fileno()).st_size
        kind = _Base64Body if as_base64 else _Body
        yield cast("IO[bytes]", kind(stream, size, progress))
