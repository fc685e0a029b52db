"""Files in the output folder for the hosts that read files: GitLab and Jenkins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ign_deploy.ci.host import Host, workspace_of
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow, Summary
from ign_deploy.ci.text import variable_name
from ign_deploy.files import write_atomically
from ign_deploy.module.properties import format_properties

DOTENV = "ign-deploy.env"
PROPERTIES = "ign-deploy.properties"
CODE_QUALITY = "gl-code-quality-report.json"
JUNIT = "ign-deploy-junit.xml"


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
    from ign_deploy.ci.junit import junit_report

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
