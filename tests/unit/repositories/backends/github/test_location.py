from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.github.location import find_github_location

JOB = {"GITHUB_API_URL": "https://ghe.example/api/v3", "GITHUB_TOKEN": "job-token"}


def test_github_com_is_the_default() -> None:
    location = find_github_location("github://Acme/Modules.x_y", access=Access(token="t"))
    assert location.api == "https://api.github.com"
    assert location.url == "https://api.github.com/repos/acme/Modules.x_y"
    assert location.release_page("modl/a/1+b") == (
        "https://github.com/acme/Modules.x_y/releases/tag/modl/a/1%2Bb"
    )
    assert "t" not in repr(location).split("token")[1:]


@pytest.mark.parametrize(
    ("url", "env", "api", "web", "token"),
    [
        ("github://a/b", {"GITHUB_TOKEN": "x"}, "https://api.github.com", "https://github.com",
         "x"),
        ("github://a/b", JOB, "https://ghe.example/api/v3", "https://ghe.example", "job-token"),
        ("github://a/b?api=https://api.github.com", JOB, "https://api.github.com",
         "https://github.com", ""),
        ("github://a/b?api=https://ghe.example/api/v3/", JOB, "https://ghe.example/api/v3",
         "https://ghe.example", "job-token"),
        ("github://a/b?api=https://ghe.example:8443/api/v3", JOB, "https://ghe.example:8443/api/v3",
         "https://ghe.example:8443", ""),
        ("github://a/b?api=https://api.acme.ghe.com", {}, "https://api.acme.ghe.com",
         "https://acme.ghe.com", ""),
    ],
)  # fmt: skip
def test_the_job_s_token_goes_to_the_job_s_server_only(
    url: str, env: dict[str, str], api: str, web: str, token: str
) -> None:
    location = find_github_location(url, access=Access(env=env))
    assert (location.api, location.web, location.token) == (api, web, token)


@pytest.mark.parametrize(
    ("api", "graphql"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://ghe.example:8443/api/v3", "https://ghe.example:8443/api/graphql"),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql"),
    ],
)
def test_the_other_api_is_beside_it(api: str, graphql: str) -> None:
    location = find_github_location(f"github://a/b?api={api}", access=Access())
    assert location.graphql == graphql


def test_the_own_token_comes_first() -> None:
    assert find_github_location("github://a/b", access=Access(token="own", env=JOB)).token == "own"


@pytest.mark.parametrize(
    "url",
    ["github://a", "github://a/", "github://a/b/c", "github://a/..", "github://a:80/b",
     "github://-a/b", "github://a/b%2Fc", "github://a/b?api=http://ghe.example/api/v3",
     "github://a/b?api=ghe.example", "github://a/b?api=https://u:p@ghe.example",
     "github://a/b?api=https://ghe.example/?x", "github://t@a/b", "github://a/b?branch=x"],
)  # fmt: skip
def test_what_names_no_repository_is_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError):
        find_github_location(url, access=Access(token="secret"))


@pytest.mark.parametrize(
    ("api", "url", "allowed"),
    [
        ("https://api.github.com", "https://uploads.github.com/repos/a/b/releases/1/assets", True),
        ("https://api.github.com", "https://api.github.com/x", True),
        ("https://ghe.example/api/v3", "https://ghe.example/api/uploads/x", True),
        ("https://api.acme.ghe.com", "https://uploads.acme.ghe.com/x", True),
        ("https://api.github.com", "https://uploads.github.com.evil.example/x", False),
        ("https://api.github.com", "http://uploads.github.com/x", False),
        ("https://api.github.com", "https://uploads.github.com:444/x", False),
        ("https://api.github.com", "https://x@uploads.github.com/x", False),
        ("https://api.github.com", "ftp://uploads.github.com/x", False),
        ("https://api.github.com", "//uploads.github.com/x", False),
        ("https://ghe.example/api/v3", "https://uploads.github.com/x", False),
    ],
)
def test_the_token_follows_uploads_to_github_s_own_hosts_only(
    api: str, url: str, allowed: bool
) -> None:
    location = find_github_location(f"github://a/b?api={api}", access=Access())
    assert location.takes_uploads_at(url) is allowed
