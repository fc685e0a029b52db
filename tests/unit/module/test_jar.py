"""What is read off a jar."""

from __future__ import annotations

import io

import pytest

from ign_deploy.module.file_checks import platform_java
from ign_deploy.module.jar import JarFacts, UnreadableJarError, class_java, inspect_jar
from ign_deploy.module.version import ModuleVersion
from tests.support.modules import HOOK, RawEntry, class_file, jar, raw_zip, zip_bytes


def facts(data: bytes, *wanted: str) -> JarFacts:
    return inspect_jar(io.BytesIO(data), wanted=wanted)


def test_wanted_classes_are_found_by_their_dotted_name() -> None:
    data = jar(HOOK, "a.Outer$Inner", "b.C")
    assert facts(data, HOOK, "a.Outer$Inner", "a.Absent").hooks == {HOOK, "a.Outer$Inner"}


def test_the_newest_class_is_named() -> None:
    files = {"a/New.class": class_file("a.New", major=65)}
    found = facts(jar("a.A", "a.B", files=files))
    assert (found.newest_java, found.newest_class) == (21, "a/New.class")


def test_a_jar_of_very_many_classes_is_sampled() -> None:
    classes = {f"a/C{number}.class": class_file("a.C", major=61) for number in range(2500)}
    assert facts(zip_bytes(classes)).newest_java == 17


@pytest.mark.parametrize(
    ("manifest", "version"),
    [
        (b"Manifest-Version: 1.0\r\nImplementation-Version: 1.2.3\r\n\r\n", "1.2.3"),
        (b"implementation-version:1.2.3\n", "1.2.3"),
        (b"Implementation-Version: 1.2\r\n .3-beta\r\n 1\r\n", "1.2.3-beta1"),
        (b"A: b\rImplementation-Version: 1.2.3\r", "1.2.3"),
        (b"Manifest-Version: 1.0\n\nName: a/\nImplementation-Version: 9\n", ""),
        (b"Manifest-Version: 1.0\n", ""),
        (b"", ""),
        (b"\xff\xfe\0", ""),
    ],
)
def test_the_main_sections_version_is_read(manifest: bytes, version: str) -> None:
    assert facts(zip_bytes({"META-INF/MANIFEST.MF": manifest})).implementation_version == version


def test_a_central_directory_of_absurd_size_is_not_read_into_memory() -> None:
    many = [RawEntry(f"{number:04}", b"", 0, comment=b"x" * 60_000) for number in range(300)]
    with pytest.raises(UnreadableJarError, match="directory"):
        facts(raw_zip(many))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + b"\0" * 17, b"text" * 100])
def test_what_is_not_an_archive_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableJarError):
        facts(data)


@pytest.mark.parametrize(
    ("header", "java"),
    [
        (class_file(major=52), 8),
        (class_file(major=61)[:8], 17),
        (class_file()[:7], None),
        (b"\0" * 8, None),
        (b"", None),
    ],
)
def test_a_class_file_tells_its_java(header: bytes, java: int | None) -> None:
    assert class_java(header) == java


@pytest.mark.parametrize(
    ("ignition", "java"),
    [
        ("7.9.21", 8),
        ("8.0.0", 11),
        ("8.1.32", 11),
        ("8.1.33", 17),
        ("8.1.48", 17),
        ("8.3.0", 17),
        ("9.0.0", 17),
    ],
)
def test_each_ignition_version_has_its_java(ignition: str, java: int) -> None:
    assert platform_java(ModuleVersion.parse(ignition)) == java
