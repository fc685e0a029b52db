"""Files for the hosts that read them, GitLab and Jenkins: outputs, and the run as JUnit report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET  # only written, nothing untrusted is parsed

from ign_deploy.ci.host import Host, workspace_of
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, StageRow, Summary
from ign_deploy.ci.text import finding_place, safe_lines, variable_name
from ign_deploy.files import write_atomically
from ign_deploy.module.findings import Severity
from ign_deploy.module.properties import format_properties

DOTENV = "ign-deploy.env"
PROPERTIES = "ign-deploy.properties"
CODE_QUALITY = "gl-code-quality-report.json"
JUNIT = "ign-deploy-junit.xml"


_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# What XML 1.0 can't represent and the cleaning keeps.
_NOT_XML = re.compile("[\ufffe\uffff]")


def write_host_files(
    outputs: Mapping[str, str],
    summary: Summary,
    *,
    host: Host,
    env: Mapping[str, str],
    folder: Path,
    masker: Masker,
    now: datetime,
) -> tuple[str, ...]:
    """Write what ``host`` reads from ``folder``; return a sentence for each output left out.

    Other hosts get no files. ``now`` (aware) is the time in the reports. Raises ConfigurationError
    when the folder can't be written.
    """
    if host not in (Host.GITLAB, Host.JENKINS):
        return ()
    summary = _relative(summary, workspace_of(host, env))
    files = {JUNIT: junit_report(summary, masker=masker, now=now)}
    if host is Host.GITLAB:
        from ign_deploy.ci.gitlab import code_quality_report, dotenv_report

        files[DOTENV], omitted = dotenv_report(outputs, masker=masker)
        files[CODE_QUALITY] = code_quality_report(summary.findings, masker=masker)
    else:
        files[PROPERTIES], omitted = properties_report(outputs, masker=masker)
    for name, data in files.items():
        write_atomically(folder / name, data)
    return omitted


def _relative(summary: Summary, workspace: str) -> Summary:
    """Return the summary with paths relative to the project."""
    if not workspace:
        return summary
    prefix = f"{workspace}/"
    findings = [
        FindingRow(each.finding, each.file.removeprefix(prefix)) for each in summary.findings
    ]
    return replace(summary, findings=findings)


def properties_report(
    outputs: Mapping[str, str], *, masker: Masker
) -> tuple[bytes, tuple[str, ...]]:
    """Return the properties file, and a sentence for each output that isn't in it.

    Names are those of environment variables (``MODULE_VERSION``), so that a pipeline can pass
    them to ``withEnv``. Values of several lines are kept. A value with a secret is skipped.
    """
    shown = {name: value for name, value in outputs.items() if masker.redact(value) == value}
    omitted = tuple(
        f"{name} is not in the properties file: it would show a secret"
        for name in outputs
        if name not in shown
    )
    pairs = [(variable_name(name), value) for name, value in shown.items()]
    return format_properties(pairs), omitted


def junit_report(summary: Summary, *, masker: Masker, now: datetime) -> bytes:
    """Return the report as XML (UTF-8): one suite of stages, one of findings.

    A failed stage fails, a skipped one is skipped; an error finding fails, other findings pass with
    their text. A run that failed outside its stages has a failed case of its own.
    ``now`` (aware) is the time of the report.
    """
    root = ET.Element("testsuites", name="ign-deploy")
    clean = _Cleaner(masker)
    stages = [_stage_case(stage, summary, clean) for stage in summary.stages]
    if not summary.succeeded and all(stage.result != "failed" for stage in summary.stages):
        stages.append(_stage_case(StageRow("run", result="failed"), summary, clean))
    findings = list(_finding_cases(summary.findings, clean))
    for name, cases in (("ign-deploy stages", stages), ("ign-deploy findings", findings)):
        if cases:
            root.append(_suite(name, cases, now))
    ET.indent(root)
    return f"{_DECLARATION}{ET.tostring(root, encoding='unicode')}\n".encode()


class _Cleaner:
    """Cleans text for a report: no secrets, control characters or what XML can't represent."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def lines(self, text: str) -> str:
        return _NOT_XML.sub("\ufffd", "\n".join(safe_lines(text, masker=self._masker)))

    def line(self, text: str) -> str:
        return " ".join(self.lines(text).split("\n"))


def _suite(name: str, cases: Sequence[ET.Element], now: datetime) -> ET.Element:
    def having(kind: str) -> str:
        return str(sum(case.find(kind) is not None for case in cases))

    seconds = sum(float(case.get("time", "0")) for case in cases)
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=having("failure"),
        errors="0",
        skipped=having("skipped"),
        time=f"{seconds:.3f}",
        timestamp=now.isoformat(timespec="seconds"),
    )
    suite.extend(cases)
    return suite


def _stage_case(stage: StageRow, summary: Summary, clean: _Cleaner) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname="ign-deploy",
        name=clean.line(stage.name),
        time=f"{stage.seconds:.3f}",
    )
    if stage.result == "skipped":
        ET.SubElement(case, "skipped", message=clean.line(stage.reason))
    elif stage.result == "failed":
        failure = ET.SubElement(case, "failure", message=clean.line(summary.error))
        failure.text = clean.lines(f"{summary.error}\nhint: {summary.hint}")
    return case


def _finding_cases(findings: Sequence[FindingRow], clean: _Cleaner) -> Iterator[ET.Element]:
    """Yield a case for each finding; JUnit requires unique names."""
    used: dict[str, int] = {}
    for located in findings:
        finding = located.finding
        file = finding_place(finding, file=located.file) if finding.line else located.file
        about = " ".join(part for part in (finding.code, file, finding.location) if part)
        name = clean.line(about)
        used[name] = repeated = used.get(name, 0) + 1
        case = ET.Element(
            "testcase",
            classname="ign-deploy.findings",
            name=name if repeated == 1 else f"{name} ({repeated})",
            time="0.000",
        )
        text = clean.lines(f"{finding.message}\nhint: {finding.hint}".removesuffix("\nhint: "))
        if finding.severity is Severity.ERROR:
            failure = ET.SubElement(case, "failure", message=clean.line(finding.message))
            failure.set("type", finding.code)
            failure.text = text
        else:
            ET.SubElement(case, "system-out").text = f"{finding.severity.label}: {text}"
        yield case
