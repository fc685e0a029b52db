"""Which of GitLab's tokens is used, and the header for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ign_deploy.net.credentials import HostAuth, origin
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.gitlab.address import Project

_JOB_PREFIX = "glcbt-"
_DEPLOY_PREFIX = "gldt-"
_ACCESS_PREFIX = "glpat-"


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
class Credentials:
    """A token's kind, and what sends it to the project's own host only."""

    kind: TokenKind
    auth: HostAuth | None = None


def credentials_for(project: Project, access: Access) -> Credentials:
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
        return Credentials(TokenKind.NONE)
    return Credentials(kind, HostAuth(secret, url=project.api, name=_HEADERS[kind]))


def _kind_of(secret: str, *, username: str, job: str) -> TokenKind:
    if secret == job or secret.startswith(_JOB_PREFIX):
        return TokenKind.JOB
    if secret.startswith(_DEPLOY_PREFIX):
        return TokenKind.DEPLOY
    if username and not secret.startswith(_ACCESS_PREFIX):
        return TokenKind.DEPLOY
    return TokenKind.ACCESS


def _runs_on(project: Project, env: Mapping[str, str]) -> bool:
    """Return whether the CI job's GitLab is the project's: no other host gets its token."""
    if env.get("CI_SERVER_HOST", "").lower() != project.host:
        return False
    api = env.get("CI_API_V4_URL") or env.get("CI_SERVER_URL") or f"https://{project.host}"
    return origin(api) == origin(project.api)
