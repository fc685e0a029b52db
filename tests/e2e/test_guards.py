"""Release guards through the command line: the module is never published against one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ign_deploy.cli import deployment_cli
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module
from tests.support.releases import tree


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a key and a prebuilt module of version 1.2.3."""
    monkeypatch.chdir(tmp_path)
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    build_module(tmp_path / "pump.unsigned.modl")
    return tmp_path


def release(*arguments: str, env: dict[str, str] | None = None) -> Result:
    command = ["module", "pump.unsigned.modl", "--key-path", "signing.key.pem"]
    command += ["--cert-path", "signing.cert.pem", *arguments]
    return CliRunner().invoke(deployment_cli, command, obj={"PATH": "/usr/bin:/bin", **(env or {})})


def test_a_tag_for_another_version_stops_the_release(project: Path) -> None:
    result = release("--tag", "v1.2.4", "--tag-pattern", "v{version}")
    assert result.exit_code == 5
    assert "1.2.4" in result.stderr
    assert not (project / "module-repository").exists()


def test_the_hosts_tag_with_the_right_version_passes(project: Path) -> None:
    result = release("--tag-pattern", "v{version}", env={"GITHUB_REF": "refs/tags/v1.2.3"})
    assert result.exit_code == 0, result.stderr
    assert (project / "module-repository/modules/com.example.pump/1.2.3").is_dir()


@pytest.mark.parametrize("tag", ["$(touch x)", "v1.2.3\n::set-output name=a::b", "'\"; touch x"])
def test_a_hostile_tag_stops_the_release_and_runs_nothing(project: Path, tag: str) -> None:
    before = tree(project)
    result = release("--tag", tag, "--tag-pattern", "v{version}")
    assert result.exit_code == 2
    after = {name: data for name, data in tree(project).items() if not name.startswith("dist")}
    assert after == before
    assert "\n::set-output" not in result.stderr


def test_a_published_version_is_rejected_on_request(project: Path) -> None:
    assert release().exit_code == 0
    again = release("--require-unpublished")
    assert again.exit_code == 6
    assert "already published" in again.stderr
    assert release().exit_code == 0, "the same bytes are fine without the guard"


def test_a_known_id_and_version_are_rejected_before_anything_is_built(project: Path) -> None:
    assert release().exit_code == 0
    options = ("--require-unpublished", "--module-id", "com.example.pump", "--version", "1.2.3")
    again = release(*options)
    assert again.exit_code == 6
    assert "package" not in again.stderr.splitlines()


def test_a_rehearsal_does_everything_and_leaves_nothing(project: Path) -> None:
    before = tree(project)
    result = release("--rehearsal", "--json", "--format", "both")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["result"] == "rehearsed"
    stages = {stage["name"]: stage["result"] for stage in document["stages"]}
    assert stages["upload"] == "ok"
    assert document["modules"][0]["sha256"]
    assert not (project / "module-repository").exists()
    after = tree(project)
    assert set(after) - set(before) <= {"dist", "dist/ign-deploy-result.json"}


def test_a_rehearsal_sees_what_is_published(project: Path) -> None:
    assert release().exit_code == 0
    assert release("--rehearsal", "--require-unpublished").exit_code == 6


def test_a_rehearsal_fails_as_the_release_would(project: Path) -> None:
    result = release("--rehearsal", "--version", "9.9.9")
    assert result.exit_code == 5
    assert not (project / "module-repository").exists()


def test_a_prerelease_is_recognised(project: Path) -> None:
    build_module(project / "pump.unsigned.modl", texts={"version": "1.3.0-rc1"})
    result = release("--json")
    assert json.loads(result.stdout)["modules"][0]["prerelease"] is True
