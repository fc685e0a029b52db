"""The files for GitLab and Jenkins: which host gets which, where, and with which paths."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ign_deploy.ci.host import OUTPUT_NAMES, Host, workspace_of
from ign_deploy.ci.host_files import properties_report, write_host_files
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, Summary
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.findings import warning
from ign_deploy.module.properties import parse_properties

SUMMARY = Summary(
    headline="Released",
    succeeded=True,
    findings=[FindingRow(warning("w1", "odd"), "/builds/org/x/dist/a.modl")],
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


@pytest.mark.parametrize(
    "value", ["1.0.0", "", " a = b: c # d", "$(touch x)", "a\nresult=deployed", "größe \\ 😀", "!x"]
)
def test_every_value_is_read_as_it_was_and_no_other(value: str) -> None:
    data, omitted = properties_report({"module-name": value, "result": "x"}, masker=Masker())
    assert parse_properties(data) == (("MODULE_NAME", value), ("RESULT", "x"))
    assert omitted == ()


def test_a_secret_is_left_out_and_the_output_named() -> None:
    masker = Masker()
    masker.add("hunter22")
    data, omitted = properties_report({"module-name": "x hunter22", "result": "y"}, masker=masker)
    assert data == b"RESULT=y\n"
    assert omitted == ("module-name is not in the properties file: it would show a secret",)


def test_no_two_outputs_share_a_name() -> None:
    data, _ = properties_report(dict.fromkeys(OUTPUT_NAMES, "x"), masker=Masker())
    assert len(dict(parse_properties(data))) == len(OUTPUT_NAMES)
