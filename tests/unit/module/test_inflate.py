"""Entries that are inflated at once: the same content, the same errors, as piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.inflate import WHOLE, inflate_pieces
from ign_deploy.module.stable_file import BLOCK
from tests.support.modules import RawEntry, deflate, write_zip


def content(size: int, seed: int = 1) -> bytes:
    """Return what deflates about as well as a class file."""
    random = Random(seed)
    words = [random.randbytes(random.randint(3, 20)) for _ in range(200)]
    return b"".join(random.choices(words, k=size // 3 + 1))[:size]


def read(path: Path) -> tuple[bytes, int]:
    """Return the first entry's content, and in how many pieces it came."""
    with Archive.open(path) as archive:
        pieces = [bytes(piece) for piece in archive.chunks(archive.entries[0])]
    return b"".join(pieces), len(pieces)


def problem(path: Path) -> str:
    with Archive.open(path) as archive, pytest.raises(VerificationError) as caught:
        list(archive.chunks(archive.entries[0]))
    return caught.value.message


def small(
    folder: Path, data: bytes, *, stored: bytes | None = None, crc32: int | None = None
) -> Path:
    """Write an archive with one entry that is inflated at once, if it is intact."""
    assert BLOCK < len(data) <= WHOLE
    return write_zip(folder / "a.zip", [RawEntry("a", data, stored=stored, crc32=crc32)])


@pytest.mark.parametrize("size", [BLOCK + 1, 100_000, 1 << 20, WHOLE])
def test_a_small_entry_comes_at_once(tmp_path: Path, size: int) -> None:
    data = content(size)
    assert read(small(tmp_path, data)) == (data, 1)


@pytest.mark.parametrize("size", [0, 1, BLOCK, WHOLE + 1])
def test_others_come_in_pieces(tmp_path: Path, size: int) -> None:
    data = content(size)
    path = write_zip(tmp_path / "a.zip", [RawEntry("a", data)])
    found, pieces = read(path)
    assert found == data
    assert pieces >= -(-size // BLOCK)


@pytest.mark.parametrize("level", range(10))
def test_every_kind_of_block(tmp_path: Path, level: int) -> None:
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE):
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15, strategy=strategy)
        data = content(300_000, level)
        stored = deflater.compress(data) + deflater.flush()
        assert read(small(tmp_path, data, stored=stored)) == (data, 1)


def test_a_stream_with_little_content_at_its_beginning_comes_in_pieces(tmp_path: Path) -> None:
    data = content(100_000)
    stored = b"\0\0\0\xff\xff" * 10_000 + deflate(data)
    found, pieces = read(small(tmp_path, data, stored=stored))
    assert found == data
    assert pieces > 1


@pytest.mark.parametrize("imitated", [b"", b"alone"])
def test_bytes_after_an_earlier_end_cannot_imitate_the_real_one(
    tmp_path: Path, imitated: bytes
) -> None:
    """Of gzip, libdeflate compares the CRC and the size after the stream, wherever it ends."""
    data = content(100_000)
    crc = zlib.crc32(data, zlib.crc32(imitated))
    end = crc.to_bytes(4, "little") + (len(imitated) + len(data)).to_bytes(4, "little")
    more_size = (8 + len(data)).to_bytes(4, "little")
    for tail in (b"\0", end, end + b"hidden", end[:4] + more_size, end[:4] + more_size + b"hidden"):
        path = small(tmp_path, data, stored=deflate(data) + tail)
        assert "extra bytes after its compressed data" in problem(path)


def joined(*values: int) -> bytes:
    padded = [*values, *[0] * (-len(values) % 8)]
    return bytes(
        sum(bit << number for number, bit in enumerate(padded[start : start + 8]))
        for start in range(0, len(padded), 8)
    )


def test_a_stream_cannot_refer_to_bytes_before_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that libdeflate gets there are random; whoever guesses one must not get through."""
    monkeypatch.setattr("ign_deploy.module.inflate.os.urandom", lambda size: b"?" * size)
    # A block of fixed codes: three bytes, copied from one byte before; end of block. Not the last.
    reference = [int(bit) for bit in "010_0000001_00000_0000000".replace("_", "")]
    # An empty stored block, not the last either, aligns what follows.
    first = joined(*reference, 0, 0, 0) + bytes.fromhex("0000ffff")
    data = content(100_000)
    stored = first + deflate(data)
    path = small(tmp_path, b"???" + data, stored=stored)
    assert "can't be decompressed" in problem(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored[:-1], "ends in the middle"),
        (lambda stored: b"\xff" + stored[1:], "can't be decompressed"),
        (lambda stored: b"", "ends in the middle"),
    ],
)
def test_a_damaged_stream(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    data = content(100_000)
    assert message in problem(small(tmp_path, data, stored=change(deflate(data))))


def test_more_or_less_than_announced(tmp_path: Path) -> None:
    data = content(100_000)
    assert "has more than the 100000 bytes" in problem(
        small(tmp_path, data, stored=deflate(data + b"1"))
    )
    assert "has 99999 bytes, expected 100000" in problem(
        small(tmp_path, data, stored=deflate(data[:-1]))
    )
    assert "has CRC" in problem(small(tmp_path, data, crc32=1))


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    data = content(70_000)
    stored = deflate(data)
    for position in Random(1).sample(range(len(stored) * 8), 200):
        changed = bytearray(stored)
        changed[position // 8] ^= 1 << position % 8
        problem(small(tmp_path, data, stored=bytes(changed)))


def test_threads_beyond_the_memory_read_in_pieces(tmp_path: Path) -> None:
    data = content(100_000)
    path = write_zip(tmp_path / "a.zip", [RawEntry(str(number), data) for number in range(6)])
    with Archive.open(path) as archive:
        readers = [archive.chunks(entry) for entry in archive.entries]
        first = [len(next(reader)) for reader in readers]
        assert [size == len(data) for size in first] == [True] * 4 + [False] * 2
        for reader in readers:
            list(reader)
        assert len(next(archive.chunks(archive.entries[5]))) == len(data)


def test_the_raw_bytes_are_handed_over_once(tmp_path: Path) -> None:
    data = content(100_000)
    path = small(tmp_path, data, crc32=1)
    raw = bytearray()
    with Archive.open(path) as archive, pytest.raises(VerificationError):
        list(archive.chunks(archive.entries[0], on_raw=raw.extend))
    assert raw == deflate(data)


def test_pieces_are_bounded_whatever_the_stream_holds() -> None:
    data = bytes(10 << 20)
    pieces = list(inflate_pieces(iter([deflate(data)])))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) == BLOCK
