"""The files for GitLab and Jenkins: which host gets which, with which paths; JUnit reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from ign_deploy.ci.host import Host, workspace_of
from ign_deploy.ci.host_files import junit_report, properties_report, write_host_files
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, StageRow, Summary
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.findings import Finding, error, warning
from ign_deploy.module.properties import parse_properties
from tests.support.runner import ACTION

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
    data, _ = properties_report(dict.fromkeys(ACTION["outputs"], "x"), masker=Masker())
    assert len(dict(parse_properties(data))) == len(ACTION["outputs"])


NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def read_junit(summary: Summary, masker: Masker | None = None) -> Element:
    root = fromstring(junit_report(summary, masker=masker or Masker(), now=NOON))
    assert isinstance(root, Element)
    return root


def failed(*findings: Finding, stages: tuple[StageRow, ...] = ()) -> Summary:
    return Summary(
        headline="Not released",
        succeeded=False,
        error="the key does not fit",
        hint="give the other one.",
        findings=[FindingRow(each, "dist/a.modl") for each in findings],
        stages=stages,
    )


def test_stages_are_cases_with_times_failures_and_reasons() -> None:
    stages = (
        StageRow("package", 1.25),
        StageRow("sign", 0.5, "failed"),
        StageRow("upload", 0, "skipped", "why"),
    )
    root = read_junit(failed(stages=stages))
    suite = root[0]
    assert suite.attrib == {
        "name": "ign-deploy stages",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
        "time": "1.750",
        "timestamp": "2026-01-31T12:00:00+00:00",
    }
    package, sign, upload = suite
    assert (package.get("name"), package.get("time"), len(package)) == ("package", "1.250", 0)
    assert sign[0].attrib == {"message": "the key does not fit"}
    assert sign[0].text == "the key does not fit\nhint: give the other one."
    assert upload[0].attrib == {"message": "why"}


def test_findings_are_cases_and_only_errors_fail() -> None:
    root = read_junit(
        failed(error("e1", "bad", location="x.jar", hint="fix it."), warning("w1", "odd"))
    )
    one, other = root[1]
    assert (one.get("classname"), one.get("name")) == (
        "ign-deploy.findings",
        "e1 dist/a.modl x.jar",
    )
    assert one[0].tag == "failure"
    assert one[0].attrib == {"message": "bad", "type": "e1"}
    assert one[0].text == "bad\nhint: fix it."
    assert (other[0].tag, other[0].text) == ("system-out", "warning: odd")


def test_equal_findings_have_names_of_their_own() -> None:
    root = read_junit(failed(warning("w1", "odd"), warning("w1", "odder")))
    assert [case.get("name") for case in root[1]] == ["w1 dist/a.modl", "w1 dist/a.modl (2)"]


def test_a_run_that_failed_before_its_first_stage_fails_in_the_report() -> None:
    suite = read_junit(failed())[0]
    assert (suite[0].get("name"), suite[0][0].tag) == ("run", "failure")


def test_a_run_without_faults_has_no_failure() -> None:
    root = read_junit(Summary(headline="Released", succeeded=True, stages=[StageRow("sign")]))
    assert root.findall(".//failure") == []
    assert len(root) == 1


def test_no_text_can_break_the_report_or_show_a_secret() -> None:
    masker = Masker()
    masker.add("hunter22")
    hostile = "\x00\x1b[31m<b>&]]>\ufffe\uffff\udcff hun\x1b[0mter22"
    root = read_junit(failed(error("e1", hostile, location=hostile, hint=hostile)), masker)
    text = "".join(root.itertext()) + str([case.attrib for case in root.iter()])
    assert "<b>&]]>" in text
    assert "hunter22" not in text
