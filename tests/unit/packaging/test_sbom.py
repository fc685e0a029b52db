"""The bill of materials: every jar, its coordinates, and hostile jars."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.module.archive import Archive
from ign_deploy.packaging.sbom import write_sbom
from tests.support.modules import build_module, jar
from tests.support.releases import verified_module

POM = "META-INF/maven/com.acme/valve/pom.properties"


def pom(group: str = "com.acme", artifact: str = "valve", version: str = "2.0") -> bytes:
    return f"groupId={group}\nartifactId={artifact}\nversion={version}\n".encode()


def sbom(folder: Path, **jars: bytes) -> dict[str, Any]:
    """Return the bill of a module with these jars beside its own."""
    files = {f"{name.replace('_', '-')}.jar": data for name, data in jars.items()}
    path = build_module(folder / "pump.modl", files=files)
    with Archive.open(path) as archive:
        document: dict[str, Any] = json.loads(write_sbom(verified_module(path), archive))
    return document


def component(document: dict[str, Any], ref: str) -> dict[str, Any]:
    (found,) = [each for each in document["components"] if each["bom-ref"] == ref]
    assert isinstance(found, dict)
    return found


def test_every_jar_is_listed_with_its_digest(tmp_path: Path) -> None:
    data = jar(files={POM: pom()})
    document = sbom(tmp_path, valve=data, plain=jar())
    assert document["bomFormat"] == "CycloneDX"
    assert document["specVersion"] == "1.5"
    assert {each["bom-ref"] for each in document["components"]} == {
        "valve.jar",
        "plain.jar",
        "pump.jar",
    }
    valve = component(document, "valve.jar")
    assert (valve["group"], valve["name"], valve["version"]) == ("com.acme", "valve", "2.0")
    assert valve["purl"] == "pkg:maven/com.acme/valve@2.0"
    assert valve["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]
    plain = component(document, "plain.jar")
    assert plain["name"] == "plain.jar"
    assert "purl" not in plain


def test_the_module_depends_on_every_jar(tmp_path: Path) -> None:
    document = sbom(tmp_path, valve=jar(files={POM: pom()}))
    root = document["metadata"]["component"]
    edges = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    assert sorted(edges[root["bom-ref"]]) == ["pump.jar", "valve.jar"]


def test_equal_modules_give_equal_bytes_without_a_clock(tmp_path: Path) -> None:
    path = build_module(tmp_path / "pump.modl")
    made = set()
    for _ in range(2):
        with Archive.open(path) as archive:
            made.add(write_sbom(verified_module(path), archive))
    assert len(made) == 1
    assert b"1980-01-01" in made.pop()


def test_two_equal_jars_under_two_names_are_both_listed(tmp_path: Path) -> None:
    data = jar(files={POM: pom()})
    document = sbom(tmp_path, one=data, two=data)
    assert {"one.jar", "two.jar"} <= {each["bom-ref"] for each in document["components"]}


@pytest.mark.parametrize(
    "data",
    [
        jar(files={POM: pom(), "META-INF/maven/b/c/pom.properties": pom("b", "c")}),
        jar(files={POM: b"groupId=com.acme\n"}),
        jar(files={POM: pom(artifact="/")}),
        jar(files={POM: pom(artifact=" ")}),
        jar(files={POM: b"groupId=\\u00zz\n"}),
        jar(files={POM: b"#" * (65 << 10)}),
        b"PK no zip",
        b"",
    ],
    ids=["shaded", "half", "slash", "blank", "escape", "huge", "no-zip", "empty"],
)
def test_a_jar_that_does_not_tell_is_listed_by_its_name(tmp_path: Path, data: bytes) -> None:
    found = component(sbom(tmp_path, valve=data), "valve.jar")
    assert found["name"] == "valve.jar"
    assert "purl" not in found


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_java_does_not_read_is_not_read(tmp_path: Path, method: int) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(POM, pom())
    found = component(sbom(tmp_path, valve=buffer.getvalue()), "valve.jar")
    assert "purl" not in found


def test_a_jar_whose_content_is_damaged_is_listed(tmp_path: Path) -> None:
    data = bytearray(jar(files={POM: pom()}))
    at = data.find(b"PK\x03\x04", 10)
    name_size = struct.unpack_from("<H", data, at + 26)[0]
    data[at + 30 + name_size] ^= 0xFF
    found = component(sbom(tmp_path, valve=bytes(data)), "valve.jar")
    assert found["name"] == "valve.jar"


def test_strange_coordinates_are_encoded(tmp_path: Path) -> None:
    found = component(sbom(tmp_path, valve=jar(files={POM: pom(version="1?x#y@z")})), "valve.jar")
    assert found["purl"].startswith("pkg:maven/com.acme/valve@1%3Fx%23y")
    assert found["version"] == "1?x#y@z"
