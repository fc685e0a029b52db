"""Git in a hostile checkout: what its configuration names is not started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ign_deploy.pipeline.git import Git
from tests.support.builds import script
from tests.support.git import git

ENV = {"PATH": "/usr/bin:/bin", "HTTPS_PROXY": "http://user:test-secret@proxy", "HOME": "/nowhere"}
MISSING = "1" * 40


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "file").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that leaves a trace, with the environment that it saw."""
    return script(tmp_path / "program", f"env >{tmp_path}/started")


def ask_everything(folder: Path) -> None:
    (folder / "file").write_text("two")
    asked = Git.at(folder / "file", ENV)
    assert asked is not None
    head = asked.head
    assert head
    assert asked.branches("main") == ["refs/heads/main"]
    assert asked.contains("refs/heads/main")
    assert not asked.is_shallow()
    assert not asked.knows(MISSING)
    assert asked.knows(head)
    assert asked.descends_from(head)
    assert asked.is_unchanged_since(head)
    assert asked.tracks_it()
    assert (asked.tagged("main"), asked.left("refs/heads/main")) == ("", "")


def plain(folder: Path, *arguments: str) -> None:
    """Run git as it is, with the checkout's configuration."""
    subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, env={"PATH": ENV["PATH"]}, check=False
    )


def started(program: Path) -> bool:
    return (program.parent / "started").exists()


def test_a_promisor_at_a_program_is_not_asked(checkout: Path, program: Path) -> None:
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "remote.origin.fetch": "+refs/heads/*:refs/remotes/origin/*",
        "protocol.ext.allow": "always",
        "protocol.allow": "always",
    }.items():
        git(checkout, "config", name, value)
    ask_everything(checkout)
    assert not started(program)
    plain(checkout, "cat-file", "-e", f"{MISSING}^{{commit}}")
    assert started(program), "the attack itself works"


def test_programs_in_the_configuration_are_not_started(checkout: Path, program: Path) -> None:
    included = checkout / "included"
    git(checkout, "config", "--file", str(included), "core.fsmonitor", str(program))
    git(checkout, "config", "include.path", str(included))
    for name in (
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "diff.own.textconv",
        "filter.own.clean",
        "filter.own.smudge",
        "credential.helper",
        "core.editor",
    ):
        git(checkout, "config", name, str(program))
    (checkout / ".gitattributes").write_text("* diff=own filter=own\n")
    hooks = checkout / ".git" / "hooks"
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        script(hooks / hook, f"exec {program}")
    ask_everything(checkout)
    assert not started(program)
    plain(checkout, "status")
    assert started(program), "the attack itself works"


def test_the_user_s_own_configuration_does_not_count(
    checkout: Path, program: Path, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text(f"[core]\n\tfsmonitor = {program}\n[bad\n")
    asked = Git.at(checkout, {**ENV, "HOME": str(tmp_path)})
    assert asked is not None
    assert asked.head


def test_git_gets_no_variable_of_ours(checkout: Path) -> None:
    asked = Git.at(checkout, {**ENV, "GIT_DIR": "/elsewhere", "GIT_EXTERNAL_DIFF": "evil"})
    assert asked is not None
    assert "test-secret" not in "".join(asked.env.values())
    assert not {"GIT_DIR", "GIT_EXTERNAL_DIFF", "HOME"} & asked.env.keys()


def commit(folder: Path, name: str, text: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize("kind", ["folder", "submodule", "worktree"])
def test_what_was_found_once_counts_whatever_a_build_does(
    checkout: Path, tmp_path: Path, kind: str
) -> None:
    first = git(checkout, "rev-parse", "HEAD").strip()
    last = commit(checkout, "file", "two")
    folder = checkout
    if kind == "worktree":
        folder = tmp_path / "tree"
        git(checkout, "worktree", "add", "--quiet", str(folder))
    elif kind == "submodule":
        outer = tmp_path / "outer"
        git(tmp_path, "init", "--quiet", str(outer))
        add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout))
        git(outer, *add, "sub")
        folder = outer / "sub"
    assert (folder / ".git").is_file() == (kind != "folder")
    found, named = Git.at(folder, ENV), Git.at(folder / "file", ENV)
    # Where nothing seems to have changed since the first commit, and nothing is tracked.
    foreign = tmp_path / "foreign"
    git(tmp_path, "clone", "--quiet", str(checkout), str(foreign))
    git(foreign, "reset", "--quiet", "--hard", first)
    (folder / ".git").rename(folder / "moved")
    (folder / ".git").write_text(f"gitdir: {foreign / '.git'}\n")
    fooled = Git.at(folder, ENV)
    assert fooled is not None
    assert fooled.is_unchanged_since(first), "the attack itself works"
    if kind == "folder":
        (folder / ".git").unlink()
        (folder / "moved").rename(folder / ".git")
    for asked in (found, named):
        assert asked is not None
        assert asked.head == last
        assert not asked.is_unchanged_since(first)
        assert asked.is_unchanged_since(last)
        assert asked.tracks_it()
        assert asked.descends_from(first)


@pytest.mark.parametrize("name", ["sub folder", "two\nlines", " end ", "*", "\udcff"])
def test_folders_of_any_name_are_asked_for(checkout: Path, name: str) -> None:
    first = git(checkout, "rev-parse", "HEAD").strip()
    folder = checkout / name
    untracked = Git.at(checkout / "none", ENV)
    assert untracked is not None
    assert not untracked.tracks_it()
    last = commit(checkout, f"{name}/file", "two")
    for path in (folder, folder / "file"):
        asked = Git.at(path, ENV)
        assert asked is not None
        assert asked.tracks_it()
        assert not asked.is_unchanged_since(first)
        assert asked.is_unchanged_since(last)


def test_a_checkout_without_a_commit_has_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    asked = Git.at(tmp_path, ENV)
    assert asked is not None
    assert (asked.head, asked.tracks_it(), asked.is_unchanged_since(MISSING)) == ("", False, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a checkout another user's")
def test_another_user_s_checkout_is_read(checkout: Path) -> None:
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1001, 1001)
    ask_everything(checkout)


def test_a_tag_is_found_by_its_exact_name(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    one = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "tag", "light")
    git(tmp_path, "tag", "-a", "-m", "full", "full")
    git(tmp_path, "checkout", "-q", "-b", "side")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "two")
    asked = Git.at(tmp_path, ENV)
    assert asked is not None
    assert (asked.tagged("light"), asked.tagged("full")) == (one, one)
    for name in ("l*", "light^{commit}", "--all", "lig", "", "../heads/main"):
        assert asked.tagged(name) == ""
    assert asked.left("refs/heads/main") == one
    assert asked.left("refs/heads/side") == ""
    assert asked.left("refs/heads/none") == ""
