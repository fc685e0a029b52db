"""Who may do what in the simulated GitLab, by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.gitlab_packages.registry import Project

REPORTER, DEVELOPER, MAINTAINER = 20, 30, 40
_HEADERS = {"private-token": "access", "job-token": "job", "deploy-token": "deploy"}


@dataclass
class Token:
    """A token; ``roles`` are its user's by project path, ``project`` is where a job runs.

    ``kind`` is access, job or deploy.
    """

    kind: str
    roles: Mapping[str, int] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset({"api"})
    project: str = ""
    expired: bool = False
    admin: bool = False


class Refused(Exception):
    """The request is refused with a status and GitLab's words for it."""

    def __init__(self, status: int, **body: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def not_found(what: str = "") -> Refused:
    """Return GitLab's 404."""
    return Refused(404, message=f"404 {what} Not Found" if what else "404 Not found")


def forbidden(reason: str = "") -> Refused:
    """Return GitLab's 403."""
    return Refused(403, message=f"403 Forbidden - {reason}" if reason else "403 Forbidden")


def authenticate(headers: Mapping[str, str], tokens: Mapping[str, Token]) -> Token | None:
    """Return the token that a request brings, None for none; raises Refused for a wrong one."""
    given = [(name, value) for name, value in headers.items() if name.lower() in _HEADERS]
    if len(given) > 1 or any(name.lower() == "authorization" for name in headers):
        raise Refused(400, error="the simulator takes exactly one kind of token")
    if not given:
        return None
    name, value = given[0]
    token = tokens.get(value)
    if token is None or token.expired or token.kind != _HEADERS[name.lower()]:
        raise Refused(401, message="401 Unauthorized")
    return token


def role_in(project: Project, token: Token | None) -> int:
    """Return the role of the token's user in the project, 0 for none."""
    if token is None:
        return 0
    return 50 if token.admin else token.roles.get(project.path, 0)


def require(
    project: Project,
    token: Token | None,
    *,
    right: str,
    deploy_tokens: bool = False,
    job_tokens: bool = True,
) -> None:
    """Raise Refused unless the token has the right: read, create or destroy."""
    if token is not None and token.kind == "deploy" and not deploy_tokens:
        token = None  # these endpoints don't know deploy tokens: the request is anonymous
    if token is not None and token.kind == "job":
        if not job_tokens:
            raise Refused(401, message="401 Unauthorized")
        if token.project != project.path and token.project not in project.job_allowlist:
            raise not_found("Project") if not project.public else forbidden()
    if token is None and right != "read":
        raise Refused(401, message="401 Unauthorized")
    role = role_in(project, token)
    if not role and not project.public:
        raise not_found("Project")
    _require_scope(token, right)
    if not project.registry:
        raise forbidden()
    needed = {"read": 0, "create": DEVELOPER, "destroy": MAINTAINER}[right]
    if role < needed:
        raise forbidden()


def _require_scope(token: Token | None, right: str) -> None:
    if token is None or token.kind == "job":
        return
    enough = {"api"}
    if token.kind == "deploy":
        enough = {"write_package_registry"}
        if right == "read":
            enough = {"write_package_registry", "read_package_registry"}
    elif right == "read":
        enough = {"api", "read_api"}
    if not token.scopes & enough:
        raise Refused(
            403,
            error="insufficient_scope",
            error_description="The request requires higher privileges than provided by the "
            "access token.",
            scope="api",
        )
