"""The files for GitLab and Jenkins: which host gets which, where, and with which paths."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ign_deploy.ci.host import Host
from ign_deploy.ci.host_files import workspace_of, write_host_files
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import Located, Summary
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.findings import warning

SUMMARY = Summary(
    headline="Released",
    succeeded=True,
    findings=[Located(warning("w1", "odd"), "/builds/org/x/dist/a.modl")],
)


def write(host: Host, folder: Path, outputs: dict[str, str]) -> tuple[str, ...]:
    return write_host_files(
        outputs,
        SUMMARY,
        host=host,
        env={"CI_PROJECT_DIR": "/builds/org/x"},
        folder=folder,
        masker=Masker(),
        now=datetime(2026, 1, 31, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (Host.GITLAB, {"ign-deploy.env", "gl-code-quality-report.json", "ign-deploy-junit.xml"}),
        (Host.JENKINS, {"ign-deploy.properties", "ign-deploy-junit.xml"}),
        (Host.GITHUB, set()),
        (Host.TERMINAL, set()),
        (Host.PLAIN, set()),
    ],
)
def test_each_host_gets_the_files_it_reads(tmp_path: Path, host: Host, names: set[str]) -> None:
    folder = tmp_path / "dist"
    assert write(host, folder, {"result": "uploaded"}) == ()
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    assert found == names


def test_files_are_named_as_in_the_project(tmp_path: Path) -> None:
    write(Host.GITLAB, tmp_path, {})
    issues = json.loads((tmp_path / "gl-code-quality-report.json").read_bytes())
    assert issues[0]["location"]["path"] == "dist/a.modl"


def test_what_is_left_out_is_reported(tmp_path: Path) -> None:
    assert len(write(Host.GITLAB, tmp_path, {"module-id": "a\nb"})) == 1


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    with pytest.raises(ConfigurationError):
        write(Host.JENKINS, tmp_path / "dist", {})


def test_the_workspace_is_the_hosts() -> None:
    env = {"GITHUB_WORKSPACE": "/g", "CI_PROJECT_DIR": "/l/", "WORKSPACE": "/j"}
    assert [workspace_of(host, env) for host in Host] == ["/g", "/l", "/j", "", ""]
    assert workspace_of(Host.GITLAB, {}) == ""
