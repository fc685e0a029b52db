"""What a build does to the files of this run that lie in its project."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import PackagingError
from ign_deploy.packaging.build import PackageOptions, package_project
from ign_deploy.packaging.project import detect_project
from ign_deploy.packaging.protected import Protected
from tests.support.builds import PATH, gradle_wrapper
from tests.support.modules import build_module

ENV = {"PATH": PATH}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that the build wants us to write to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def build(root: Path, *lines: str, kept: tuple[Path, ...] = (), fails: bool = False) -> None:
    made = build_module(root.parent / "made.modl")
    end = "exit 1" if fails else "true"
    gradle_wrapper(root, "mkdir -p build", f"cp {made} build/Pump.modl", *lines, end)
    package_project(
        detect_project(root, env=ENV),
        options=PackageOptions(output_dir=root / "dist", protected=Protected(kept)),
        env=ENV,
    )


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("before", ["missing", "folder", "link"])
def test_a_link_in_the_place_of_the_output_folder_is_removed(
    tmp_path: Path, outside: Path, before: str, *, fails: bool
) -> None:
    root = tmp_path / "project"
    (root / "there").mkdir(parents=True)
    if before == "folder":
        (root / "dist").mkdir()
    elif before == "link":
        (root / "dist").symlink_to("there")
    expected = "exit code 1" if fails else f"link in the place of {root / 'dist'}"
    with pytest.raises(PackagingError, match=expected):
        build(root, f"rm -rf dist; ln -s {outside} dist", fails=fails)
    assert not (root / "dist").is_symlink()
    assert list(outside.iterdir()) == []


def test_a_link_that_was_there_stays(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "dist").symlink_to(outside)
    build(root)
    assert [path.name for path in outside.iterdir()] == ["Pump.unsigned.modl"]


def test_a_link_in_the_place_of_the_project_leads_nowhere(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "project"
    (outside / "build").mkdir()
    build_module(outside / "build" / "Secret.modl")
    with pytest.raises(PackagingError, match=f"link in the place of {root}, which"):
        build(root, f"cd .. && mv project gone && ln -s {outside} project")
    assert not root.exists()
    assert not (outside / "dist").exists()


def test_a_build_may_remake_the_output_folder(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "dist").mkdir(parents=True)
    build(root, "rm -rf dist; mkdir dist; touch dist/page.js")
    assert (root / "dist" / "Pump.unsigned.modl").exists()


def test_a_build_cannot_make_the_repository_first(tmp_path: Path) -> None:
    root = tmp_path / "project"
    forged = "mkdir -p repository/modules; touch repository/index.json"
    with pytest.raises(PackagingError, match=f"the build made {root / 'repository'}, which"):
        build(root, forged, kept=(root / "repository",))


def test_what_another_run_makes_elsewhere_meanwhile_is_no_error(tmp_path: Path) -> None:
    shared = tmp_path / "repository"
    build(tmp_path / "project", f"mkdir {shared}", kept=(shared,))
