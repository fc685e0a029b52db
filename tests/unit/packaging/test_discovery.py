"""Finding projects below a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging import discovery
from ign_deploy.packaging.discovery import Discovery, expand_patterns, find_projects


def make(root: Path, *files: str) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize(
    "sign", ["gradlew", "settings.gradle", "build.gradle.kts", "mvnw", "pom.xml", "module.xml"]
)
def test_a_project_is_known_by_its_files(tmp_path: Path, sign: str) -> None:
    make(tmp_path, f"modules/pump/{sign}")
    assert find_projects(tmp_path).projects == (Path("modules/pump"),)


def test_a_project_s_own_folders_are_not_searched(tmp_path: Path) -> None:
    make(tmp_path, "settings.gradle", "gateway/build.gradle")
    assert find_projects(tmp_path) == Discovery((Path(),))


def test_several_projects_are_sorted(tmp_path: Path) -> None:
    make(tmp_path, "valve/pom.xml", "group/tank/module.xml", "pump/gradlew", "docs/index.md")
    assert find_projects(tmp_path).projects == (Path("group/tank"), Path("pump"), Path("valve"))


def test_what_builds_make_and_what_is_hidden_is_no_project(tmp_path: Path) -> None:
    make(tmp_path, *(f"{name}/pump/pom.xml" for name in ("build", "target", ".git", "dist", "src")))
    elsewhere = make(tmp_path / "elsewhere", "pom.xml")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(elsewhere, target_is_directory=True)
    assert find_projects(tmp_path).projects == (Path("elsewhere"),)


def test_what_is_too_deep_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c/d/pom.xml", "a/b/c/e/f/pom.xml")
    found = find_projects(tmp_path)
    assert found == Discovery((Path("a/b/c/d"),), (Path("a/b/c/e"),))


def test_a_folder_that_cannot_be_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "pump/pom.xml", "locked/readme")
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_projects(tmp_path) == Discovery((Path("pump"),), (Path("locked"),))


def test_a_home_full_of_folders_is_not_searched_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_MOST_FOLDERS", 20)
    make(tmp_path, *(f"{number}/readme" for number in range(21)))
    with pytest.raises(PackagingError, match="more than 20 folders"):
        find_projects(tmp_path)


def test_patterns_find_projects_in_their_order_and_say_what_they_leave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("modules/b", "modules/a", "tools/c", "modules/docs"):
        (tmp_path / name).mkdir(parents=True)
        if "docs" not in name:
            (tmp_path / name / "build.gradle").touch()
    (tmp_path / "modules" / "built.modl").touch()
    (tmp_path / "modules" / "README.md").touch()
    found = expand_patterns(["tools/c", "modules/*", "modules/a"])
    names = ["tools/c", "modules/a", "modules/b", "modules/built.modl"]
    assert [str(path) for path in found.projects] == names
    assert found.left_out == (Path("modules/docs"),)
    assert expand_patterns(["missing"]).projects == (Path("missing"),)  # its own error comes later
    with pytest.raises(PackagingError, match=r"'mdules/\*' in the config file finds no project"):
        expand_patterns(["mdules/*"])
