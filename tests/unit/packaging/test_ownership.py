"""What root leaves in somebody's workspace."""

from __future__ import annotations

import os
from pathlib import Path

from ign_deploy.packaging.ownership import git_variables, give_back
from ign_deploy.process import build_environment, run

SOMEBODY = 12345


def test_files_of_root_in_somebody_s_folder_are_given_to_somebody(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "made").touch()
    (tmp_path / "outside").symlink_to("/etc/hostname")
    if os.geteuid() != 0:  # another user can neither make such a folder nor leave such files
        assert give_back(tmp_path) == 0
        return
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    assert give_back(tmp_path) == 3
    owners = {path: path.lstat().st_uid for path in tmp_path.rglob("*")}
    assert set(owners.values()) == {SOMEBODY}
    assert Path("/etc/hostname").stat().st_uid == 0


def test_root_s_own_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    assert give_back(tmp_path) == 0
    assert give_back(tmp_path / "missing") == 0


def test_git_reads_a_working_tree_of_somebody_else(tmp_path: Path) -> None:
    def git(*arguments: str) -> tuple[int, tuple[str, ...]]:
        env = build_environment(
            {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, extra=git_variables(folder)
        )
        completed = run(
            ("git", *arguments), cwd=folder, env=env, timeout=20, on_line=lambda line: None
        )
        return completed.returncode, completed.tail

    folder = tmp_path / "tree" / "project"
    folder.mkdir(parents=True)
    assert git_variables(folder) == {}
    assert git("init", "--quiet", "--initial-branch=main", str(tmp_path / "tree"))[0] == 0
    assert git_variables(folder) == {}  # our own
    if os.geteuid() == 0:
        for path in (tmp_path / "tree", tmp_path / "tree" / ".git"):
            os.chown(path, SOMEBODY, SOMEBODY)
        assert git("rev-parse", "--show-prefix") == (0, ("project/",))
