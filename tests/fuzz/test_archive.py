"""Any bytes are refused with a VerificationError, or give exactly what their directory says."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.checks import check_module
from ign_deploy.module.findings import Severity
from ign_deploy.module.jar import UnreadableJarError, inspect_jar
from tests.support.modules import HOOK, RawEntry, jar, module_files, raw_zip

FILES = module_files()
WAYS = {
    "plain": raw_zip([RawEntry(name, data) for name, data in FILES.items()]),
    "stored": raw_zip([RawEntry(name, data, 0) for name, data in FILES.items()]),
    "descriptors": raw_zip(
        [RawEntry(name, data, descriptor="signed") for name, data in FILES.items()]
    ),
    "zip64": raw_zip(
        [RawEntry(name, data, zip64=True) for name, data in FILES.items()],
        zip64_end=True,
        comment=b"with a comment",
    ),
}
SAMPLES = list(WAYS.values())


def content(data: bytes) -> dict[str, bytes] | None:
    """Return what the archive holds, None when it is refused."""
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        try:
            with Archive.open(Path(stream.name)) as archive:
                read = {one.name: b"".join(archive.chunks(one)) for one in archive.entries}
                check_module(archive)
        except VerificationError:
            return None
    return read


def mutations(sample: bytes) -> st.SearchStrategy[bytes]:
    """Change, cut, repeat or move a few bytes."""
    positions = st.integers(0, len(sample) - 1)

    def overwrite(change: tuple[int, bytes]) -> bytes:
        position, new = change
        return sample[:position] + new + sample[position + len(new) :]

    def move(change: tuple[int, int, int]) -> bytes:
        start, end, target = change
        start, end = sorted((start, end))
        return sample[:target] + sample[start:end] + sample[target:]

    return st.one_of(
        st.tuples(positions, st.binary(min_size=1, max_size=8)).map(overwrite),
        st.tuples(positions, st.sampled_from([b"\xff" * 8, b"\0" * 8, b"PK\1\2", b"PK\3\4"])).map(
            overwrite
        ),
        st.tuples(positions, positions, positions).map(move),
        positions.map(lambda position: sample[:position]),
        positions.map(lambda position: sample[position:]),
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_samples_are_sound(way: str) -> None:
    assert content(WAYS[way]) == FILES


@given(st.sampled_from(SAMPLES).flatmap(mutations))
def test_a_mutated_archive_is_rejected_or_reads_the_same(data: bytes) -> None:
    read = content(data)
    # A name is not protected by a CRC: it may change, if it does so in both places.
    assert read is None or sorted(read.values()) == sorted(FILES.values())


@pytest.mark.parametrize("way", WAYS)
def test_every_single_byte_set_to_all_ones_is_survived(way: str) -> None:
    sample = WAYS[way]
    for position in range(len(sample)):
        changed = sample[:position] + b"\xff" + sample[position + 1 :]
        read = content(changed)
        assert read is None or list(read.values()) == list(FILES.values())


@given(st.binary())
def test_any_bytes_are_rejected(data: bytes) -> None:
    assert content(data) is None


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_around_end_records_are_survived(first: bytes, second: bytes) -> None:
    whole = WAYS["zip64"]
    content(first + whole[whole.index(b"PK\x06\x06") :] + second)
    content(first + whole[whole.index(b"PK\x06\x07") :])
    content(first + whole[whole.index(b"PK\x05\x06") :])


RECORDS = st.builds(
    RawEntry,
    name=st.sampled_from(["a", "b", "lib.jar", "../x", "d/"]) | st.binary(max_size=4),
    data=st.binary(max_size=20),
    method=st.sampled_from([0, 8, 8, 12]),
    flags=st.sampled_from([0, 0, 1, 8, 0x800]),
    mode=st.sampled_from([0o100644, 0o120777, 0]),
    size=st.none() | st.integers(0, 0xFFFFFFFF),
    compressed_size=st.none() | st.integers(0, 0xFFFFFFFF),
    offset=st.none() | st.integers(0, 0xFFFFFFFF),
    extra=st.binary(max_size=12),
    descriptor=st.sampled_from(["", "signed", "plain", "zip64"]),
    zip64=st.booleans(),
    orphan=st.booleans(),
    ghost=st.booleans(),
    gap=st.binary(max_size=5),
)


@given(st.lists(RECORDS, max_size=4), st.booleans(), st.none() | st.integers(0, 0xFFFF))
def test_any_combination_of_records_is_rejected_or_read(
    entries: list[RawEntry], zip64_end: bool, count: int | None
) -> None:
    content(raw_zip(entries, zip64_end=zip64_end, count=count))


@given(mutations(jar(HOOK, "a.B")) | st.binary())
def test_a_mutated_jar_opens_or_is_called_unreadable(data: bytes) -> None:
    try:
        facts = inspect_jar(io.BytesIO(data), wanted=[HOOK])
    except UnreadableJarError:
        return
    assert facts.hooks <= {HOOK}
    assert zipfile.is_zipfile(io.BytesIO(data))


@given(mutations(jar(HOOK, "a.B")))
def test_a_module_with_a_mutated_jar_is_checked_to_the_end(data: bytes) -> None:
    files = module_files(files={"pump.jar": data})
    sample = raw_zip([RawEntry(name, content) for name, content in files.items()])
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(sample)
        stream.flush()
        with Archive.open(Path(stream.name)) as archive:
            findings = check_module(archive)
    assert all(finding.severity in Severity for finding in findings)
