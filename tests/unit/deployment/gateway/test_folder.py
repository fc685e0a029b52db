"""A folder of modules and its modules.json: whole files, accepted as agreed, copies kept."""

from __future__ import annotations

import json
import os
import stat
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.deployment.gateway import Consent, Installation
from ign_deploy.deployment.gateway.errors import ConsentMissing
from ign_deploy.deployment.gateway.folder import REPLACED, FolderTarget
from ign_deploy.deployment.gateway.folder_files import keep_copy, lock_folder
from ign_deploy.errors import DeploymentError, VerificationError
from ign_deploy.module.certificates import describe
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from tests.support.gateway.client import MODULE_ID, modl, verified
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.releases import tree
from tests.support.signing import vendor

ALL = Consent(certificate=True, license=True)
LICENSE = b"<html>Do what you like.</html>"
OTHER = {"filename": "Other.modl", "onStartup": "disabled", "certFingerprint": "ab", "news": [1]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation's folder of modules; data/modules.json lists another module."""
    modules = tmp_path / "user-lib" / "modules"
    modules.mkdir(parents=True)
    data = tmp_path / "data"
    data.mkdir()
    (data / "modules.json").write_text(json.dumps({"com.example.other": OTHER}))
    return modules


def manifest_path(folder: Path) -> Path:
    return folder.parents[1] / "data" / "modules.json"


def new_style(folder: Path) -> FolderTarget:
    return FolderTarget(folder, manifest=manifest_path(folder))


def entries(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest_path(folder).read_text())
    return document


def put(
    target: FolderTarget, path: Path, *, name: str = "Pump.modl", consent: Consent = ALL
) -> Installation:
    return target.install(target.upload(verified(path), file_name=name), consent=consent)


def test_a_module_gets_its_file_and_an_entry_with_fingerprint_and_crc(
    folder: Path, tmp_path: Path
) -> None:
    path = modl(tmp_path)
    target = new_style(folder)
    assert put(target, path).accepted == ("certificate", "license")
    assert (folder / "Pump.modl").read_bytes() == path.read_bytes()
    assert entries(folder) == {
        "com.example.other": OTHER,
        MODULE_ID: {
            "filename": "Pump.modl",
            "onStartup": "enabled",
            "certFingerprint": describe(vendor().chain[0]).sha1,
            "licenseAgreementHash": zlib.crc32(LICENSE),
        },
    }
    module = target.modules()[0]
    assert (module.id, module.version.full, module.is_quarantined) == (MODULE_ID, "1.0.0", False)
    assert (module.state, module.on_startup) == ("", "enabled")
    assert not module.runs("1.0.0")


def test_reading_writes_nothing(folder: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    target = new_style(folder)
    target.facts()
    target.modules()
    path = modl(tmp_path / "built")
    upload = target.upload(verified(path), file_name="Pump.modl")
    with pytest.raises(ConsentMissing) as raised:
        target.install(upload)
    assert raised.value.certificate_sha1 == describe(vendor().chain[0]).sha1
    assert raised.value.license_crc == zlib.crc32(LICENSE)
    after = {name: data for name, data in tree(tmp_path).items() if not name.startswith("built")}
    assert after == before


def test_an_upgrade_keeps_a_copy_and_needs_no_new_consent(folder: Path, tmp_path: Path) -> None:
    old, new = modl(tmp_path, "1.0.0"), modl(tmp_path, "1.1.0")
    target = new_style(folder)
    put(target, old)
    done = put(target, new, consent=Consent())
    assert done.accepted == ()
    assert done.replaced is not None
    assert done.replaced.parent == folder / REPLACED
    assert done.replaced.suffix == ".bak"
    assert done.replaced.read_bytes() == old.read_bytes()
    assert (folder / "Pump.modl").read_bytes() == new.read_bytes()
    assert [module.version.full for module in target.modules()] == ["1.1.0"]


def test_installing_the_same_file_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    path = modl(tmp_path / "built")
    target = new_style(folder)
    put(target, path)
    before = tree(folder.parents[1])
    assert put(target, path) == Installation()
    assert tree(folder.parents[1]) == before


def test_going_back_is_installing_the_old_file_again(folder: Path, tmp_path: Path) -> None:
    old, new = modl(tmp_path, "1.0.0"), modl(tmp_path, "1.1.0")
    target = new_style(folder)
    put(target, old)
    before = entries(folder)
    put(target, new)
    put(target, old)
    assert (folder / "Pump.modl").read_bytes() == old.read_bytes()
    assert entries(folder) == before


def test_another_signer_or_licence_needs_consent(folder: Path, tmp_path: Path) -> None:
    target = new_style(folder)
    put(target, modl(tmp_path, "1.0.0"))
    key, certificate = self_signed("Other Vendor")
    material = IdentityMaterial(
        key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
    )
    signed = modl(tmp_path, "1.1.0", identity=load_identity(material))
    upload = target.upload(verified(signed), file_name="Pump.modl")
    assert (upload.certificate_accepted, upload.license_accepted) == (False, True)
    changed = modl(tmp_path, "1.2.0", license_text=b"Pay.")
    upload = target.upload(verified(changed), file_name="Pump.modl")
    assert (upload.certificate_accepted, upload.license_accepted) == (True, False)
    (folder / "Pump.modl").write_bytes(changed.read_bytes())
    assert target.modules()[0].quarantine == "License has not been accepted."
    (folder / "Pump.modl").write_bytes(signed.read_bytes())
    assert target.modules()[0].quarantine == "Certificate has not been accepted."


def test_a_module_without_licence_has_none_in_its_entry(folder: Path, tmp_path: Path) -> None:
    target = new_style(folder)
    put(target, modl(tmp_path, "1.0.0"))
    put(target, modl(tmp_path, "1.1.0", license_text=None))
    assert "licenseAgreementHash" not in entries(folder)[MODULE_ID]


def test_a_pipe_in_the_place_of_modules_json_does_not_hang(folder: Path, tmp_path: Path) -> None:
    manifest_path(folder).unlink()
    os.mkfifo(manifest_path(folder))
    with pytest.raises(DeploymentError, match="not a regular file"):
        put(new_style(folder), modl(tmp_path))


def test_other_values_in_an_entry_are_kept(folder: Path, tmp_path: Path) -> None:
    own = {"filename": "Old.modl", "onStartup": "disabled", "note": "by hand"}
    manifest_path(folder).write_text(json.dumps({MODULE_ID: own}))
    old = modl(tmp_path, "1.0.0")
    (folder / "Old.modl").write_bytes(old.read_bytes())
    target = new_style(folder)
    done = put(target, modl(tmp_path, "1.1.0"))
    entry = entries(folder)[MODULE_ID]
    assert (entry["onStartup"], entry["note"], entry["filename"]) == (
        "disabled",
        "by hand",
        "Pump.modl",
    )
    assert not (folder / "Old.modl").exists()
    assert done.replaced is not None
    assert done.replaced.read_bytes() == old.read_bytes()


def test_before_8_3_there_is_no_manifest_and_nothing_to_accept(
    folder: Path, tmp_path: Path
) -> None:
    target = FolderTarget(folder, manifest=None)
    (folder / "pump-old-name.modl").write_bytes(modl(tmp_path, "0.9.0").read_bytes())
    before = manifest_path(folder).read_bytes()
    assert put(target, modl(tmp_path), consent=Consent()).accepted == ()
    assert sorted(path.name for path in folder.glob("*.modl")) == ["Pump.modl"]
    assert manifest_path(folder).read_bytes() == before
    assert [module.quarantine for module in target.modules()] == [""]


def test_a_file_that_is_another_module_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    target = new_style(folder)
    put(target, modl(tmp_path, module_id="com.example.valve"))
    with pytest.raises(DeploymentError, match=r"is module com\.example\.valve"):
        put(target, modl(tmp_path))
    assert [module.id for module in target.modules()] == ["com.example.valve"]


def test_a_damaged_file_is_replaced_and_kept_as_a_copy(folder: Path, tmp_path: Path) -> None:
    (folder / "Pump.modl").write_bytes(b"half of a mod")
    target = new_style(folder)
    assert target.modules() == ()
    done = put(target, modl(tmp_path))
    assert done.replaced is not None
    assert done.replaced.read_bytes() == b"half of a mod"
    assert len(target.modules()) == 1


def test_a_removed_module_leaves_a_copy_and_the_others(folder: Path, tmp_path: Path) -> None:
    target = new_style(folder)
    path = modl(tmp_path)
    put(target, path)
    target.uninstall(MODULE_ID)
    assert entries(folder) == {"com.example.other": OTHER}
    assert list(folder.glob("*.modl")) == []
    kept = [each.read_bytes() for each in (folder / REPLACED).glob("Pump.modl.*")]
    assert kept == [path.read_bytes()]
    target.uninstall(MODULE_ID)


def test_files_keep_their_mode_and_links_are_followed_to_the_manifest(
    folder: Path, tmp_path: Path
) -> None:
    manifest = manifest_path(folder)
    manifest.chmod(0o660)
    link = tmp_path / "link.json"
    link.symlink_to(manifest)
    put(FolderTarget(folder, manifest=link), modl(tmp_path))
    assert link.is_symlink()
    assert MODULE_ID in entries(folder)
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o660
    assert manifest.stat().st_uid == folder.stat().st_uid


@pytest.mark.parametrize("text", ["[]", "{", "17", '"x"', "\ufeff{", "[" * 100_000])
def test_a_broken_manifest_stops_before_anything_is_written(
    folder: Path, tmp_path: Path, text: str
) -> None:
    manifest_path(folder).write_text(text, "utf-8")
    target = new_style(folder)
    for ask in (target.facts, target.modules, lambda: put(target, modl(tmp_path))):
        with pytest.raises(DeploymentError, match=r"is not a valid modules\.json"):
            ask()
    assert list(folder.glob("*.modl")) == []


def test_entries_of_any_type_are_tolerated(folder: Path, tmp_path: Path) -> None:
    manifest_path(folder).write_text(
        json.dumps({MODULE_ID: [1], "a": {"filename": 7, "licenseAgreementHash": True}})
    )
    put(new_style(folder), modl(tmp_path))
    assert entries(folder)["a"] == {"filename": 7, "licenseAgreementHash": True}
    assert entries(folder)[MODULE_ID]["filename"] == "Pump.modl"


def test_a_missing_manifest_is_created(folder: Path, tmp_path: Path) -> None:
    manifest_path(folder).unlink()
    put(new_style(folder), modl(tmp_path))
    assert list(entries(folder)) == [MODULE_ID]


def test_a_folder_that_is_not_there_is_an_obstacle(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path / "none", manifest=None)
    assert target.facts().obstacle == "the folder does not exist"
    assert target.modules() == ()
    with pytest.raises(DeploymentError):
        put(target, modl(tmp_path))
    assert not (tmp_path / "none").exists()


def test_a_full_disk_or_a_directory_in_the_way_is_explained(folder: Path, tmp_path: Path) -> None:
    (folder / "Pump.modl").mkdir()
    with pytest.raises((DeploymentError, VerificationError)):
        put(new_style(folder), modl(tmp_path))
    assert MODULE_ID not in entries(folder)


def test_after_a_kill_between_file_and_manifest_the_same_call_completes_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = modl(tmp_path, "1.0.0"), modl(tmp_path, "1.1.0", license_text=b"New.")
    target = new_style(folder)
    put(target, old)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(FolderTarget, "_write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            put(target, new)
    assert target.modules()[0].is_quarantined
    put(target, new)
    assert not target.modules()[0].is_quarantined
    assert target.modules()[0].version.full == "1.1.0"
    copies = {each.read_bytes() for each in (folder / REPLACED).glob("Pump.modl.*")}
    assert copies == {old.read_bytes()}


def test_concurrent_runs_lose_no_entry(folder: Path, tmp_path: Path) -> None:
    names = [f"com.example.m{number}" for number in range(6)]
    paths = {name: modl(tmp_path, module_id=name) for name in names}

    def work(name: str) -> None:
        put(new_style(folder), paths[name], name=f"{name}.modl")

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(entries(folder)) == {*names, "com.example.other"}


def test_the_wait_for_the_lock_of_another_run_ends(folder: Path) -> None:
    with (
        lock_folder(folder),
        pytest.raises(DeploymentError, match="still locked"),
        lock_folder(folder, timeout=0.05),
    ):
        pass
    with lock_folder(folder, timeout=0.05):
        assert os.listdir(folder) == [".ign-deploy.lock"]


@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_only_a_regular_file_is_replaced(folder: Path, tmp_path: Path, kind: str) -> None:
    """Or a gateway's user would have us wait forever, or copy a file that only we can read."""
    secret = tmp_path / "secret"
    secret.write_text("only root reads this")
    target = folder / "Pump.modl"
    if kind == "pipe":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/zero" if kind == "device" else secret)
    with pytest.raises(DeploymentError, match="not a regular file; nothing was changed"):
        put(new_style(folder), modl(tmp_path))
    assert not (folder / REPLACED).exists()
    assert MODULE_ID not in entries(folder)


def test_a_link_that_appears_late_is_not_copied(folder: Path, tmp_path: Path) -> None:
    (folder / "Pump.modl").symlink_to(modl(tmp_path))
    with pytest.raises(DeploymentError, match="cannot keep a copy"):
        keep_copy(folder / "Pump.modl", folder / REPLACED)


def test_copies_go_nowhere_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / REPLACED).symlink_to(tmp_path / "elsewhere")
    (folder / "Pump.modl").write_bytes(b"damaged")
    with pytest.raises(DeploymentError, match="is a symbolic link"):
        put(new_style(folder), modl(tmp_path))
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (folder / "Pump.modl").read_bytes() == b"damaged"


def test_a_link_to_a_module_is_removed_and_its_target_stays(folder: Path, tmp_path: Path) -> None:
    module = modl(tmp_path)
    (folder / "Linked.modl").symlink_to(module)
    target = FolderTarget(folder, manifest=None)
    assert [each.id for each in target.modules()] == [MODULE_ID]
    target.uninstall(MODULE_ID)
    assert not list(folder.glob("*.modl"))
    assert module.exists()


def test_a_lock_file_that_is_a_link_is_found_before_anything_is_done(folder: Path) -> None:
    (folder / ".ign-deploy.lock").symlink_to("/etc/passwd")
    assert "is a symbolic link" in new_style(folder).facts().obstacle
