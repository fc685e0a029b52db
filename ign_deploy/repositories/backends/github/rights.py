"""What the token may do, found out before anything is uploaded."""

from __future__ import annotations

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.github.api import Api
from ign_deploy.repositories.backends.github.branch import empty_repository
from ign_deploy.repositories.backends.github.schema import (
    REPOSITORY,
    RIGHTS,
    TOKEN,
    RepositoryAnswer,
    is_empty,
    parse,
    refusal,
    words,
)


def require_readable(api: Api) -> RepositoryAnswer:
    """Return the repository; raises RepositoryError when the token may not read it."""
    answer = api.get("")
    location = api.location
    if answer.status == 404:
        missing = f"there is no repository {location.name} on GitHub"
        if location.token:
            raise RepositoryError(
                f"{missing}, or the token may not read it",
                hint="check owner and name; let the token's access include the repository.",
            )
        raise RepositoryError(
            f"{missing} that can be read without a token", hint=f"check owner and name; or {TOKEN}"
        )
    if answer.status != 200:
        raise refusal(answer.status, answer.body, doing=f"asking for {location.name}")
    return parse(REPOSITORY, answer.body, location=location.name)


def find_rights(api: Api) -> Capabilities:
    """Return what can be done there, by one request to read and one to write.

    GitHub's own word for the right (``permissions.push``) is false for the token of every job, and
    true for a token that may only read but whose owner may write. So an unused Git object is
    written, which shows nowhere and which GitHub throws away.
    """
    repository = require_readable(api)
    obstacle = _obstacle(api, repository)
    return Capabilities(
        location=f"{api.location.web}/{api.location.name}",
        writable=not obstacle,
        obstacle=obstacle,
        create_once=True,
        compare_and_swap=True,
        server_digest=True,
        resume=True,
        workers=3,  # GitHub slows down who makes many contents at once
    )


def _obstacle(api: Api, repository: RepositoryAnswer) -> str:
    name = api.location.name
    if repository.full_name.lower() != name.lower():
        shown = repository.full_name[:200]
        return f"{name} was renamed to {shown!a} on GitHub; use that name in the repository URL"
    if repository.archived:
        return f"{name} is archived on GitHub; unarchive it, or use another repository"
    if not api.location.token:
        return f"there is no token to write to {name}; {TOKEN}"
    document = {"content": "ign-deploy asks whether it may write here\n", "encoding": "utf-8"}
    sent = api.send("POST", "git/blobs", document=document, title=f"asking to write to {name}")
    if sent.accepted:
        return ""
    if is_empty(sent.status, sent.body):
        problem = empty_repository(name)
        return f"{problem.message}; {problem.hint}"
    if sent.status in {403, 404}:
        said = words(sent.body)
        return f"the token may not write to {name}" + (f" ({said})" if said else "") + f"; {RIGHTS}"
    raise refusal(sent.status, sent.body, doing=f"asking to write to {name}")
