"""The distribution bundle: what is in it, equal bytes, and nothing a module could smuggle in."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.packaging.bundle import write_bundle
from ign_deploy.packaging.sbom import write_sbom
from ign_deploy.signing.verifier import verify_module
from tests.support.mapped_writer import mapped_writer
from tests.support.modules import build_module
from tests.support.signing import signed_module

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STEM = "com.example.pump-1.2.3"


def verified(folder: Path, **changes: Any) -> VerifiedModule:
    unsigned = build_module(folder / "pump.unsigned.modl", **changes)
    return verify_module(signed_module(unsigned, output_dir=folder / "signed"), now=NOW)


def content(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        return {name.removeprefix(f"{STEM}/"): archive.read(name) for name in archive.namelist()}


def bundle_of(module: VerifiedModule, folder: Path, **more: Any) -> Mapping[str, bytes]:
    return content(write_bundle(module, output_dir=folder, **more).path)


def test_everything_is_in_one_folder(tmp_path: Path) -> None:
    module = verified(tmp_path, files={"NOTICE.txt": b"thanks", "doc/LICENSE": b"not this one"})
    bundle = write_bundle(module, output_dir=tmp_path / "out", notes="# Changes\n").path
    assert bundle == tmp_path / "out" / f"{STEM}.zip"
    assert set(content(bundle)) == {
        f"{STEM}.modl",
        f"{STEM}.cdx.json",
        "INSTALL.txt",
        "RELEASE-NOTES.md",
        "SHA256SUMS",
        "licence/NOTICE.txt",
        "licence/license.html",
        "manifest.json",
        "provenance.json",
    }


def test_the_checksums_cover_every_file_but_themselves(tmp_path: Path) -> None:
    files = bundle_of(verified(tmp_path), tmp_path / "out", notes="x")
    lines = files["SHA256SUMS"].decode().splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    assert sums == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != "SHA256SUMS"
    }
    assert [line[66:] for line in lines] == sorted(sums)


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    module = verified(tmp_path)
    first = write_bundle(module, output_dir=tmp_path / "a", build={"run": "1", "actor": "me"}).path
    second = write_bundle(module, output_dir=tmp_path / "b", build={"actor": "me", "run": "1"}).path
    assert first.read_bytes() == second.read_bytes()


def test_the_manifest_says_what_a_gateway_will_ask(tmp_path: Path) -> None:
    module = verified(tmp_path)
    manifest = json.loads(bundle_of(module, tmp_path / "out")["manifest.json"])
    assert manifest["id"] == "com.example.pump"
    assert manifest["sha256"] == module.sha256
    assert manifest["size"] == module.path.stat().st_size
    assert manifest["certificate"]["sha1"] == module.certificate.sha1
    assert manifest["licence_crc"] == module.licence_crc


def test_the_provenance_names_module_commit_and_run(tmp_path: Path) -> None:
    module = verified(tmp_path)
    build = {"source": "org/modules", "run": "7", "url": "https://ci.example/7"}
    files = bundle_of(module, tmp_path / "out", commit="c" * 40, build=build)
    statement = json.loads(files["provenance.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": f"{STEM}.modl", "digest": {"sha256": module.sha256}}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"uri": "org/modules", "digest": {"gitCommit": "c" * 40}}
    ]
    assert definition["externalParameters"]["id"] == "com.example.pump"
    details = statement["predicate"]["runDetails"]
    assert details["metadata"] == {"invocationId": "https://ci.example/7"}


def test_nothing_is_said_of_an_unknown_origin(tmp_path: Path) -> None:
    statement = json.loads(bundle_of(verified(tmp_path), tmp_path / "out")["provenance.json"])
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"] == []


def test_the_instructions_show_the_fingerprints(tmp_path: Path) -> None:
    module = verified(tmp_path)
    text = bundle_of(module, tmp_path / "out")["INSTALL.txt"].decode()
    assert module.certificate.sha1 in text
    assert module.certificate.sha256 in text
    assert f"CRC-32 {module.licence_crc}" in text


def test_a_module_s_name_cannot_write_instructions(tmp_path: Path) -> None:
    name = "Pump\n\n3. Accept any certificate.\n"
    text = bundle_of(verified(tmp_path, texts={"name": name}), tmp_path / "out")["INSTALL.txt"]
    assert text.decode().splitlines()[0] == "Pump 3. Accept any certificate. 1.2.3"


def test_a_module_without_a_licence_says_so(tmp_path: Path) -> None:
    module = verified(tmp_path, texts={"license": None}, files={"license.html": None})
    text = bundle_of(module, tmp_path / "out")["INSTALL.txt"].decode()
    assert "no licence to accept" in text


@pytest.mark.parametrize("module_id", ["../../evil", "/etc/evil", "a b", "ü"])
def test_a_strange_id_stays_inside_the_output_folder(tmp_path: Path, module_id: str) -> None:
    module = verified(tmp_path, texts={"id": module_id})
    bundle = write_bundle(module, output_dir=tmp_path / "out").path
    assert bundle.parent == tmp_path / "out"
    with zipfile.ZipFile(bundle) as archive:
        assert not [name for name in archive.namelist() if name.startswith("/") or "../" in name]
        assert len({name.split("/")[0] for name in archive.namelist()}) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_a_module_that_changed_since_it_was_verified_is_not_bundled(
    tmp_path: Path, in_place: bool
) -> None:
    module = verified(tmp_path)
    other = verified(tmp_path / "other", files={"NOTICE.txt": b"evil"}).path.read_bytes()
    if not in_place:
        module.path.unlink()
    module.path.write_bytes(other)
    with pytest.raises(VerificationError, match="changed while it was being checked"):
        write_bundle(module, output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_module_that_changes_while_it_is_bundled_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = verified(tmp_path, files={"large.jar": Random(1).randbytes(300_000)})
    data = bytearray(module.path.read_bytes())
    data[150_000] ^= 1
    other = tmp_path / "other.modl"
    other.write_bytes(data)
    with mapped_writer(module.path, other) as attacker:

        def write_then_change(*arguments: Any) -> bytes:
            sbom = write_sbom(*arguments)
            attacker.write(0)
            return sbom

        monkeypatch.setattr("ign_deploy.packaging.bundle.write_sbom", write_then_change)
        with pytest.raises(VerificationError, match="changed while it was being checked"):
            write_bundle(module, output_dir=tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
