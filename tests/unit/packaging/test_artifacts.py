"""Which files a build has made, and which were there before."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging.artifacts import (
    built_modules,
    find_artifacts,
    reject_lfs_pointer,
    take_snapshot,
    unsigned_name,
    without_twins,
)


def write(root: Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def found(root: Path, before: object = None, module_list: Path | None = None) -> list[str]:
    snapshot = before if isinstance(before, dict) else {}
    paths = find_artifacts(root, before=snapshot, module_list=module_list)
    return [path.relative_to(root).as_posix() for path in paths]


def test_build_and_target_folders_are_searched(tmp_path: Path) -> None:
    write(tmp_path, "build/A.modl", "b/build/modules/B.modl", "c/target/C.modl", "src/D.modl")
    assert found(tmp_path) == ["b/build/modules/B.modl", "build/A.modl", "c/target/C.modl"]


@pytest.mark.parametrize("folder", [".gradle", "node_modules", ".git"])
def test_caches_are_not_searched(tmp_path: Path, folder: str) -> None:
    write(tmp_path, "build/A.modl", f"{folder}/x/build/B.modl")
    assert found(tmp_path) == ["build/A.modl"]


def test_files_of_an_earlier_build_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, "build/old.modl")
    before = take_snapshot(tmp_path)
    write(tmp_path, "build/new.modl")
    assert found(tmp_path, before) == ["build/new.modl"]


def test_a_file_written_again_counts_even_with_its_old_time(tmp_path: Path) -> None:
    write(tmp_path, "build/A.modl")
    before = take_snapshot(tmp_path)
    status = (tmp_path / "build/A.modl").stat()
    write(tmp_path, "build/A.new")
    os.utime(tmp_path / "build/A.new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "build/A.new").replace(tmp_path / "build/A.modl")
    assert found(tmp_path, before) == ["build/A.modl"]


def test_only_old_files_is_an_error_that_names_one(tmp_path: Path) -> None:
    write(tmp_path, "build/old.modl")
    with pytest.raises(PackagingError, match=r"build/old\.modl is from an earlier build") as caught:
        found(tmp_path, take_snapshot(tmp_path))
    assert "clean" in caught.value.hint


def test_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"made no \.modl"):
        found(tmp_path)


def test_the_init_script_s_list_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "build/decoy.modl", "sub/out/A.unsigned.modl")
    module_list = tmp_path / "list.json"
    module_list.write_text(json.dumps([{"path": ":sub", "buildDir": str(tmp_path / "sub/out")}]))
    assert found(tmp_path, module_list=module_list) == ["sub/out/A.unsigned.modl"]


@pytest.mark.parametrize("folder", ["{outside}", "../outside", "link", "link/deep", "\0"])
def test_a_build_folder_outside_the_project_is_an_error(tmp_path: Path, folder: str) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside"
    write(outside, "secret.modl", "deep/secret.modl")
    write(root, "build/A.modl")
    (root / "link").symlink_to(outside)
    module_list = tmp_path / "list.json"
    module_list.write_text(json.dumps([{"buildDir": folder.format(outside=outside)}]))
    with pytest.raises(PackagingError, match="is outside the project") as caught:
        found(root, module_list=module_list)
    assert ascii(folder.format(outside=outside)) in caught.value.message


def test_a_project_and_its_build_folder_may_be_behind_links(tmp_path: Path) -> None:
    write(tmp_path, "real/out/A.modl")
    (tmp_path / "project").symlink_to("real")
    (tmp_path / "real" / "build").symlink_to("out")
    module_list = tmp_path / "list.json"
    root = tmp_path / "project"
    module_list.write_text(json.dumps([{"buildDir": str(root / "build")}]))
    assert found(root, module_list=module_list) == ["out/A.modl"]
    with pytest.raises(PackagingError, match="made no"):
        found(root, take_snapshot(root), module_list)


@pytest.mark.parametrize("text", ["", "{", "null", "[1, null, {}]", '[{"buildDir": 3}]', '"x"'])
def test_a_list_that_makes_no_sense_is_ignored(tmp_path: Path, text: str) -> None:
    write(tmp_path, "build/A.modl")
    module_list = tmp_path / "list.json"
    module_list.write_text(text)
    assert found(tmp_path, module_list=module_list) == ["build/A.modl"]


def test_the_plugin_s_report_names_the_files(tmp_path: Path) -> None:
    write(tmp_path, "out/A.unsigned.modl", "out/A.modl", "build/decoy.modl")
    report = {"metaInfo": {"fileName": "A.modl"}, "checksum": "stale"}
    (tmp_path / "out/buildResult.json").write_text(json.dumps(report))
    assert found(tmp_path) == ["out/A.unsigned.modl"]


def test_a_report_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "outside.modl", "project/build/A.modl", "project/out/x")
    (tmp_path / "project/out/buildResult.json").write_text('{"file": "../../outside.modl"}')
    assert found(tmp_path / "project") == ["build/A.modl"]


def test_links_are_no_modules(tmp_path: Path) -> None:
    write(tmp_path, "secret.modl", "project/build/A.modl")
    root = tmp_path / "project"
    (root / "build" / "B.modl").symlink_to(tmp_path / "secret.modl")
    (root / "out").mkdir()
    (root / "out" / "C.modl").symlink_to(tmp_path / "secret.modl")
    (root / "out" / "buildResult.json").write_text('["C.modl"]')
    assert found(root) == ["build/A.modl"]
    assert built_modules(root) == [root / "build" / "A.modl"]


def test_of_twins_the_unsigned_one_is_taken() -> None:
    paths = [Path("A.modl"), Path("A.unsigned.modl"), Path("B-unsigned.modl"), Path("C.modl")]
    assert without_twins(paths) == (paths[1], paths[2], paths[3])
    assert without_twins(reversed(paths)) == (paths[3], paths[2], paths[1])


def test_unsigned_modules_are_named_so() -> None:
    twice = Path("A.unsigned.unsigned.modl")
    assert without_twins([Path("A.modl"), twice]) == (twice,)
    assert unsigned_name(twice) == twice.name
    assert unsigned_name(Path("Pump.modl")) == "Pump.unsigned.modl"
    assert unsigned_name(Path("Pump.unsigned.modl")) == "Pump.unsigned.modl"
    assert unsigned_name(Path("pump-unsigned.modl")) == "pump-unsigned.modl"


def test_a_git_lfs_pointer_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "Pump.modl"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(PackagingError, match="Git LFS pointer") as caught:
        reject_lfs_pointer(path)
    assert "git lfs pull" in caught.value.hint


def test_a_pipe_in_place_of_a_report_or_a_list_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "buildResult.json")
    os.mkfifo(tmp_path / "modules.json")
    made = tmp_path / "build" / "pump.modl"
    made.parent.mkdir()
    made.touch()
    assert find_artifacts(tmp_path, before={}, module_list=tmp_path / "modules.json") == (made,)


def test_folders_of_any_depth_are_searched(tmp_path: Path) -> None:
    deep = tmp_path / "build"
    deep.mkdir()
    for _ in range(1200):
        deep /= "d"
        deep.mkdir()
    try:
        assert built_modules(tmp_path) == []
        (deep / "deep.modl").touch()
        assert built_modules(tmp_path) == [deep / "deep.modl"]
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "build")], check=True)
