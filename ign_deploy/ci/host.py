"""The CI host: detected from the environment, its reporter, and where its outputs go."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Host(StrEnum):
    """Who reads our log."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JENKINS = "jenkins"
    TERMINAL = "terminal"
    PLAIN = "plain"


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
