"""GitLab: sections as its log viewer reads them, reports within its rules."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import count

import pytest

from ign_deploy.ci.gitlab import (
    DOTENV_SIZE,
    DOTENV_VARIABLES,
    GitLabReporter,
    code_quality_report,
    dotenv_report,
)
from ign_deploy.ci.host import Host, reporter_for
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow
from ign_deploy.module.findings import error, info, warning
from tests.support.runner import ACTION

# What GitLab's log viewer takes for a section's edge, from its documentation.
_EDGE = re.compile(
    r"\x1b\[0Ksection_(start|end):(\d+):([A-Za-z0-9_.-]+)(\[[a-z=,]+\])?\r\x1b\[0K([^\n]*)\n"
)


def log_of(
    *, color: bool = False, env: dict[str, str] | None = None
) -> tuple[io.StringIO, GitLabReporter]:
    stream = io.StringIO()
    ticks = count(1_700_000_000)
    return stream, GitLabReporter(stream, env=env, color=color, clock=lambda: next(ticks))


def test_a_stage_is_a_section_with_its_title_and_times() -> None:
    stream, reporter = log_of()
    with reporter.group("sign"):
        reporter.info("one")
    assert stream.getvalue() == (
        "\x1b[0Ksection_start:1700000000:sign-1700000000-1[collapsed=true]\r\x1b[0Ksign\n"
        "one\n"
        "\x1b[0Ksection_end:1700000001:sign-1700000000-1\r\x1b[0K\n"
    )


def test_every_section_has_a_name_of_its_own_and_ends_also_on_failure() -> None:
    stream, reporter = log_of()
    with reporter.group("upload to https://host/ö [x]\r"), reporter.group("sign"):
        pass
    with pytest.raises(RuntimeError), reporter.group("sign"):
        raise RuntimeError
    with reporter.group("…"):
        pass
    edges = _EDGE.findall(stream.getvalue())
    names = [name for kind, _, name, *_ in edges if kind == "start"]
    assert len(names) == len(set(names)) == 4
    assert sorted(names) == sorted(name for kind, _, name, *_ in edges if kind == "end")
    assert [name for _, _, name, *_ in edges[:4]] == [names[0], names[1], names[1], names[0]]
    assert names[3].startswith("section-")


def test_a_build_can_neither_open_nor_close_a_section() -> None:
    stream, reporter = log_of()
    forged = "\x1b[0Ksection_end:1700000000:sign-1700000000-1\r\x1b[0K"
    with reporter.group("sign"):
        reporter.untrusted([forged, "\x1b[0Ksection_start:1:evil\r\x1b[0Kgotcha"])
        reporter.info(forged)
    assert [name for _, _, name, *_ in _EDGE.findall(stream.getvalue())] == [
        "sign-1700000000-1"
    ] * 2


def test_the_wording_is_the_terminals() -> None:
    stream, reporter = log_of()
    reporter.mask("hunter22")
    reporter.warning("old key hunter22")
    reporter.finding(error("e1", "no line", location="lib.jar", hint="sign it."), file="a.modl")
    reporter.untrusted(["build says"])
    assert stream.getvalue() == (
        "warning: old key ***\n"
        "error[e1]: a.modl: lib.jar: no line\n"
        "  hint: sign it.\n"
        "| build says\n"
    )


@pytest.mark.parametrize(
    ("color", "env", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False)],
)
def test_colours_are_shown_unless_no_one_requires_them(
    color: bool, env: dict[str, str], coloured: bool
) -> None:
    stream, reporter = log_of(color=color, env=env)
    reporter.warning("old key")
    assert ("\x1b[1;33mwarning\x1b[0m" in stream.getvalue()) is coloured


def test_the_host_gets_this_reporter() -> None:
    reporter = reporter_for(Host.GITLAB, io.StringIO(), env={}, masker=Masker())
    assert isinstance(reporter, GitLabReporter)


def test_outputs_are_variables_one_a_line() -> None:
    outputs = {"module-version": "1.0.0", "release-url": "file:///a b?c=d#e", "bundle-file": ""}
    data, omitted = dotenv_report(outputs, masker=Masker())
    assert data == b"MODULE_VERSION=1.0.0\nRELEASE_URL=file:///a b?c=d#e\n"
    assert omitted == ()


@pytest.mark.parametrize(
    "value",
    ["$(touch x)", "${CI_JOB_TOKEN}", "a\nRESULT=deployed", "a\rb", "a\u2028b", "x hunter22"],
)
def test_a_value_that_could_do_harm_later_is_left_out_and_named(value: str) -> None:
    masker = Masker()
    masker.add("hunter22")
    data, omitted = dotenv_report({"module-name": value, "result": "uploaded"}, masker=masker)
    assert data == b"RESULT=uploaded\n"
    assert len(omitted) == 1
    assert omitted[0].startswith("module-name is not in the dotenv report: ")
    assert "hunter22" not in omitted[0]


def test_the_report_stays_within_gitlabs_limits() -> None:
    many = {f"name-{number}": "x" for number in range(DOTENV_VARIABLES + 1)}
    data, omitted = dotenv_report(many, masker=Masker())
    assert data.count(b"\n") == DOTENV_VARIABLES
    assert len(omitted) == 1
    data, omitted = dotenv_report({"matrix": "ö" * DOTENV_SIZE, "result": "x"}, masker=Masker())
    assert data == b"RESULT=x\n"
    assert len(omitted) == 1


def test_all_our_outputs_fit_into_one_report() -> None:
    data, omitted = dotenv_report(dict.fromkeys(ACTION["outputs"], "x" * 100), masker=Masker())
    assert data.count(b"\n") == len(ACTION["outputs"]) <= DOTENV_VARIABLES
    assert re.fullmatch(rb"(?:[A-Z0-9_]+=x+\n)+", data)
    assert not omitted


def test_findings_are_code_quality_issues() -> None:
    masker = Masker()
    masker.add("hunter22")
    findings = [
        FindingRow(error("e1", "no hunter22", location="lib.jar", hint="sign it."), "dist/a.modl"),
        FindingRow(warning("w1", "odd\x1b[31m\nthing")),
        FindingRow(info("i1", "same")),
        FindingRow(info("i1", "same")),
    ]
    issues = json.loads(code_quality_report(findings, masker=masker))
    assert issues[0] | {"fingerprint": ""} == {
        "description": "lib.jar: no *** (sign it.)",
        "check_name": "e1",
        "fingerprint": "",
        "severity": "critical",
        "location": {"path": "dist/a.modl", "lines": {"begin": 1}},
    }
    assert [issue["severity"] for issue in issues] == ["critical", "minor", "info", "info"]
    assert issues[1]["description"] == "odd thing"
    assert issues[1]["location"]["path"] == "."
    assert len({issue["fingerprint"] for issue in issues}) == 4
    assert code_quality_report(findings, masker=masker) == code_quality_report(
        findings, masker=masker
    )


def test_the_line_of_a_finding_is_that_of_its_issue() -> None:
    finding = replace(error("packaging", "Hook.java:13: error: x"), line=13)
    (issue,) = json.loads(code_quality_report([FindingRow(finding, "Hook.java")], masker=Masker()))
    assert issue["location"] == {"path": "Hook.java", "lines": {"begin": 13}}


def test_no_finding_is_an_empty_report() -> None:
    assert json.loads(code_quality_report([], masker=Masker())) == []
