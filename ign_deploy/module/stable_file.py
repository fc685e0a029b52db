"""A file that others may write to while we read it: each byte is the same at every reading.

What was checked and what is hashed are two readings of a large file. Neither its times nor a digest
before and after tell whether it changed in between: a process that has it mapped into its memory
changes it without changing the times, and can change it back. So every block that was read is
remembered by a keyed checksum, and any later reading of it must give the same one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ign_deploy.errors import VerificationError
from ign_deploy.files import open_regular, os_error_reason
from ign_deploy.module.findings import error
from ign_deploy.module.parallel import map_parallel, usable_processors

# Small enough to stay in the processor's cache between reading, inflating and hashing.
BLOCK = 64 * 1024


class StableFile:
    """An opened file, as it was when each of its blocks was first read. Threads may share it.

    ``size`` is that at opening. Reading raises VerificationError (``file-changed``) when a block
    differs from what was read of it before, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; raises VerificationError when that fails."""
        self.path = path
        self._descriptor = _open(path)
        self.size = os.fstat(self._descriptor).st_size
        self._checksum = _keyed_checksum()
        self._checksums: dict[int, bytes] = {}
        self._last = (-1, b"")

    def close(self) -> None:
        """Close the file; it can't be read afterwards."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def read_at(self, length: int, offset: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, fewer at the end of the file."""
        return b"".join(self.pieces(length, offset))

    def pieces(self, length: int, offset: int) -> Iterator[bytes]:
        """Yield the same bytes in pieces of at most 64 KiB."""
        end = min(offset + length, self.size)
        while offset < end:
            number, start = divmod(offset, BLOCK)
            piece = self._block(number)[start : start + end - offset]
            offset += len(piece)
            yield piece

    def read_into(self, target: memoryview, offset: int) -> None:
        """Fill ``target`` with the bytes from ``offset`` on, which must all be in the file.

        Whole blocks are read at once, and not kept in between.
        """
        first, last = -(-offset // BLOCK), (offset + len(target)) // BLOCK
        start = min(first * BLOCK - offset, len(target))
        end = max(last * BLOCK - offset, start)
        self._copy(target[:start], offset)
        if start < end:
            self._read_blocks(target[start:end], first)
        self._copy(target[end:], offset + end)

    def digest(self) -> str:
        """Return the SHA-256 of the whole file, of the very bytes that were read before."""
        digest = hashlib.sha256()
        for piece in self.pieces(self.size, 0):
            digest.update(piece)
        if os.fstat(self._descriptor).st_size != self.size:
            raise changed_error(self.path)
        return digest.hexdigest()

    def _copy(self, target: memoryview, offset: int) -> None:
        position = 0
        for piece in self.pieces(len(target), offset):
            target[position : position + len(piece)] = piece
            position += len(piece)
        if position != len(target):
            raise changed_error(self.path)

    def _read_blocks(self, target: memoryview, first: int) -> None:
        try:
            length = os.preadv(self._descriptor, [target], first * BLOCK)
        except OSError as cause:
            raise _unreadable("read", self.path, cause) from cause
        if length != len(target):
            raise changed_error(self.path)
        for number, start in enumerate(range(0, length, BLOCK), start=first):
            self._compare(number, target[start : start + BLOCK])

    def _compare(self, number: int, block: bytes | memoryview) -> None:
        checksum = self._checksum(block)
        is_whole = len(block) == min(BLOCK, self.size - number * BLOCK)
        if not is_whole or self._checksums.setdefault(number, checksum) != checksum:
            raise changed_error(self.path)

    def _block(self, number: int) -> bytes:
        last, block = self._last
        if last == number:
            return block
        try:
            block = os.pread(self._descriptor, BLOCK, number * BLOCK)
        except OSError as cause:
            raise _unreadable("read", self.path, cause) from cause
        self._compare(number, block)
        self._last = number, block
        return block


class WrittenFile:
    """A file that is written in pieces, in any order; its digest is of the very bytes written.

    Others may be able to write to it as well: it has a name in a shared folder already. Threads may
    share it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Write to an opened file; ``path`` is what it will be called."""
        self._path = path
        self._descriptor = descriptor
        self._checksum = _keyed_checksum()
        self._pieces: dict[int, tuple[int, bytes]] = {}

    def write_at(self, data: bytes | memoryview, offset: int) -> int:
        """Write all of ``data`` at ``offset``; return the offset after it."""
        if data:
            self._pieces[offset] = len(data), self._checksum(data)
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset += written
            view = view[written:]
        return offset

    def check(self) -> int:
        """Read the file back; return its size, raise VerificationError if it isn't ours."""
        pieces = self._ordered_pieces()
        # In any order, and so on all processors; only a digest needs one.
        map_parallel(self._compare, pieces, workers=usable_processors())
        return self._require_size(pieces)

    def digest(self) -> tuple[str, int]:
        """Do the same; return SHA-256 and size."""
        digest, pieces = hashlib.sha256(), self._ordered_pieces()
        for piece in pieces:
            digest.update(self._read_back(piece))
        return digest.hexdigest(), self._require_size(pieces)

    def _ordered_pieces(self) -> list[tuple[int, int, bytes]]:
        """Return offset, length and checksum of each piece."""
        return sorted((offset, *piece) for offset, piece in self._pieces.items())

    def _compare(self, piece: tuple[int, int, bytes]) -> None:
        self._read_back(piece)

    def _read_back(self, piece: tuple[int, int, bytes]) -> bytes:
        offset, length, checksum = piece
        data = os.pread(self._descriptor, length, offset)
        if self._checksum(data) != checksum:
            raise changed_error(self._path, during="written")
        return data

    def _require_size(self, pieces: list[tuple[int, int, bytes]]) -> int:
        size = 0
        for offset, length, _ in pieces:
            if offset != size:
                raise changed_error(self._path, during="written")
            size += length
        if os.fstat(self._descriptor).st_size != size:
            raise changed_error(self._path, during="written")
        return size


def changed_error(path: Path, *, during: str = "checked") -> VerificationError:
    """Return the error for a file that was written to or replaced while it was checked."""
    problem = error(
        "file-changed",
        f"{path.name} changed while it was being {during}",
        hint="run again when nothing else writes the file.",
    )
    return VerificationError.from_findings(problem)


def _open(path: Path) -> int:
    try:
        return open_regular(path, follow_links=True)
    except OSError as cause:
        raise _unreadable("open", path, cause) from cause


def _unreadable(action: str, path: Path, cause: OSError) -> VerificationError:
    reason = os_error_reason(cause)
    problem = error("file-unreadable", f"cannot {action} {path}: {reason}", hint="check the path.")
    return VerificationError.from_findings(problem)


def _keyed_checksum() -> Callable[[bytes | memoryview], bytes]:
    """Return GMAC with a random key: nobody can make two blocks that agree without the key.

    It takes a tenth of the time of SHA-256. Its nonce may be the same for all blocks because no
    checksum ever leaves this process.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, nonce = AESGCM(os.urandom(32)), bytes(12)
    return lambda block: cipher.encrypt(nonce, b"", block)
