"""What root leaves in someone's workspace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ign_deploy.packaging.ownership import git_variables, giving_back
from ign_deploy.process import build_environment, run_command

OTHER_USER = 12345
is_root = os.geteuid() == 0


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder of someone's with a file of theirs; of our own for those who can't give away."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "source").touch()
    if is_root:
        for path in (folder, folder / "source"):
            os.chown(path, OTHER_USER, OTHER_USER)
    return folder


def owners(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_uid for path in folder.rglob("*")}


def test_what_a_run_makes_in_someone_s_folder_is_someone_s(workspace: Path) -> None:
    with giving_back([workspace, workspace]):
        (workspace / "build" / "deep").mkdir(parents=True)
        (workspace / "build" / "deep" / "made").touch()
    expected = OTHER_USER if is_root else os.geteuid()
    assert set(owners(workspace).values()) == {expected}


def test_also_when_the_run_fails(workspace: Path) -> None:
    def failing_run() -> None:
        with giving_back([workspace]):
            (workspace / "made").touch()
            raise KeyError

    with pytest.raises(KeyError):
        failing_run()
    assert owners(workspace)["made"] == (OTHER_USER if is_root else os.geteuid())


def test_what_was_root_s_before_stays_so(workspace: Path) -> None:
    (workspace / "old").write_text("before")
    (workspace / "replaced").touch()
    with giving_back([workspace]):
        with (workspace / "old").open("a") as stream:
            stream.write(" and after")
        (workspace / "new").touch()
        (workspace / "new").replace(workspace / "replaced")
    found = owners(workspace)
    assert found["old"] == os.geteuid()
    assert found["replaced"] == (OTHER_USER if is_root else os.geteuid())


def test_links_are_not_followed(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").touch()
    with giving_back([workspace]):
        (workspace / "to-file").symlink_to(outside / "file")
        (workspace / "to-folder").symlink_to(outside / "folder")
        (workspace / "second-name").hardlink_to(outside / "file")
    assert {*owners(outside).values(), outside.stat().st_uid} == {os.geteuid()}
    assert owners(workspace)["to-folder"] == (OTHER_USER if is_root else os.geteuid())


def test_a_tree_deeper_than_any_stack_is_given_back(workspace: Path) -> None:
    with giving_back([workspace]):
        folder = workspace
        for _ in range(1500):
            folder = folder / "d"
            folder.mkdir()
    owner = folder.stat().st_uid
    assert owner == (OTHER_USER if is_root else os.geteuid())
    # pytest's own clean-up recurses, and fails later and elsewhere when it meets this tree.
    while folder != workspace:
        folder.rmdir()
        folder = folder.parent


def test_root_s_own_folder_and_missing_ones_are_left_alone(tmp_path: Path) -> None:
    with giving_back([tmp_path, tmp_path / "missing", tmp_path / "made"]):
        (tmp_path / "made").touch()
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


def test_git_reads_a_working_tree_of_someone_else(tmp_path: Path) -> None:
    def git(*arguments: str) -> tuple[int, tuple[str, ...]]:
        env = build_environment(
            {"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            extra=git_variables(folder, uid=os.geteuid()),
        )
        completed = run_command(
            ("git", *arguments), cwd=folder, env=env, timeout=20, on_line=lambda line: None
        )
        return completed.returncode, completed.tail

    folder = tmp_path / "tree" / "project"
    folder.mkdir(parents=True)
    assert git_variables(folder, uid=os.geteuid()) == {}
    assert git("init", "--quiet", "--initial-branch=main", str(tmp_path / "tree"))[0] == 0
    assert git_variables(folder, uid=os.geteuid()) == {}  # our own
    if is_root:
        for path in (tmp_path / "tree", tmp_path / "tree" / ".git"):
            os.chown(path, OTHER_USER, OTHER_USER)
        assert git("rev-parse", "--show-prefix") == (0, ("project/",))


def test_git_reads_a_tree_of_ours_whose_git_folder_is_someone_else_s(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    if is_root:
        os.chown(tmp_path / ".git", OTHER_USER, OTHER_USER)
    assert bool(git_variables(tmp_path, uid=os.geteuid())) == is_root
