"""The JUnit report: what GitLab and Jenkins show of a run, whatever a build put into its text."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from ign_deploy.ci.junit import junit_report
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, StageRow, Summary
from ign_deploy.module.findings import Finding, error, warning

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def read(summary: Summary, masker: Masker | None = None) -> Element:
    root = fromstring(junit_report(summary, masker=masker or Masker(), now=NOW))
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
    root = read(failed(stages=stages))
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
    root = read(failed(error("e1", "bad", location="x.jar", hint="fix it."), warning("w1", "odd")))
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
    root = read(failed(warning("w1", "odd"), warning("w1", "odder")))
    assert [case.get("name") for case in root[1]] == ["w1 dist/a.modl", "w1 dist/a.modl (2)"]


def test_a_run_that_failed_before_its_first_stage_fails_in_the_report() -> None:
    suite = read(failed())[0]
    assert (suite[0].get("name"), suite[0][0].tag) == ("run", "failure")


def test_a_run_without_faults_has_no_failure() -> None:
    root = read(Summary(headline="Released", succeeded=True, stages=[StageRow("sign")]))
    assert root.findall(".//failure") == []
    assert len(root) == 1


def test_no_text_can_break_the_report_or_show_a_secret() -> None:
    masker = Masker()
    masker.add("hunter22")
    hostile = "\x00\x1b[31m<b>&]]>\ufffe\uffff\udcff hun\x1b[0mter22"
    root = read(failed(error("e1", hostile, location=hostile, hint=hostile)), masker)
    text = "".join(root.itertext()) + str([case.attrib for case in root.iter()])
    assert "<b>&]]>" in text
    assert "hunter22" not in text
