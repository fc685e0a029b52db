"""A session: what could spoil the end of a run is noticed before it begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.pipeline.transfer import Published, publish_module
from tests.support.cli import KEY, MODULE, CliWorkspace, make_workspace

RELEASE = ("module", MODULE, *KEY)


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A working folder with a key and a signed module, in a job on GitHub."""
    made = make_workspace(tmp_path)
    made.call("sign", MODULE, *KEY, "-o", "signed").must(0)
    return made


def on_github(workspace: CliWorkspace, **changes: str) -> dict[str, str]:
    folder = workspace.folder
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        **changes,
    }
    return {name: value for name, value in env.items() if value}


def unusable(workspace: CliWorkspace, kind: str) -> str:
    """Return the path of a file that can't be written, not even by root."""
    if kind == "a folder":
        (workspace.folder / "folder").mkdir()
        return "folder"
    if kind == "a named pipe":
        os.mkfifo(workspace.folder / "pipe")
        return "pipe"
    return f"{MODULE}/below-a-file"


KINDS = ("a folder", "a named pipe", "below a file")


@pytest.mark.parametrize("kind", ["unset", *KINDS])
def test_outputs_that_can_not_be_written_are_noticed_before_anything_is_published(
    workspace: CliWorkspace, kind: str
) -> None:
    output = "" if kind == "unset" else unusable(workspace, kind)
    env = on_github(workspace, GITHUB_OUTPUT=output)
    for command in (RELEASE, ("upload", "signed/pump.modl"), ("sign", MODULE, *KEY)):
        result = workspace.call(*command, env=env).must(2)
        assert "GITHUB_OUTPUT" in result.stderr
    assert not workspace.repository.exists()
    assert not (workspace.folder / "dist").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_that_can_not_be_written_is_a_warning(workspace: CliWorkspace, kind: str) -> None:
    env = on_github(workspace, GITHUB_STEP_SUMMARY=unusable(workspace, kind))
    result = workspace.call(*RELEASE, env=env).must(0)
    before, _, after = result.stderr.partition("ok: repository")
    assert "::warning::there will be no summary: cannot write" in before
    assert "::warning::cannot write the summary" in after
    assert "uploaded" in (workspace.folder / "output").read_text()
    workspace.call("verify", MODULE, env=env).must(5)
    failed = workspace.call("download", "unknown", "--json", env=env).must(6)
    assert failed.document["result"] == "failed"


def test_a_runner_without_summaries_is_no_problem(workspace: CliWorkspace) -> None:
    env = on_github(workspace, GITHUB_STEP_SUMMARY="")
    result = workspace.call(*RELEASE, env=env).must(0)
    assert "GITHUB_STEP_SUMMARY is not set: there will be no summary" in result.stderr


def test_outputs_that_vanish_during_the_run_do_not_hide_the_result(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(*arguments: Any, **options: Any) -> Published:
        (workspace.folder / "output").unlink()
        (workspace.folder / "output").mkdir()
        return publish_module(*arguments, **options)

    monkeypatch.setattr("ign_deploy.cli.repository.publish_module", vanish)
    result = workspace.call("upload", "signed/pump.modl", "--json", env=on_github(workspace))
    assert result.must(2).document["result"] == "uploaded"
    assert "GITHUB_OUTPUT" in result.stderr


@pytest.mark.parametrize("kind", [*KINDS, "not a trail"])
@pytest.mark.parametrize("command", ["module", "upload", "yank", "mirror"])
def test_an_audit_trail_that_can_not_be_written_is_noticed_before_any_change(
    workspace: CliWorkspace, kind: str, command: str
) -> None:
    workspace.call("upload", "signed/pump.modl", "--repository-url", "other").must(0)
    if command == "yank":
        workspace.call("upload", "signed/pump.modl").must(0)
    trail = MODULE if kind == "not a trail" else unusable(workspace, kind)
    before = workspace.tree()
    arguments = {
        "module": RELEASE,
        "upload": ("upload", "signed/pump.modl"),
        "yank": ("yank", "com.example.pump@1.2.3", "--reason", "broken"),
        "mirror": ("mirror", "other"),
    }[command]
    result = workspace.call(*arguments, "--audit-file", trail).must(2)
    assert trail in result.stderr
    after = workspace.tree()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert not [name for name in changed if name.startswith("module-repository/modules")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_metrics_file_that_can_not_be_written_is_noticed_before_any_change(
    workspace: CliWorkspace, kind: str
) -> None:
    result = workspace.call(*RELEASE, "--metrics-file", unusable(workspace, kind)).must(2)
    assert "metrics file" in result.stderr
    assert not workspace.repository.exists()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_reports_that_can_not_be_written_never_fail_a_release(
    workspace: CliWorkspace, kind: str
) -> None:
    """The result file and JUnit's: the release is published all the same."""
    (workspace.folder / "dist").mkdir()
    for name in ("ign-deploy-result.json", "ign-deploy-junit.xml"):
        path = workspace.folder / "dist" / name
        path.mkdir() if kind == "a folder" else os.mkfifo(path)
    env = {"JENKINS_URL": "https://jenkins.test"}
    result = workspace.call(*RELEASE, "--json", env=env).must(0)
    assert result.document["result"] == "uploaded"
