"""Two modules have the same content, whatever packed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.module.archive import Archive
from ign_deploy.module.content import differing_files
from tests.support.modules import HOOK, build_module, class_file, jar, zip_bytes
from tests.support.repacked import jar_later, packed_later, rebuild


def differing(ours: Path, theirs: Path) -> list[str]:
    with Archive.open(ours) as first, Archive.open(theirs) as second:
        found = list(differing_files(first, second))
        assert sorted(differing_files(second, first)) == sorted(found)
    return found


def test_times_order_and_compression_do_not_count(tmp_path: Path) -> None:
    first = build_module(tmp_path / "first.modl")
    second = rebuild(tmp_path / "second.modl")
    assert first.read_bytes() != second.read_bytes()
    assert differing(first, second) == []


def test_the_signature_does_not_count(tmp_path: Path) -> None:
    signed = {"certificates.p7b": b"x", "signatures.properties": b"y"}
    first = build_module(tmp_path / "first.modl", files=signed)
    assert differing(first, build_module(tmp_path / "second.modl")) == []


def test_what_differs_is_named_inside_jars_too(tmp_path: Path) -> None:
    other = zip_bytes({"com/example/GatewayHook.class": class_file(major=61), "new": b""})
    first = build_module(tmp_path / "first.modl", files={"only-here.txt": b"1", "doc/a": b"1"})
    second = rebuild(
        tmp_path / "second.modl",
        files={"pump.jar": other, "doc/a": b"2", "license.html": b"\n"},
    )
    assert differing(first, second) == [
        "doc/a",
        "license.html",
        "only-here.txt",
        "pump.jar!/META-INF/MANIFEST.MF",
        "pump.jar!/com/example/GatewayHook.class",
        "pump.jar!/new",
    ]


@pytest.mark.parametrize(
    "odd",
    [b"no zip", b"", jar(HOOK)[:-30], zip_bytes({"a": b"1", "A": b"2"}).replace(b"A", b"a")],
    ids=["text", "empty", "cut", "a name twice"],
)
def test_a_jar_that_readers_could_read_differently_counts_as_a_whole(
    tmp_path: Path, odd: bytes
) -> None:
    first = build_module(tmp_path / "first.modl", files={"odd.jar": odd})
    again = rebuild(tmp_path / "again.modl", files={"odd.jar": odd})
    assert differing(first, again) == []
    second = rebuild(tmp_path / "second.modl", files={"odd.jar": odd + b"\0"})
    assert differing(first, second) == ["odd.jar"]


PLAIN = zip_bytes({"A.class": b"1", "A.class_x": b"2"})


@pytest.mark.parametrize(
    "odd",
    [b"#!/bin/sh\n" + PLAIN, PLAIN + b"junk", zip_bytes({"A.class": b"9"}) + PLAIN],
    ids=["before", "after", "another one before"],
)
def test_bytes_around_a_jar_count(tmp_path: Path, odd: bytes) -> None:
    first = build_module(tmp_path / "first.modl", files={"odd.jar": PLAIN})
    second = rebuild(tmp_path / "second.modl", files={"odd.jar": odd})
    assert differing(first, second) == ["odd.jar"]


def test_a_name_does_not_end_at_a_nul(tmp_path: Path) -> None:
    plain = zip_bytes({"A.class": b"1"})
    odd = zip_bytes({"A.class_x": b"1"}).replace(b"A.class_x", b"A.class\0x")
    first = build_module(tmp_path / "first.modl", files={"odd.jar": plain})
    second = rebuild(tmp_path / "second.modl", files={"odd.jar": odd})
    assert differing(first, second)


def test_a_jar_that_unpacks_to_gigabytes_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ign_deploy.module.jar._MAX_CONTENT", 1000)
    large = zip_bytes({"zeros": bytes(2000)})
    first = build_module(tmp_path / "first.modl", files={"large.jar": large})
    second = build_module(tmp_path / "second.modl", files={"large.jar": jar_later(large)})
    assert differing(first, second) == ["large.jar"]


def test_only_archives_are_looked_into(tmp_path: Path) -> None:
    files = {"a": b"1", "b": b"2"}
    first = build_module(tmp_path / "1.modl", files={"doc/x.bin": zip_bytes(files)})
    second = build_module(tmp_path / "2.modl", files={"doc/x.bin": packed_later(files)})
    assert differing(first, second) == ["doc/x.bin"]
    first = build_module(tmp_path / "3.modl", files={"doc/x.ZIP": zip_bytes(files)})
    second = build_module(tmp_path / "4.modl", files={"doc/x.ZIP": packed_later(files)})
    assert differing(first, second) == []
