"""Chooses the reporter for the host that reads the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from ign_deploy.ci.host import Host
from ign_deploy.ci.mask import Masker
from ign_deploy.report import Reporter


def reporter_for(
    host: Host,
    stream: TextIO,
    *,
    env: Mapping[str, str],
    masker: Masker,
    color: bool = True,
) -> Reporter:
    """Return the reporter that writes to ``stream`` in the form that ``host`` reads.

    ``masker`` is shared with what writes outputs and the summary, so that a secret masked by the
    reporter is redacted there, too. Jenkins and unknown hosts get plain lines.
    """
    if host is Host.GITHUB:
        from ign_deploy.ci.github import GitHubReporter

        return GitHubReporter(stream, masker=masker)
    if host is Host.GITLAB:
        from ign_deploy.ci.gitlab import GitLabReporter

        return GitLabReporter(stream, env=env, color=color, masker=masker)
    from ign_deploy.ci.terminal import TerminalReporter

    watched = env if host is Host.TERMINAL else None
    return TerminalReporter(stream, env=watched, color=color, masker=masker)
