"""Reports for GitLab and Jenkins are readable and follow their rules, for any values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.ci.gitlab import (
    DOTENV_SIZE,
    DOTENV_VARIABLES,
    code_quality_report,
    dotenv_report,
)
from ign_deploy.ci.host_files import junit_report, properties_report
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, StageRow, Summary
from ign_deploy.ci.text import variable_name
from ign_deploy.module.findings import Finding, Severity
from ign_deploy.module.properties import parse_properties
from tests.support.runner import ACTION

SECRET = "hunter22"
# Whatever a name may hold, a lone surrogate (of an undecodable file name) included.
TEXTS = st.one_of(
    st.text(st.characters(), max_size=60),
    st.sampled_from(
        ["$(id)", "a\nb", f"x {SECRET}", "x" * DOTENV_SIZE, "\udcff", "]]>", "\x1b[0K"]
    ),
)
OUTPUTS = st.dictionaries(st.sampled_from(sorted(ACTION["outputs"])), TEXTS)
FINDINGS = st.lists(
    st.builds(
        FindingRow,
        st.builds(Finding, st.just("c1"), st.sampled_from(Severity), TEXTS, TEXTS, TEXTS),
        TEXTS,
    ),
    max_size=5,
)
LINE = re.compile(r"([A-Z0-9_]+)=([^$\n]*)\n")


def masker() -> Masker:
    known = Masker()
    known.add(SECRET)
    return known


@given(outputs=OUTPUTS)
def test_a_dotenv_report_keeps_gitlabs_rules_and_loses_nothing_silently(
    outputs: dict[str, str],
) -> None:
    data, omitted = dotenv_report(outputs, masker=masker())
    assert len(data) < DOTENV_SIZE
    text = data.decode("utf-8")
    pairs = dict(LINE.findall(text))
    assert len(pairs) == text.count("\n") <= DOTENV_VARIABLES
    assert LINE.sub("", text) == ""
    given_values = {variable_name(name): value for name, value in outputs.items() if value}
    assert pairs.items() <= given_values.items()
    assert len(omitted) == len(given_values) - len(pairs)
    assert SECRET not in text


@given(outputs=OUTPUTS)
def test_a_properties_file_is_read_back_unchanged(outputs: dict[str, str]) -> None:
    data, omitted = properties_report(outputs, masker=masker())
    kept = {variable_name(name): text for name, text in outputs.items() if SECRET not in text}
    assert dict(parse_properties(data)) == kept
    assert len(omitted) == len(outputs) - len(kept)


@given(findings=FINDINGS, text=TEXTS, result=st.sampled_from(["ok", "failed", "skipped"]))
def test_reports_of_findings_can_always_be_read(
    findings: list[FindingRow], text: str, result: str
) -> None:
    summary = Summary(
        headline=text,
        succeeded=result != "failed",
        error=text,
        hint=text,
        findings=findings,
        stages=[StageRow(text, 1.0, result, text)],
    )
    junit = junit_report(summary, masker=masker(), now=datetime(2026, 1, 1, tzinfo=UTC))
    root = fromstring(junit)
    assert root is not None
    assert len(list(root.iter("testcase"))) == len(findings) + 1
    quality = code_quality_report(findings, masker=masker())
    issues = json.loads(quality)
    assert len({issue["fingerprint"] for issue in issues}) == len(findings)
    assert SECRET.encode() not in junit + quality
