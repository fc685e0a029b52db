"""What the token is permitted to do, checked before anything is uploaded."""

from __future__ import annotations

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.github.api import (
    PERMISSIONS,
    REPOSITORY,
    TOKEN,
    GitHubApi,
    GitHubRepository,
    empty_repository,
    github_error,
    github_reason,
    is_empty,
)


class ReadAccess:
    """Whether the repository can be read, checked at most once: GitHub returns 404 if not."""

    def __init__(self, api: GitHubApi) -> None:
        self._api = api
        self._is_readable = False

    def probe(self) -> Capabilities:
        """See ``Store.probe``."""
        capabilities = find_rights(self._api)
        self._is_readable = True
        return capabilities

    def exists(self) -> bool:
        """See ``Store.exists``; a repository that isn't there raises."""
        self.require_readable()
        return True

    def require_readable(self) -> None:
        """Raise RepositoryError if the token can't read the repository."""
        if not self._is_readable:
            require_readable(self._api)
            self._is_readable = True


def require_readable(api: GitHubApi) -> GitHubRepository:
    """Return the repository; raises RepositoryError when the token can't read it."""
    location = api.location
    response = api.request("GET", title=f"checking {location.name}", expect={404})
    if not response.ok:
        missing = f"there is no repository {location.name} on GitHub"
        if location.token:
            raise RepositoryError(
                f"{missing}, or the token can't read it",
                hint="check owner and name, and that the token has access to the repository.",
            )
        raise RepositoryError(
            f"{missing} that can be read without a token", hint=f"check owner and name; or {TOKEN}"
        )
    return response.parse(REPOSITORY)


def find_rights(api: GitHubApi) -> Capabilities:
    """Return what can be done there, by one request; a second says why, if nothing can be written.

    GitHub's own word for the right (``permissions.push``) is false for the token of every job, and
    true for a token that may only read but whose owner may write. So an unused Git object is
    written, which is shown nowhere and which GitHub discards.
    """
    obstacle = _obstacle(api)
    return Capabilities(
        location=f"{api.location.web}/{api.location.name}",
        writable=not obstacle,
        obstacle=obstacle,
        create_once=True,
        compare_and_swap=True,
        server_digest=True,
        resume=True,
        workers=3,  # GitHub throttles accounts that create a lot at once
    )


def _obstacle(api: GitHubApi) -> str:
    name = api.location.name
    if not api.location.token:
        return _lasting_obstacle(api)
    document = {"content": "ign-deploy checks whether it may write here\n", "encoding": "utf-8"}
    try:
        sent = api.request(
            "POST", "git/blobs", json=document, title=f"writing to {name}", expect={403, 404, 409}
        )
    except RepositoryError:
        # GitHub redirects what is sent to a repository that was renamed.
        if obstacle := _lasting_obstacle(api):
            return obstacle
        raise
    if sent.ok:
        return ""
    if obstacle := _lasting_obstacle(api):
        return obstacle
    if is_empty(sent):
        problem = empty_repository(name)
        return f"{problem.message}; {problem.hint}"
    if sent.status in {403, 404}:
        reason = github_reason(sent)
        return (
            f"the token can't write to {name}" + (f" ({reason})" if reason else "")
        ) + f"; {PERMISSIONS}"
    raise github_error(sent)


def _lasting_obstacle(api: GitHubApi) -> str:
    """Return what GitHub says of the repository itself; raises RepositoryError as reading does."""
    name, repository = api.location.name, require_readable(api)
    if repository.full_name.lower() != name.lower():
        shown = repository.full_name[:200]
        return f"{name} was renamed to {shown!a} on GitHub; use that name in the repository URL"
    if repository.archived:
        return f"{name} is archived on GitHub; unarchive it, or use another repository"
    if not api.location.token:
        return f"no token is set to write to {name}; {TOKEN}"
    return ""
