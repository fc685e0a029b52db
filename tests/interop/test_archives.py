"""What an archive holds: our reading against Java's, over thousands of generated archives.

For each archive we refuse it, or Java's readers see exactly the same names and bytes.
"""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from tests.support.generated import batches, read_by_java
from tests.support.modules import RawEntry, raw_zip

READER = Path(__file__).with_name("ReadArchives.java")

SMALL = (0, 1, 2, 8, 9, 20, 45, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LARGE = (0, 1, 22, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
SIGNATURES = tuple(b"PK" + bytes(pair) for pair in ((3, 4), (1, 2), (5, 6), (6, 6), (6, 7), (7, 8)))


def archive(seed: int) -> bytes:
    """Return the archive of a seed: made from valid and odd parts, then changed or not."""
    chance = random.Random(seed)
    data = _made(chance)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 1, 2))):
        data = chance.choice(CHANGES)(data, chance)
    return data


def _made(chance: random.Random) -> bytes:
    odd = chance.choice((0.0, 0.0, 0.2, 1.0))
    entries = [_entry(chance, number, odd) for number in range(chance.randint(1, 4))]
    inner = raw_zip([RawEntry("module.xml", b"<modules>another</modules>")])
    comments = (inner, inner[:-2] + b"\x01\0", inner + b"junk", inner[:-1], b"\xff")

    def rarely(*values: Any, usual: Any, likely: float = 0.1) -> Any:
        return chance.choice(values) if chance.random() < likely * odd else usual

    data = raw_zip(
        entries,
        comment=rarely(*comments, usual=chance.choice((b"", b"by hand")), likely=0.6),
        zip64_end=chance.random() < 0.25,
        prefix=rarely(b"MZ", inner, usual=b""),
        counted_prefix=rarely(b"MZ", usual=b""),
        before_directory=rarely(b"gap", inner, usual=b""),
        trailing=rarely(b"\0", inner, usual=b""),
        count=rarely(0, 1, len(entries) + 1, usual=None),
    )
    return _disagreeing(data, inner, chance) if rarely(True, usual=False, likely=0.4) else data


