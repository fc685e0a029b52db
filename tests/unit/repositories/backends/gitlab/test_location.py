"""Which project a URL means, and which token is used for it."""

from __future__ import annotations

import pytest
import requests

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.gitlab.location import (
    GitLabProject,
    TokenKind,
    find_gitlab_project,
    token_for,
)

JOB = {
    "CI_JOB_TOKEN": "glcbt-64_secret",
    "CI_SERVER_HOST": "git.example.com",
    "CI_API_V4_URL": "https://git.example.com/api/v4",
    "CI_PROJECT_PATH": "acme/app",
}


@pytest.mark.parametrize(
    ("url", "env", "api"),
    [
        ("gitlab://git.example.com/a/b", {}, "https://git.example.com/api/v4"),
        ("gitlab://git.example.com:8443/a/b", {}, "https://git.example.com:8443/api/v4"),
        ("gitlab://localhost:8080/a/b", {}, "http://localhost:8080/api/v4"),
        ("gitlab://[::1]:8080/a/b", {}, "http://[::1]:8080/api/v4"),
        (
            "gitlab://git.example.com/a/b",
            {"CI_API_V4_URL": "https://git.example.com:8443/gitlab/api/v4/"},
            "https://git.example.com:8443/gitlab/api/v4",
        ),
        (
            "gitlab://git.example.com:1/a/b",
            {"CI_API_V4_URL": "https://git.example.com:8443/api/v4"},
            "https://git.example.com:1/api/v4",
        ),
        (
            "gitlab://git.example.com/a/b",
            {"CI_API_V4_URL": "https://other.example.com/api/v4"},
            "https://git.example.com/api/v4",
        ),
        (
            "gitlab://git.example.com/a/b",
            {"CI_API_V4_URL": "https://git.example.com:port/api/v4"},
            "https://git.example.com/api/v4",
        ),
    ],
)
def test_where_the_api_is(url: str, env: dict[str, str], api: str) -> None:
    assert find_gitlab_project(url, env=env).api == api


def test_groups_are_one_segment_of_the_api() -> None:
    project = find_gitlab_project("gitlab://git.example.com/acme/plant-7/modules", env={})
    assert project.url == "https://git.example.com/api/v4/projects/acme%2Fplant-7%2Fmodules"
    assert project.web == "https://git.example.com/acme/plant-7/modules"


@pytest.mark.parametrize(
    "url",
    [
        "gitlab://git.example.com",
        "gitlab://git.example.com/project",
        "gitlab://git.example.com/a//b",
        "gitlab://git.example.com/a/../b",
        "gitlab://git.example.com/a/b.git",
        "gitlab://git.example.com/a/b%2Fc",
        "gitlab://git.example.com/a/b?api=x",
        "gitlab://user:secret@git.example.com/a/b",
    ],
)
def test_what_is_no_project_is_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_gitlab_project(url, env={})
    assert "secret" not in caught.value.message


def sent(project: GitLabProject, access: Access, url: str) -> dict[str, str]:
    """Return the headers that the credentials add to a request."""
    credentials = token_for(project, access)
    request = requests.Request("GET", url).prepare()
    if credentials.auth is not None:
        credentials.auth(request)
    return dict(request.headers)


HERE = find_gitlab_project("gitlab://git.example.com/a/b", env={})


@pytest.mark.parametrize(
    ("access", "header"),
    [
        (Access(token="glpat-x"), {"PRIVATE-TOKEN": "glpat-x"}),
        (Access(token="old20characters"), {"PRIVATE-TOKEN": "old20characters"}),
        (Access(token="glpat-x", username="me"), {"PRIVATE-TOKEN": "glpat-x"}),
        (Access(token="gldt-x"), {"Deploy-Token": "gldt-x"}),
        (Access(username="deployer", password="x"), {"Deploy-Token": "x"}),
        (Access(token="glcbt-x"), {"JOB-TOKEN": "glcbt-x"}),
        (Access(token="plain", env={"CI_JOB_TOKEN": "plain"}), {"JOB-TOKEN": "plain"}),
        (Access(env=JOB), {"JOB-TOKEN": "glcbt-64_secret"}),
        (Access(token="glpat-x", env=JOB), {"PRIVATE-TOKEN": "glpat-x"}),
        (Access(), {}),
    ],
)
def test_which_header_a_token_goes_in(access: Access, header: dict[str, str]) -> None:
    assert sent(HERE, access, HERE.url) == header
    assert sent(HERE, access, "https://storage.example.com/x") == {}
    assert sent(HERE, access, "https://git.example.com:444/x") == {}


@pytest.mark.parametrize(
    "url",
    ["gitlab://other.example.com/a/b", "gitlab://git.example.com:8443/a/b"],
)
def test_a_job_token_is_shown_to_its_own_host_only(url: str) -> None:
    assert token_for(find_gitlab_project(url, env=JOB), Access(env=JOB)).kind is TokenKind.NONE


def test_a_token_is_not_sent_readable() -> None:
    env = {"CI_API_V4_URL": "http://git.example.com/api/v4"}
    project = find_gitlab_project("gitlab://git.example.com/a/b", env=env)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        token_for(project, Access(token="glpat-x"))


def test_a_token_is_not_shown() -> None:
    auth = token_for(HERE, Access(token="glpat-x")).auth
    assert isinstance(auth, HostAuth)
    assert "glpat-x" not in repr(auth)
