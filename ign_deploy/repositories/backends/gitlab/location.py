"""Which GitLab project a URL means, where its API is, and which token is used for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth, is_this_machine, origin
from ign_deploy.repositories.access import Access, split_store_url

_API = "/api/v4"
_SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}")
_JOB_PREFIX = "glcbt-"
_DEPLOY_PREFIX = "gldt-"
_ACCESS_PREFIX = "glpat-"


@dataclass(frozen=True, slots=True)
class GitLabProject:
    """A project: its path with all groups, and the address of its GitLab's API (``…/api/v4``)."""

    path: str
    api: str

    @property
    def url(self) -> str:
        """The project in the API: its path is one segment there."""
        return f"{self.api}/projects/{quote(self.path, safe='')}"

    @property
    def web(self) -> str:
        """The project as a person sees it."""
        return f"{self.api.removesuffix(_API)}/{self.path}"

    @property
    def host(self) -> str:
        """The name of the host."""
        return urlsplit(self.api).hostname or ""


def find_gitlab_project(url: str, *, env: Mapping[str, str]) -> GitLabProject:
    """Return the project of ``gitlab://host[:port]/group/…/project``.

    The API is that of ``CI_API_V4_URL`` where this names the same host: that knows a GitLab below
    a path, and its port. Else it is at ``https://host/api/v4``, on this machine with plain http.
    Raises ConfigurationError.
    """
    parts = split_store_url(url)
    segments = parts.path.split("/")
    if len(segments) < 2 or not all(_is_segment(each) for each in segments):
        raise ConfigurationError(
            "the gitlab: URL doesn't name a project by its groups and its name",
            hint="write gitlab://host/group/project, as in the project's address in the browser.",
        )
    location = urlsplit(f"//{parts.host}")
    host, port = location.hostname or "", location.port
    scheme = "http" if is_this_machine(host) else "https"
    own = _api_of_this_job(env, host=host, port=port)
    return GitLabProject(path=parts.path, api=own or f"{scheme}://{parts.host}{_API}")


def _is_segment(text: str) -> bool:
    return _SEGMENT.fullmatch(text) is not None and not text.endswith((".", ".git", ".atom"))


def _api_of_this_job(env: Mapping[str, str], *, host: str, port: int | None) -> str | None:
    url = env.get("CI_API_V4_URL", "").strip().rstrip("/")
    try:
        parts = urlsplit(url)
        name, own_port = parts.hostname, parts.port
    except ValueError:
        return None
    same = name == host and port in {None, own_port}
    plain = parts.scheme in {"http", "https"} and not parts.query and "@" not in parts.netloc
    return url if same and plain and parts.path.endswith(_API) and url.isprintable() else None


class TokenKind(StrEnum):
    """What GitLab calls the token; permissions differ by kind."""

    ACCESS = "access token"
    JOB = "CI/CD job token"
    DEPLOY = "deploy token"
    NONE = "no token"


_HEADERS = {
    TokenKind.ACCESS: "PRIVATE-TOKEN",
    TokenKind.JOB: "JOB-TOKEN",
    TokenKind.DEPLOY: "Deploy-Token",
}


@dataclass(frozen=True, slots=True)
class GitLabToken:
    """A token's kind, and what sends it to the project's own host only."""

    kind: TokenKind
    auth: HostAuth | None = None


def token_for(project: GitLabProject, access: Access) -> GitLabToken:
    """Choose the token: the one that is set, else that of the CI job if it runs on this host.

    With a username the token is a deploy token, unless it says itself what it is. Raises
    ConfigurationError where it would be sent unencrypted.
    """
    secret = access.token or access.password
    job = access.env.get("CI_JOB_TOKEN", "")
    if secret:
        kind = _kind_of(secret, username=access.username, job=job)
    elif job and _runs_on(project, access.env):
        secret, kind = job, TokenKind.JOB
    else:
        return GitLabToken(TokenKind.NONE)
    return GitLabToken(kind, HostAuth(secret, url=project.api, name=_HEADERS[kind]))


def _kind_of(secret: str, *, username: str, job: str) -> TokenKind:
    if secret == job or secret.startswith(_JOB_PREFIX):
        return TokenKind.JOB
    if secret.startswith(_DEPLOY_PREFIX):
        return TokenKind.DEPLOY
    if username and not secret.startswith(_ACCESS_PREFIX):
        return TokenKind.DEPLOY
    return TokenKind.ACCESS


def _runs_on(project: GitLabProject, env: Mapping[str, str]) -> bool:
    """Return whether the CI job's GitLab is the project's: no other host gets its token."""
    if env.get("CI_SERVER_HOST", "").lower() != project.host:
        return False
    api = env.get("CI_API_V4_URL") or env.get("CI_SERVER_URL") or f"https://{project.host}"
    return origin(api) == origin(project.api)
