"""Inflating: piece by piece in little memory, or a small entry at once, which is faster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import cast

import deflate
from zlib_ng import zlib_ng

from ign_deploy.module.stable_file import BLOCK, StableFile
from ign_deploy.module.zip_entry import ZipEntry
from ign_deploy.module.zip_records import DEFLATED

# The library's type stub declares its exception as an instance.
InflateError = cast("type[Exception]", zlib_ng.error)

# Entries of at most this size, compressed and not, are inflated at once; bytes.
WHOLE = 2 << 20
# The most that are in memory at the same time, whatever the number of threads.
_AT_ONCE = 4

# The distance that a stream can refer back, and input that holds as much, unless it is an odd one.
_WINDOW = 32 * 1024
_WINDOW_INPUT = 40 * 1024
_GZIP_HEADER = bytes.fromhex("1f8b08000000000000ff")
_STORED_EIGHT = bytes.fromhex("000800f7ff")
_SECRET_SIZE = 8
_BEFORE = len(_GZIP_HEADER) + len(_STORED_EIGHT) + _SECRET_SIZE
_AFTER = 8


def inflate_pieces(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a stream's content in pieces of at most 64 KiB.

    Raises InflateError for an invalid stream, EOFError if it is cut off, ValueError if bytes
    follow it.
    """
    inflater = zlib_ng.decompressobj(-15)
    for block in blocks:
        pending = block
        while pending and not inflater.eof:
            piece = inflater.decompress(pending, BLOCK)
            pending = inflater.unconsumed_tail
            if piece:
                yield piece
        if inflater.unused_data or pending:
            raise ValueError("bytes follow the stream")
    # The input is used up; the inflater may still hold output that didn't fit into a piece.
    while piece := inflater.decompress(b"", BLOCK):
        yield piece
    if not inflater.eof:
        raise EOFError


class WholeEntries:
    """The memory for a few small entries of a file that are read at once. Threads may share it."""

    def __init__(self, file: StableFile) -> None:
        """Read from this file."""
        self._file = file
        self._secret = os.urandom(_SECRET_SIZE)
        self._free: SimpleQueue[WholeEntry] = SimpleQueue()
        for _ in range(_AT_ONCE):
            self._free.put(WholeEntry(file, self._secret))

    @contextmanager
    def reserve(self, entry: ZipEntry) -> Iterator[WholeEntry | None]:
        """Return memory for an entry; None if it isn't such a one, or all is in use."""
        suits = entry.method == DEFLATED and entry.size > BLOCK
        suits = suits and max(entry.size, entry.compressed_size) <= WHOLE
        try:
            whole = self._free.get_nowait() if suits else None
        except Empty:
            whole = None
        try:
            yield whole
        finally:
            if whole is not None:
                self._free.put(whole)


class WholeEntry:
    """A small entry: read, then inflated by libdeflate.

    libdeflate doesn't say where a stream ends, and so whether bytes follow it. But of gzip it
    compares the eight bytes after the stream, CRC and size, with the content. So it gets the stream
    as gzip, with random bytes as the beginning of its content: without knowing them, no one can put
    bytes after an earlier end that make it pass. A stream that refers back to them is found by
    zlib-ng, which gets the beginning of the stream alone.
    """

    def __init__(self, file: StableFile, secret: bytes) -> None:
        self._file = file
        self._secret_crc = zlib_ng.crc32(secret)
        self._before = _GZIP_HEADER + _STORED_EIGHT + secret
        self._buffer = bytearray()
        self._size = 0

    def read(self, entry: ZipEntry) -> memoryview:
        """Return the compressed content; it is valid until the next entry is read."""
        self._size = _BEFORE + entry.compressed_size + _AFTER
        if len(self._buffer) < self._size:
            self._buffer = bytearray(self._size)
            self._buffer[:_BEFORE] = self._before
        raw = memoryview(self._buffer)[_BEFORE : self._size - _AFTER]
        self._file.read_into(raw, entry.data_offset)
        return raw

    def inflate(self, entry: ZipEntry) -> memoryview | None:
        """Return the content of what was read, None if anything about it is wrong or odd."""
        size = _SECRET_SIZE + entry.size
        crc = zlib_ng.crc32_combine(self._secret_crc, entry.crc32, entry.size)
        stream = memoryview(self._buffer)[: self._size]
        stream[-_AFTER:] = crc.to_bytes(4, "little") + size.to_bytes(4, "little")
        try:
            content = memoryview(deflate.gzip_decompress(stream, size))[_SECRET_SIZE:]
            first = stream[_BEFORE:-_AFTER][:_WINDOW_INPUT]
            beginning = zlib_ng.decompressobj(-15).decompress(first, _WINDOW)
        except (deflate.DeflateError, InflateError):
            return None
        is_same = len(content) == entry.size and bytes(content[:_WINDOW]) == beginning
        return content if is_same else None
