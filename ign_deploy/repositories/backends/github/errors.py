"""Error responses of GitHub explained: which permission is missing, and how to grant it."""

from __future__ import annotations

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response

PERMISSIONS = (
    "give the job `permissions: contents: write`, or the token read and write access to the "
    "repository's contents."
)
TOKEN = "set REPOSITORY_API_TOKEN to a valid token, or pass the job's GITHUB_TOKEN."  # noqa: S105
_LONGEST_REASON = 300


def error_for_response(response: Response) -> RepositoryError:
    """Return the error for a response that isn't a success."""
    reason = reason_of(response)
    status = response.status
    message = f"{response.title} failed: GitHub returned {status}" + (
        f": {reason}" if reason else ""
    )
    if status == 401:
        return RepositoryError(f"{message}; the token is wrong or expired", hint=TOKEN)
    if is_rule(response):
        return RepositoryError(
            message,
            hint="exempt the branch ign-deploy and the tags modl/** from the repository's rules "
            "for the publishing account.",
        )
    if status in {403, 404}:
        return RepositoryError(f"{message}; the token may lack a permission", hint=PERMISSIONS)
    return RepositoryError(message, hint="see GitHub's reason above, and its status page.")


def is_rule(response: Response) -> bool:
    """Return whether a rejection is due to the repository's own rules (rulesets, protection)."""
    body = response.body.lower()
    return not response.ok and (b"rule violation" in body or b"protected branch" in body)


def is_empty(response: Response) -> bool:
    """Return whether a rejection is due to the repository having no commit yet."""
    return response.status == 409 and "repository is empty" in reason_of(response).lower()


def empty_repository(name: str) -> RepositoryError:
    """Return the error for a repository without a commit: a release needs one to be tagged."""
    return RepositoryError(
        f"{name} on GitHub has no commit yet, so it can't have releases",
        hint="push a first commit (such as a README), then run again.",
    )


def reason_of(response: Response) -> str:
    """Return GitHub's own explanation as one printable line; empty without one."""
    fields = response.fields()
    errors = fields.get("errors")
    parts = [fields.get("message")]
    for each in errors[:5] if isinstance(errors, list) else ():
        if isinstance(each, dict):
            parts += [each.get("message") or f"{each.get('field')} {each.get('code')}"]
    text = "; ".join(part for part in parts if isinstance(part, str))
    line = "".join(char if char.isprintable() else " " for char in text)
    return line[:_LONGEST_REASON].strip()
