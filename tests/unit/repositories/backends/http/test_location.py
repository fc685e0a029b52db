"""Where a repository is, and with which credentials it is asked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.http.location import HttpLocation, find_http_location
from tests.support.reporting import Recorder

SERVER = "https://store.example"


def location(url: str = SERVER, **access: Any) -> HttpLocation:
    return find_http_location(url, access=Access(**access))


def header(found: HttpLocation, url: str = f"{SERVER}/x") -> str | None:
    request = requests.Request("GET", url, auth=found.auth).prepare()
    return request.headers.get("Authorization")


@pytest.mark.parametrize(
    ("url", "kind", "root"),
    [
        (SERVER, "", SERVER),
        (f"{SERVER}:8443/a//b%20c/", "", f"{SERVER}:8443/a/b%20c"),
        (f"nexus+{SERVER}/repository/x", "nexus", f"{SERVER}/repository/x"),
        (
            f"ARTIFACTORY+{SERVER}/artifactory/x/ä+b",
            "artifactory",
            f"{SERVER}/artifactory/x/%C3%A4%2Bb",
        ),
        ("http://127.0.0.1:81/x", "", "http://127.0.0.1:81/x"),
    ],
)  # fmt: skip
def test_a_url_names_a_server_and_a_folder(url: str, kind: str, root: str) -> None:
    found = location(url)
    assert (found.kind, found.root) == (kind, root)


@pytest.mark.parametrize("path", ["/a/../b", "/a/%2e%2e/b", "/a%2fb", "/a%00b", "/.", "/a%5cb"])
def test_a_path_that_isnt_plain_is_rejected(path: str) -> None:
    with pytest.raises(ConfigurationError, match="path in the repository URL"):
        location(SERVER + path)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (f"nexus+{SERVER}/modules", "/repository/NAME"),
        (f"nexus+{SERVER}/repository", "/repository/NAME"),
        (f"artifactory+{SERVER}/modules", "/artifactory/REPOSITORY"),
        (f"artifactory+{SERVER}/artifactory", "/artifactory/REPOSITORY"),
        (f"artifactory+{SERVER}/artifactory/api/x", "/artifactory/REPOSITORY"),
    ],
)
def test_a_url_without_a_repository_is_rejected(url: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_repository(url)
    assert hint in refused.value.hint


BASIC = base64.b64encode("ä:b:c".encode()).decode()


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ({}, None),
        ({"token": "t0k"}, "Bearer t0k"),
        ({"username": "ä", "password": "b:c"}, f"Basic {BASIC}"),
        ({"username": "ä", "token": "b:c"}, f"Basic {BASIC}"),
        ({"username": "ä", "password": "b:c", "token": "t0k"}, "Bearer t0k"),
    ],
)
def test_a_token_a_password_or_nothing_is_sent(
    access: Mapping[str, str], expected: str | None
) -> None:
    found = location(**access)
    assert header(found) == expected
    assert header(found, "https://other.example/x") is None


def test_a_user_token_of_nexus_is_a_pair() -> None:
    pair = base64.b64encode(b"name:code").decode()
    assert header(location(f"nexus+{SERVER}/repository/x", token="name:code")) == f"Basic {pair}"
    assert header(location(token="name:code")) == "Bearer name:code"


def test_secrets_are_hidden() -> None:
    reported = Recorder()
    env = {"https_proxy": "http://me:pr%20xy@proxy.example:3128"}
    access = Access(token="name:code", password="", env=env, reporter=reported)
    find_http_location(f"nexus+{SERVER}/repository/x", access=access)
    assert set(reported.masked) == {"name:code", "code", "pr%20xy", "pr xy"}
    assert "code" not in repr(location(token="name:code"))


@pytest.mark.parametrize("access", [{"username": "x"}, {"password": "secret"}])
def test_half_a_credential_is_rejected(access: Mapping[str, str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        location(**access)
    assert "secret" not in refused.value.message


def test_http_is_warned_of_and_gets_no_credentials() -> None:
    reported = Recorder()
    find_http_location("http://store.example/x", access=Access(reporter=reported))
    assert len(reported.warnings) == 1
    assert "store.example is reached over http" in reported.warnings[0]
    for kind in ("", "nexus+", "artifactory+"):
        with pytest.raises(ConfigurationError, match="unencrypted"):
            location(f"{kind}http://store.example/x", token="t0k")
    reported = Recorder()
    find_http_location("http://localhost/x", access=Access(token="t0k", reporter=reported))
    assert reported.warnings == []


def test_credentials_in_the_url_are_rejected() -> None:
    with pytest.raises(ConfigurationError) as refused:
        location("https://me:hunter2@store.example/x")
    assert "hunter2" not in refused.value.message + refused.value.hint