def _entry(chance: random.Random, number: int, odd: float) -> RawEntry:
    def rarely(*values: Any, usual: Any, likely: float = 0.1) -> Any:
        return chance.choice(values) if chance.random() < likely * odd else usual

    ending = chance.choice(("module.xml", "a.jar", "doc/", "ü.html"))
    name = rarely(
        "a", "A", "a/", "./b", "a//b", "/c", "..", "a\\b", "d\0", usual=f"{number}-{ending}"
    )
    # The last one is inflated at once.
    size = chance.choice((*(0, 1, 30, 200) * 5, 70_000))
    data = b"" if name.endswith("/") else (chance.randbytes(size // 2 + 1) * 2)[:size]
    return RawEntry(
        name,
        data,
        method=chance.choice((0, 8, 8, 8)),
        flags=rarely(2, 1, 4, 0x40, 0x2000, usual=chance.choice((0, 0x800))),
        extra=rarely(*_odd_extras(data), usual=chance.choice((b"", b"", TIME_EXTRA)), likely=0.3),
        comment=rarely(
            b"PK\x05\x06" + bytes(18), b"PK\x01\x02", b"\xff", usual=chance.choice((b"", b"note"))
        ),
        descriptor=chance.choice(("", "", "", "signed", "plain", "zip64")),
        zip64=chance.random() < 0.1,
        orphan=rarely(True, usual=False),
        ghost=number > 0 and rarely(True, usual=False),
        gap=rarely(b"\0\0", b"PK\x03\x04", usual=b""),
        local_name=rarely(b"other", usual=None),
        local_flags=rarely(0, 8, 0x800, usual=None),
        local_method=rarely(0, 8, usual=None),
        local_crc32=rarely(0, 5, usual=None),
        local_size=rarely(0, 1, usual=None),
    )


TIME_EXTRA = struct.pack("<HH", 0x5455, 1) + b"\0"


def _odd_extras(data: bytes) -> tuple[bytes, ...]:
    return (
        struct.pack("<HHBI", 0x7075, 7, 1, 0) + b"xy",
        struct.pack("<HHQQ", 1, 16, len(data), len(data)),
        struct.pack("<HHQ", 1, 8, 5),
        struct.pack("<HHI", 1, 4, 5),
        struct.pack("<HH", 1, 0),
        struct.pack("<HHQHHQ", 1, 8, len(data), 1, 8, 5),
        struct.pack("<HH", 0xCAFE, 0),
        struct.pack("<HH", 0x9999, 40),
        b"\0",
        b"PK\x05\x06" + bytes(18),
    )


def _disagreeing(data: bytes, inner: bytes, chance: random.Random) -> bytes:
    """Let the records at the end disagree: ZIP64 and 32-bit values, or a second set of them."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0:
        return data
    count, size, offset = struct.unpack_from("<HII", data, end + 10)
    values = (
        chance.choice((count, 0xFFFF, 1, (count + 1) % 0x10000)),
        chance.choice((size, 0xFFFFFFFF, max(size - 1, 0))),
        chance.choice((offset, 0xFFFFFFFF, 0)),
    )
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    if chance.random() < 0.5:
        end64 += inner
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    record = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, values[0], values[0], *values[1:], 0)
    return data[:end] + end64 + locator + record


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    """Put an interesting number at a field of one of the records."""
    positions = [at for signature in SIGNATURES for at in _all(data, signature)]
    if not positions:
        return data
    at = chance.choice(positions) + chance.randrange(4, 46)
    if chance.random() < 0.5:
        new = struct.pack("<H", chance.choice(SMALL))
    else:
        new = struct.pack("<I", chance.choice((*LARGE, len(data), len(data) - 22)))
    return data[:at] + new + data[at + len(new) :]


def _nudge(data: bytes, chance: random.Random) -> bytes:
    """Change one byte by a little."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([(data[at] + chance.choice((1, 255, 128))) % 256]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.choice((1, 4, 22, 46)) :] or b"P"


def _copy(data: bytes, chance: random.Random) -> bytes:
    """Repeat a piece of the archive, often a whole record, at another position."""
    starts = [at for signature in SIGNATURES for at in _all(data, signature)] or [0]
    start = chance.choice(starts)
    piece = data[start : start + chance.choice((22, 46, 100, len(data)))]
    at = chance.choice((len(data), chance.randrange(len(data)), start))
    return data[:at] + piece + data[at:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.choice((chance.randrange(len(data)), len(data)))
    return data[:at] + chance.choice((b"\0", *SIGNATURES)) + data[at:]


CHANGES = (_overwrite, _overwrite, _overwrite, _nudge, _cut, _copy, _insert)


def _all(data: bytes, signature: bytes) -> Iterator[int]:
    at = data.find(signature)
    while at >= 0:
        yield at
        at = data.find(signature, at + 1)


def read_by_us(path: Path) -> str:
    """Return the SHA-256 over the sorted entries, as ``ReadArchives`` makes it, or "refused"."""
    try:
        with Archive.open(path) as opened:
            if any(finding.code == "archive-gap" for finding in opened.findings):
                return "refused"  # by verification
            lines = sorted(
                f"{one.name.encode().hex()}:{hashlib.sha256(b''.join(opened.chunks(one))).hexdigest()}\n"
                for one in opened.entries
            )
    except VerificationError:
        return "refused"
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def ends_a_stream(path: Path) -> bool:
    """Return whether an empty entry has a descriptor with 8-byte sizes.

    ZipInputStream before JDK-8303866 takes half of it for the end: it sees the entries before, and
    nothing that the directory doesn't have.
    """
    with Archive.open(path) as opened:
        return any(
            not one.size and one.end - one.data_offset - one.compressed_size in (20, 24)
            for one in opened.entries
        )


@pytest.mark.parametrize("seeds", batches())
def test_java_sees_what_we_see_or_we_refuse(tmp_path: Path, seeds: range) -> None:
    by_us = []
    for number, seed in enumerate(seeds):
        path = tmp_path / str(number)
        path.write_bytes(archive(seed))
        by_us.append(read_by_us(path))
    by_java = read_by_java(READER, tmp_path, len(by_us))
    wrong = {
        seed: (ours, theirs)
        for number, (seed, ours, theirs) in enumerate(zip(seeds, by_us, by_java, strict=True))
        if ours != "refused"
        and not (
            theirs[0] == theirs[1] == ours
            and (theirs[2] in (ours, "refused") or ends_a_stream(tmp_path / str(number)))
        )
    }
    assert not wrong
    # The archives are not so odd that nothing is read.
    assert sum(ours != "refused" for ours in by_us) > len(by_us) // 10
