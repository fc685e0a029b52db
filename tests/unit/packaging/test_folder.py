"""A bare folder: what is listed goes in, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, IgnDeployError, PackagingError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.checks import check_module
from ign_deploy.module.packer import pack as pack_members
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.folder import folder_members, read_folder_descriptor
from ign_deploy.packaging.preflight import build_findings
from ign_deploy.packaging.project import ProjectKind, detect_project
from tests.support.modules import module_files, module_xml


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def pack(root: Path, output: Path, **expected: str) -> UnsignedModule:
    options = PackageOptions(output_dir=output, **expected)  # type: ignore[arg-type]  # texts only
    project = detect_project(root, env={})
    assert project.kind is ProjectKind.FOLDER
    (module,) = package_project(project, options=options, env={})
    return module


def test_a_sound_module_is_made(tmp_path: Path) -> None:
    module = pack(folder(tmp_path / "in", module_files()), tmp_path / "dist")
    assert module.path == tmp_path / "dist" / "Pump.unsigned.modl"
    with Archive.open(module.path) as archive:
        assert check_module(archive) == ()


def test_the_location_and_times_of_the_folder_do_not_matter(tmp_path: Path) -> None:
    first = pack(folder(tmp_path / "a", module_files()), tmp_path / "1").path
    second = pack(folder(tmp_path / "b", module_files()), tmp_path / "2").path
    assert first.read_bytes() == second.read_bytes()


def test_keys_and_other_files_stay_out(tmp_path: Path) -> None:
    extra = {
        "signing.key": b"secret",
        "keystore.jks": b"secret",
        "notes.txt": b"x",
        ".git/config": b"x",
        "doc/.DS_Store": b"x",
        "old.modl": b"x",
        "certificates.p7b": b"x",
        "NOTICE.txt": b"notice",
    }
    module = pack(folder(tmp_path / "in", {**module_files(), **extra}), tmp_path / "dist")
    with Archive.open(module.path) as archive:
        names = [entry.name for entry in archive.entries]
    assert names == sorted([*module_files(), "NOTICE.txt"])


def test_every_missing_file_is_named(tmp_path: Path) -> None:
    xml = module_xml(jars=(("G", "a.jar"), ("D", "lib/b.jar")))
    root = folder(tmp_path, {"module.xml": xml})
    with pytest.raises(PackagingError, match=r"a\.jar, lib/b\.jar, license\.html"):
        pack(root, tmp_path / "dist")
    assert [finding.code for finding in build_findings(detect_project(root, env={}), env={})] == [
        "folder-incomplete"
    ]


@pytest.mark.parametrize("name", ["../outside.jar", "/etc/hostname"])
def test_files_outside_are_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.jar").touch()
    xml = module_xml(jars=(("G", name),), texts={"license": None})
    with pytest.raises(PackagingError, match="is outside the folder"):
        pack(folder(tmp_path / "in", {"module.xml": xml}), tmp_path / "dist")


def test_symbolic_links_are_rejected_also_as_folders(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jar").touch()
    xml = module_xml(jars=(("G", "lib/a.jar"),), texts={"license": None})
    root = folder(tmp_path / "in", {"module.xml": xml})
    (root / "lib").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackagingError, match="symbolic link"):
        pack(root, tmp_path / "dist")


@pytest.mark.parametrize(
    "xml", [b"<modules>", b"<modules/>", b'<!DOCTYPE x [<!ENTITY a "b">]><modules/>', b"x" * 2**21]
)
def test_a_module_xml_that_says_nothing_sound_is_rejected(tmp_path: Path, xml: bytes) -> None:
    root = folder(tmp_path, {"module.xml": xml})
    with pytest.raises(IgnDeployError):
        pack(root, tmp_path / "dist")
    assert build_findings(detect_project(root, env={}), env={})


def test_a_folder_without_jars_is_a_problem(tmp_path: Path) -> None:
    xml = module_xml(jars=(), texts={"license": None})
    root = folder(tmp_path, {"module.xml": xml})
    (finding,) = build_findings(detect_project(root, env={}), env={})
    assert "lists no jar" in finding.message


def test_another_version_than_requested_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        pack(
            folder(tmp_path / "in", module_files()),
            tmp_path / "dist",
            expected_version="2.0.0",
            expected_id="com.example.other",
        )
    assert [finding.code for finding in caught.value.findings] == [
        "version-mismatch",
        "id-mismatch",
    ]
    assert not (tmp_path / "dist").exists()


def test_a_pipe_that_appears_late_does_not_hang(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", {"NOTICE.txt": b""})
    os.mkfifo(root / "module.xml")
    with pytest.raises(OSError, match="not a regular file"):
        read_folder_descriptor(root)


def test_a_link_that_appears_late_is_not_packed(tmp_path: Path) -> None:
    root = folder(tmp_path / "in", module_files())
    members = folder_members(root, read_folder_descriptor(root))
    (root / "pump.jar").unlink()
    (root / "pump.jar").symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError, match=r"cannot read .*pump\.jar"):
        pack_members(members, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    ("present", "listed", "remark"),
    [
        ("Pump.jar", "pump.jar", " (there is Pump.jar; letter case matters)"),
        ("other.jar", "pump.jar", ""),
        ("../Pump.jar", "../pump.jar", ""),
    ],
)
def test_a_missing_file_is_listed_with_one_that_differs_only_in_case(
    tmp_path: Path, present: str, listed: str, remark: str
) -> None:
    texts = module_xml(jars=(("G", listed),))
    root = folder(tmp_path / "in", {"module.xml": texts, "license.html": b"x", present: b"x"})
    with pytest.raises(PackagingError) as caught:
        folder_members(root, read_folder_descriptor(root))
    assert caught.value.message.endswith(f"lists: {listed}{remark}")
