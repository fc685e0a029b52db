"""Files in the output folder for the hosts that read files: GitLab and Jenkins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ign_deploy.ci.host import Host
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import Located, Summary
from ign_deploy.files import write_atomically

DOTENV = "ign-deploy.env"
PROPERTIES = "ign-deploy.properties"
CODE_QUALITY = "gl-code-quality-report.json"
JUNIT = "ign-deploy-junit.xml"

_WORKSPACES = {
    Host.GITHUB: "GITHUB_WORKSPACE",
    Host.GITLAB: "CI_PROJECT_DIR",
    Host.JENKINS: "WORKSPACE",
}


def workspace_of(host: Host, env: Mapping[str, str]) -> str:
    """Return the folder where the host checked out the project; empty if there is none."""
    return env.get(_WORKSPACES.get(host, ""), "").rstrip("/")


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
        from ign_deploy.ci.jenkins import properties_report

        files[PROPERTIES], omitted = properties_report(outputs, masker=masker)
    for name, data in files.items():
        write_atomically(folder / name, data)
    return omitted


def _relative(summary: Summary, workspace: str) -> Summary:
    """Return the summary with paths relative to the project."""
    if not workspace:
        return summary
    prefix = f"{workspace}/"
    findings = [Located(each.finding, each.file.removeprefix(prefix)) for each in summary.findings]
    return replace(summary, findings=findings)
