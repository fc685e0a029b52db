"""Hands outputs and the summary of a run to the host, for later jobs and for people."""

from __future__ import annotations

from collections.abc import Mapping

from ign_deploy.ci.host import Host
from ign_deploy.ci.mask import Masker

OUTPUT_NAMES = (
    "module-id",
    "module-name",
    "module-version",
    "prerelease",
    "module-file",
    "bundle-file",
    "sha256",
    "certificate-fingerprint",
    "certificate-sha1",
    "release-url",
    "deployment-id",
    "audit-head",
    "result",
    "result-file",
    "matrix",
)
"""The outputs a run may have; action.yml declares the same names."""


def write_outputs(
    outputs: Mapping[str, str], *, host: Host, env: Mapping[str, str], masker: Masker
) -> None:
    """Write ``outputs`` where ``host`` reads them; only GitHub has outputs per step.

    What GitLab and Jenkins read from the output folder is written by ``host_files``. Paths must be
    relative to the workspace. Raises ConfigurationError when the host's file can't be written.
    """
    if host is Host.GITHUB:
        from ign_deploy.ci import github

        github.write_outputs(outputs, env=env, masker=masker)


def write_summary(markdown: str, *, host: Host, env: Mapping[str, str], masker: Masker) -> None:
    """Append ``markdown`` to the page that ``host`` shows for the run, if it has one.

    A GitHub runner without summaries (older Gitea, act) gets none; that is not an error.
    """
    if host is Host.GITHUB and env.get("GITHUB_STEP_SUMMARY"):
        from ign_deploy.ci import github

        github.append_summary(markdown, env=env, masker=masker)
