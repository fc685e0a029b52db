"""The same module under another build number: what changes, and what is rejected."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, SigningError
from ign_deploy.module.archive import Archive
from ign_deploy.module.build_number import (
    differences_but_version,
    replace_version,
    with_build_number,
)
from ign_deploy.module.descriptor import parse_descriptors
from tests.support.modules import build_module, module_xml
from tests.support.repacked import packed_later


@pytest.mark.parametrize(
    ("version", "number", "expected"),
    [
        ("1.2.3", 1, "1.2.3.1"),
        ("1.2.3.4", 5, "1.2.3.5"),
        ("1.2.3-rc1", 2, "1.2.3.2-rc1"),
        ("1.2.3-SNAPSHOT", 1, "1.2.3.1-SNAPSHOT"),
    ],
)
def test_a_version_gets_a_build_number(version: str, number: int, expected: str) -> None:
    assert with_build_number(version, number) == expected


@pytest.mark.parametrize(
    ("version", "number"), [("1.2.3.4", 4), ("1.2.3.4", 1), ("dev", 1), ("1.2.3", 2**31)]
)
def test_a_build_number_must_be_higher_and_possible(version: str, number: int) -> None:
    with pytest.raises(SigningError):
        with_build_number(version, number)


def test_a_version_that_no_gateway_installs_gets_none() -> None:
    with pytest.raises(ConfigurationError):
        with_build_number("1.2", 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<version>1.2.3</version>", "<version>9.9.9.1</version>"),
        ("<Version>\n 1.2.3 </Version>", "<Version>\n 9.9.9.1 </Version>"),
        ('<version a="1.2.3>">1.2.3</version >', '<version a="1.2.3>">9.9.9.1</version >'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "iso-8859-1"])
def test_nothing_but_the_version_changes(before: str, after: str, encoding: str) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    head = (
        f"{mark}<?xml version='1.0' encoding='{encoding.removesuffix('-le').removesuffix('-be')}'?>"
    )
    frame = f"{head}<modules><module><id>a.b</id>{{}}<name>Pümpe 1.2.3</name></module></modules>"
    data = frame.format(before).encode(encoding)
    assert replace_version(data, "9.9.9.1") == frame.format(after).encode(encoding)


@pytest.mark.parametrize(
    "written",
    ["<version><![CDATA[1.2.3]]></version>", "<version>&#49;.2.3</version>", "<version/>", ""],
)
def test_a_version_that_is_not_plain_text_is_left_alone(written: str) -> None:
    data = f"<modules><module><id>a.b</id>{written}</module></modules>".encode()
    with pytest.raises(SigningError, match="can't be replaced"):
        replace_version(data, "1.2.3.1")


def differing(ours: Path, theirs: Path) -> tuple[str, ...]:
    with Archive.open(ours) as first, Archive.open(theirs) as second:
        return differences_but_version(first, second)


def test_what_differs_beside_the_version_is_named(tmp_path: Path) -> None:
    first = build_module(tmp_path / "first.modl")
    newer = {"version": "1.2.3.1"}
    assert differing(build_module(tmp_path / "same.modl", texts=newer), first) == ()
    other = build_module(tmp_path / "name.modl", texts={**newer, "name": "Another"})
    assert differing(other, first) == ("module.xml",)
    other = build_module(tmp_path / "doc.modl", texts=newer, files={"doc/index.html": b"x"})
    assert differing(other, first) == ("doc/index.html",)


def test_a_module_without_a_descriptor_differs(tmp_path: Path) -> None:
    first = build_module(tmp_path / "first.modl")
    second = tmp_path / "second.modl"
    second.write_bytes(packed_later({"a": b"1"}))
    assert differing(second, first)[0] == "module.xml"


def test_replacing_keeps_what_is_read() -> None:
    (before,) = parse_descriptors(module_xml())
    (after,) = parse_descriptors(replace_version(module_xml(), "1.2.3.7"))
    assert (after.version, after.name, after.jars) == ("1.2.3.7", before.name, before.jars)
