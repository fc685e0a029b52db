"""The host is found out from the environment alone."""

from __future__ import annotations

import pytest

from ign_deploy.ci.host import Host, detect_host


@pytest.mark.parametrize(
    ("env", "is_terminal", "expected"),
    [
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, False, Host.GITHUB),
        ({"GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true"}, False, Host.GITHUB),
        ({"GITHUB_ACTIONS": "false"}, False, Host.PLAIN),
        ({"GITLAB_CI": "true", "CI": "true"}, False, Host.GITLAB),
        ({"JENKINS_URL": "http://jenkins/", "BUILD_NUMBER": "1"}, False, Host.JENKINS),
        ({"CI": "true"}, True, Host.PLAIN),
        ({}, True, Host.TERMINAL),
        ({}, False, Host.PLAIN),
    ],
)
def test_the_host_is_recognised(env: dict[str, str], is_terminal: bool, expected: Host) -> None:
    assert detect_host(env, is_terminal=is_terminal) is expected
