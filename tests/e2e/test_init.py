"""From a folder with sources to a signed, published release, with the files that `init` writes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ign_deploy.cli.init import init_text
from ign_deploy.pipeline.scaffold import NextStep
from tests.support.cli import CliWorkspace
from tests.support.git import git
from tests.support.github.server import WRITER, github_simulator
from tests.support.gitlab import commit
from tests.support.modules import bare_folder
from tests.support.node import BIN, TOOLS, run_node
from tests.support.runner import Runner

PASSWORD = "a-password-to-be-redacted"


def checkout(folder: Path, remote: str = "https://github.com/acme/modules.git") -> CliWorkspace:
    bare_folder(folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "remote", "add", "origin", remote)
    return CliWorkspace(folder)


def generated_key(workspace: CliWorkspace, keys: Path) -> dict[str, str]:
    """Make a key as `init` says, and return what the secrets then hold."""
    env = {"MODULE_SIGNING_PASSWORD": PASSWORD}
    arguments = ("--common-name", "Your company", "-o", keys)
    workspace.run("generate-certificate", *arguments, env=env).must(0)
    return {
        "SIGNING_KEY": (keys / "signing.key.pem").read_text(),
        "SIGNING_CERTIFICATE": (keys / "signing.cert.pem").read_text(),
        "SIGNING_PASSWORD": PASSWORD,
    }


def filled(value: str, contexts: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: contexts[found[1]], value)


def test_on_github_the_first_tag_is_a_release(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runner", secrets=(PASSWORD,))
    workspace = checkout(runner.workspace)
    done = workspace.run("init", "--yes").must(0)
    assert done.stdout.startswith("wrote ign-deploy.toml\nwrote .github/workflows/release.yml\n")
    secrets = generated_key(workspace, tmp_path / "keys")
    # Every secret that the workflow reads is one that the printed commands set.
    assert set(re.findall(r"gh secret set (\w+)", done.stdout)) == set(secrets)
    commit(runner.workspace)
    git(runner.workspace, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(runner.workspace, "tag", "v1.2.3")
    steps = workflow_steps(runner.workspace)
    (inputs,) = (step["with"] for step in steps if step["uses"].startswith("org/"))
    contexts = {f"secrets.{name}": value for name, value in secrets.items()}
    with github_simulator(streams=True) as github:
        runner.variables = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REF": "refs/tags/v1.2.3",
            "GITHUB_REF_NAME": "v1.2.3",
            "GITHUB_REF_TYPE": "tag",
        }
        given = {
            name: filled(value, contexts | {"github.token": WRITER})
            for name, value in inputs.items()
        }
        result = runner.run(given)
        assert result.succeeded, (result.problems, result.log)
        assert result.outputs["result"] == "uploaded"
        assert result.leaked == ()
        listed = workspace.run(
            "list-modules", "--json", "--config", "ign-deploy.toml",
            env={"GITHUB_API_URL": github.url, "REPOSITORY_API_TOKEN": WRITER},
        ).must(0)  # fmt: skip
    assert [each["version"] for each in listed.document["modules"]] == ["1.2.3"]


def workflow_steps(folder: Path) -> list[dict[str, Any]]:
    workflow = yaml.safe_load((folder / ".github/workflows/release.yml").read_text())
    steps: list[dict[str, Any]] = workflow["jobs"]["release"]["steps"]
    return [step for step in steps if "uses" in step]


def test_on_gitlab_the_first_tag_is_a_release(tmp_path: Path) -> None:
    project = tmp_path / "pump"
    workspace = checkout(project, "git@gitlab.example.com:plant/pump.git")
    # GitLab itself isn't here, so the repository is a folder.
    workspace.run("init", "--yes", "--repository-url", "module-repository").must(0)
    secrets = generated_key(workspace, tmp_path / "keys")
    files = {
        "MODULE_SIGNING_KEY_PATH": secrets["SIGNING_KEY"],
        "MODULE_SIGNING_CERT_PATH": secrets["SIGNING_CERTIFICATE"],
    }
    variables: dict[str, object] = {
        name: {"type": "file", "values": {"*": content}} for name, content in files.items()
    }
    variables |= {"MODULE_SIGNING_PASSWORD": PASSWORD, "IGN_DEPLOY_IMAGE": "example"}
    (project / ".gitlab-ci-local-variables.yml").write_text(yaml.safe_dump(variables))
    (project / ".gitignore").write_text(".gitlab-ci-local*\n")
    commit(project)
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    child = run_node(
        str(TOOLS / ".bin" / "gitlab-ci-local"),
        "--force-shell-executor",
        "--variable",
        "CI_COMMIT_TAG=v1.2.3",
        cwd=project,
        env={
            "PATH": os.pathsep.join((str(BIN), os.environ.get("PATH", os.defpath))),
            "HOME": str(tmp_path),
            "TERM": "dumb",
            "NO_COLOR": "1",
        },
    )
    assert child.returncode == 0, child.stdout.decode()
    record = project / "module-repository/modules/com.example.pump/1.2.3/release.json"
    assert json.loads(record.read_bytes())["version"] == "1.2.3"


def test_several_modules_are_released_by_a_batch_without_paths(tmp_path: Path) -> None:
    workspace = CliWorkspace(tmp_path)
    for name in ("pump", "valve"):
        bare_folder(tmp_path / "modules" / name, texts={"id": f"com.example.{name}", "name": name})
    done = workspace.run("init", "--yes", "--ci", "jenkins", "--json").must(0)
    assert done.document["projects"] == ["modules/pump", "modules/valve"]
    assert "set repository-url in ign-deploy.toml" in done.stderr
    secrets = generated_key(workspace, tmp_path / "keys")
    assert "ign-deploy batch --config ign-deploy.toml" in (tmp_path / "Jenkinsfile").read_text()
    config = tmp_path / "ign-deploy.toml"
    config.write_text(config.read_text().replace("protected-branch", "# protected-branch"))
    env = {
        "MODULE_SIGNING_KEY_PATH": secrets["SIGNING_KEY"],
        "MODULE_SIGNING_CERT_PATH": secrets["SIGNING_CERTIFICATE"],
        "MODULE_SIGNING_PASSWORD": PASSWORD,
    }
    done = workspace.run("batch", "--config", "ign-deploy.toml", "--json", env=env).must(0)
    assert {each["id"] for each in done.document["modules"]} == {
        "com.example.pump",
        "com.example.valve",
    }
    planned = workspace.run("plan", "--all", "--json").must(0).document
    assert [each["path"] for each in planned["decisions"]] == ["modules/pump", "modules/valve"]


@pytest.mark.parametrize("command", ["batch", "plan"])
def test_without_any_project_there_is_nothing_to_do(tmp_path: Path, command: str) -> None:
    done = CliWorkspace(tmp_path).run(command).must(3)
    assert "found no project" in done.stderr


def test_a_half_written_config_file_is_named(tmp_path: Path) -> None:
    workspace = checkout(tmp_path)
    (tmp_path / "ign-deploy.toml").write_text('repository-url = "github://acme')
    done = workspace.run("init", "--yes").must(2)
    assert "ign-deploy.toml is not valid TOML" in done.stderr
    assert not (tmp_path / ".github").exists()


def test_a_workflow_of_another_s_is_kept_and_needs_a_job(tmp_path: Path) -> None:
    workspace = checkout(tmp_path, "git@gitlab.example.com:plant/pump.git")
    (tmp_path / ".gitlab-ci.yml").write_text("test: {script: [make test]}\n")
    done = workspace.run("init", "--yes").must(0)
    assert ".gitlab-ci.yml exists and was kept as it is: add a job that runs" in done.stderr
    assert "ign-deploy.toml exists" not in done.stderr
    again = workspace.run("init", "--yes").must(0)
    assert "ign-deploy.toml exists and was kept as it is\n" in again.stderr


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    workspace = checkout(tmp_path)
    workspace.run("init", "--yes").must(0)
    config = tmp_path / "ign-deploy.toml"
    config.write_text(config.read_text() + "canary = true\n")
    before = config.read_bytes()
    done = workspace.run("init", "--yes", "--json").must(0)
    assert done.document["result"] == "unchanged"
    assert done.document["kept"] == ["ign-deploy.toml", ".github/workflows/release.yml"]
    assert config.read_bytes() == before


def test_credentials_are_not_written_into_the_config_file(tmp_path: Path) -> None:
    workspace = checkout(tmp_path)
    url = "https://user:secret-of-it@store.example/modules"
    done = workspace.run("init", "--yes", "--repository-url", url).must(2)
    assert "secret-of-it" not in done.stdout + done.stderr
    assert not (tmp_path / "ign-deploy.toml").exists()


def test_without_a_known_host_it_asks_for_one(tmp_path: Path) -> None:
    bare_folder(tmp_path)
    done = CliWorkspace(tmp_path).run("init", "--yes").must(2)
    assert "give --ci github, gitlab or jenkins" in done.stderr


def test_on_a_terminal_it_asks_for_host_and_repository(tmp_path: Path) -> None:
    workspace = checkout(tmp_path)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "ign_deploy", "init"],
            cwd=tmp_path,
            env=workspace.environment,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        keyboard.write(b"\nhttps://store.example/modules\n")
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 0, stderr
    assert b"CI host (github, gitlab, jenkins) [github]" in stderr
    assert b"[github://acme/modules]" in stderr
    config = (tmp_path / "ign-deploy.toml").read_text()
    assert 'repository-url = "https://store.example/modules"' in config


def test_a_named_pipe_in_the_place_of_the_workflow_does_not_block(tmp_path: Path) -> None:
    workspace = checkout(tmp_path)
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    os.mkfifo(tmp_path / ".github" / "workflows" / "release.yml")
    done = workspace.run("init", "--yes").must(0)
    assert "release.yml exists and was kept as it is, though it can't be read" in done.stderr


@pytest.mark.parametrize("files", [["dist/a.modl"], ["dist/a b.modl", "dist/$(id).modl"]])
def test_all_modules_are_attached_to_the_release_of_the_tag(
    tmp_path: Path, files: list[str]
) -> None:
    checkout(tmp_path).run("init", "--yes").must(0)
    workflow = yaml.safe_load((tmp_path / ".github/workflows/release.yml").read_text())
    (step,) = (each for each in workflow["jobs"]["release"]["steps"] if "run" in each)
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(f'#!/bin/sh\nfor each; do echo "$each" >>{tmp_path}/called; done\n')
    gh.chmod(0o755)
    subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        env={
            "PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_REF_NAME": "v1.2.3",
            "MODULE_FILE": "\n".join(files),
        },
        check=True,
    )
    called = (tmp_path / "called").read_text().splitlines()
    view = ["release", "view", "v1.2.3"]
    assert called == [*view, "release", "upload", "--clobber", "v1.2.3", *files]


def test_sentences_fit_on_forty_columns_and_commands_stay_whole() -> None:
    steps = [NextStep("Add three credentials to Jenkins: " + "and another one, " * 5, ("x" * 60,))]
    lines = init_text(["ign-deploy.toml"], steps, width=40).splitlines()
    assert [line for line in lines if len(line) > 40] == [f"     {'x' * 60}"]
    assert lines[3:5] == [
        "1. Add three credentials to Jenkins: and",
        "   another one, and another one, and",
    ]
    assert len(init_text([], steps, width=0).splitlines()) == 3
