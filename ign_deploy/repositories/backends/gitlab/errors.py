"""Error responses of GitLab explained: which permission is missing, and how to grant it."""

from __future__ import annotations

from dataclasses import dataclass

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories.backends.gitlab.address import Project
from ign_deploy.repositories.backends.gitlab.credentials import TokenKind

_TOKENS = (
    "set REPOSITORY_API_TOKEN to a project access token with the scope api and the role Developer, "
    "or run in a GitLab CI job, whose own token is used."
)
_TOO_LARGE = (
    "raise GitLab's limit for generic packages, and that of any proxy in front of it "
    "(client_max_body_size), or make the module smaller."
)
# Words of GitLab's own reason, in lower case.
_CAUSES = {
    "too large": _TOO_LARGE,
    "duplicate package": "allow duplicates (the group's Settings > Packages and registries > "
    "Generic), or have a maintainer delete the abandoned file.",
    "insufficient_scope": "give the token the scope api: read_api can't publish.",
    "package protected": "let this role pass the project's package protection rules, or use a "
    "higher role.",
    "deletion protected": "let this role pass the project's package protection rules, or use a "
    "higher role.",
    "storage limit": "free storage in the project's namespace, or buy more.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the requests: the project, the token's kind, and the CI job's own project."""

    project: Project
    kind: TokenKind
    own_project: str = ""


def error_for_response(response: Response, *, caller: Caller) -> RepositoryError:
    """Return the error for a response that isn't a success."""
    reason = reason_of(response)
    return RepositoryError(
        f"{response.title} failed: GitLab returned {response.status}"
        f"{f' ({reason})' if reason else ''} for the project {caller.project.path}",
        hint=_hint(response.status, reason.lower(), caller=caller),
    )


def is_duplicate(response: Response) -> bool:
    """Return whether the project forbids a second file of that name, and there is one."""
    return response.status in {400, 403} and "duplicate package" in reason_of(response).lower()


def is_unknown_project(response: Response) -> bool:
    """Return whether it isn't the file but the project that wasn't found."""
    return response.status == 404 and "project not found" in reason_of(response).lower()


def reason_of(response: Response) -> str:
    """Return GitLab's own words, harmless and short; empty if there are none."""
    fields = response.fields()
    found = [fields.get(name) for name in ("message", "error", "error_description")]
    text = ", ".join(each for each in found if isinstance(each, str))
    return ascii(text[:200])[1:-1]


def _hint(status: int, reason: str, *, caller: Caller) -> str:
    if status == 413:
        reason = "too large"
    if known := next((hint for words, hint in _CAUSES.items() if words in reason), ""):
        return known
    if status == 401:
        return _wrong_token(caller.kind)
    if status == 403:
        return _forbidden(caller)
    if status == 404:
        return _not_found(caller)
    if status == 405:
        return "if the project was moved or renamed, use its current path in the URL."
    return "check GitLab's log (production_json.log, api_json.log)."


def _wrong_token(kind: TokenKind) -> str:
    if kind is TokenKind.NONE:
        return _TOKENS
    if kind is TokenKind.JOB:
        return (
            "use the token while its job runs: it expires with the job; before GitLab 15.3 a job's "
            "token can't list packages."
        )
    if kind is TokenKind.DEPLOY:
        return f"the token is wrong or expired, or can't list packages: {_TOKENS}"
    return "create a new token and set REPOSITORY_API_TOKEN: this one is wrong, expired or revoked."


def _forbidden(caller: Caller) -> str:
    if caller.kind is TokenKind.JOB:
        return (
            f"{_allowlist(caller)}; the user who started the job needs the role Developer there "
            "(to delete: Maintainer)."
        )
    if caller.kind is TokenKind.DEPLOY:
        return f"a deploy token can't do that: {_TOKENS}"
    return f"give the token's user the role Developer (to delete: Maintainer); {_TOKENS}"


def _not_found(caller: Caller) -> str:
    if caller.kind is TokenKind.JOB:
        return f"check the path; {_allowlist(caller)}."
    if caller.kind is TokenKind.DEPLOY:
        return f"check the path; a deploy token can't list packages: {_TOKENS}"
    if caller.kind is TokenKind.NONE:
        return f"check the path; GitLab hides private projects: {_TOKENS}"
    return "check the path; GitLab hides projects that the token's user isn't a member of."


def _allowlist(caller: Caller) -> str:
    own = caller.own_project or "the job's project"
    return (
        f"add {own} to the job token allowlist of {caller.project.path} "
        "(Settings > CI/CD > Job token permissions)"
    )
