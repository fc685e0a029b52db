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
    asked = Git.at(folder, ENV)
    assert asked is not None
    head = asked.head()
    assert head
    assert asked.branches("main") == ["refs/heads/main"]
    assert asked.contains("refs/heads/main")
    assert not asked.is_shallow()
    assert not asked.knows(MISSING)
    assert asked.knows(head)
    assert asked.descends_from(head)
    assert asked.is_unchanged_since(head, "file")
    assert asked.tracks("file")


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
    assert asked.head()


def test_git_gets_no_variable_of_ours(checkout: Path) -> None:
    asked = Git.at(checkout, {**ENV, "GIT_DIR": "/elsewhere", "GIT_EXTERNAL_DIFF": "evil"})
    assert asked is not None
    assert "test-secret" not in "".join(asked.env.values())
    assert not {"GIT_DIR", "GIT_EXTERNAL_DIFF", "HOME"} & asked.env.keys()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a checkout another user's")
def test_another_user_s_checkout_is_read(checkout: Path) -> None:
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1001, 1001)
    ask_everything(checkout)
