"""The CI host: detected from the environment, its reporter, and where its outputs go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TextIO

from ign_deploy.ci.mask import Masker
from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter


class Host(StrEnum):
    """Who reads our log."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JENKINS = "jenkins"
    TERMINAL = "terminal"
    PLAIN = "plain"


_WORKSPACES = {
    Host.GITHUB: "GITHUB_WORKSPACE",
    Host.GITLAB: "CI_PROJECT_DIR",
    Host.JENKINS: "WORKSPACE",
}


def detect_host(env: Mapping[str, str], *, is_terminal: bool) -> Host:
    """Return the host that ``env`` describes.

    Gitea and Forgejo set ``GITHUB_ACTIONS=true`` and follow GitHub's rules. An unknown CI host
    (``CI`` set), a pipe or a file gets plain lines; ``is_terminal`` is about the log's stream.
    """
    if env.get("GITHUB_ACTIONS") == "true":
        return Host.GITHUB
    if env.get("GITLAB_CI"):
        return Host.GITLAB
    if env.get("JENKINS_URL"):
        return Host.JENKINS
    if is_terminal and env.get("CI", "").lower() not in {"true", "1"}:
        return Host.TERMINAL
    return Host.PLAIN


def workspace_of(host: Host, env: Mapping[str, str]) -> str:
    """Return the folder where the host checked out the project; empty if there is none."""
    return env.get(_WORKSPACES.get(host, ""), "").rstrip("/")


def reporter_for(
    host: Host,
    stream: TextIO,
    *,
    env: Mapping[str, str],
    masker: Masker,
    color: bool = True,
    is_live: bool = True,
    wording: Callable[[str], str] = str,
) -> Reporter:
    """Return the reporter that writes to ``stream`` in the form that ``host`` reads.

    ``masker`` is shared with what writes outputs and the summary, so that a secret masked by the
    reporter is redacted there, too. Jenkins and unknown hosts get plain lines. Without ``is_live``,
    nothing moves on a terminal. ``wording`` puts our messages, and nothing else, in the reader's
    words.
    """
    if host is Host.GITHUB:
        from ign_deploy.ci.github import GitHubReporter

        return GitHubReporter(stream, masker=masker, wording=wording)
    if host is Host.GITLAB:
        from ign_deploy.ci.gitlab import GitLabReporter

        return GitLabReporter(stream, env=env, color=color, masker=masker, wording=wording)
    from ign_deploy.ci.terminal import TerminalReporter

    watched = env if host is Host.TERMINAL else None
    return TerminalReporter(
        stream,
        env=watched,
        color=color,
        masker=masker,
        is_live=is_live,
        wording=wording,
    )


def check_host_files(host: Host, *, env: Mapping[str, str], reporter: Reporter) -> None:
    """Find out before any work whether ``host`` can take outputs and a summary.

    Raises ConfigurationError where outputs can't be written: later steps depend on them. A missing
    summary is a warning.
    """
    if host is not Host.GITHUB:
        return
    from ign_deploy.ci import github

    github.check_command_file(env, "GITHUB_OUTPUT")
    if not env.get("GITHUB_STEP_SUMMARY"):
        reporter.info("GITHUB_STEP_SUMMARY is not set: there will be no summary")
        return
    try:
        github.check_command_file(env, "GITHUB_STEP_SUMMARY")
    except ConfigurationError as problem:
        reporter.warning(f"there will be no summary: {problem.message}")


def write_outputs(
    outputs: Mapping[str, str], *, host: Host, env: Mapping[str, str], masker: Masker
) -> None:
    """Write ``outputs`` where ``host`` reads them; only GitHub has outputs per step.

    What GitLab and Jenkins read from the output folder is written by ``host_files``. Paths must be
    relative to the workspace. Raises ConfigurationError when the host's file can't be written.
    """
    if host is Host.GITHUB:
        from ign_deploy.ci import github

        github.append_outputs(outputs, env=env, masker=masker)


def write_summary(markdown: str, *, host: Host, env: Mapping[str, str], masker: Masker) -> None:
    """Append ``markdown`` to the page that ``host`` shows for the run, if it has one.

    A GitHub runner without summaries (older Gitea, act) gets none; that is not an error.
    """
    if host is Host.GITHUB and env.get("GITHUB_STEP_SUMMARY"):
        from ign_deploy.ci import github

        github.append_summary(markdown, env=env, masker=masker)
