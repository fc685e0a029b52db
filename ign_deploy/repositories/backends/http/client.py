"""Requests to web servers that store files, and what their refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from ign_deploy.errors import RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import NO_HINTS, Response, parse_xml

_FULL = "try again later; if it persists, check the server's log, and whether its disk is full."
_NO_UPLOADS = (
    "enable WebDAV (PUT, DELETE, MKCOL, PROPFIND) for the path, or use the URL of a server that "
    "accepts uploads."
)
_TOO_LARGE = (
    "raise the limit of the server and of any proxy in front of it (nginx: client_max_body_size, "
    "Apache: LimitRequestBody)."
)
_MEANINGS = {
    400: (
        "it doesn't accept this upload",
        "allow uploads on the server, and turn off its content type checks.",
    ),
    401: (
        "the token or password is missing, wrong or expired",
        "set REPOSITORY_API_TOKEN, or REPOSITORY_USERNAME and REPOSITORY_PASSWORD.",
    ),
    403: (
        "the account lacks the permission",
        "on the server, grant the account read, write and delete for the repository's path.",
    ),
    404: (
        "it doesn't exist, or the account can't see it",
        "check the path in --repository-url, and the account's permission to read it.",
    ),
    405: (
        "the server doesn't support it",
        _NO_UPLOADS,
    ),
    409: (
        "its parent folder is missing, or something else has its name",
        "create the repository's folder on the server, and look for files in place of folders.",
    ),
    413: (
        "the file is too large for the server",
        _TOO_LARGE,
    ),
    423: (
        "it stays locked by another WebDAV client",
        "release the lock (a mounted folder, an editor), then run again.",
    ),
    501: (
        "the server doesn't support it",
        _NO_UPLOADS,
    ),
    507: (
        "the server is full, or the account's quota is used up",
        "free space on the server (ign-deploy prune), or raise the quota.",
    ),
}


class WebClient(Client):
    """A client that also waits for what passes on WebDAV servers.

    They lock a file for a moment by themselves, and cut a listing short when one of its files is
    replaced meanwhile (both: Go's, which rclone has).
    """

    def attempt(self, method: str, path: str = "", **options: Any) -> Response:
        """See ``Client.attempt``; a bare 500 may be a full disk."""
        try:
            response = super().attempt(method, path, **options)
        except TransientResponse as problem:
            if method in {"PUT", "MKCOL"} and problem.status == 500:
                problem.hint = _FULL
            raise
        if response.status == 423:
            raise _Passing(response, "423 (locked)")
        if response.status == 207 and parse_xml(response.body) is None:
            raise _Passing(response, "half a listing")
        return response

    def repeat(
        self, attempt: Callable[[], Response], *, expect: Container[int] = (), **options: Any
    ) -> Response:
        """See ``Client.repeat``."""
        try:
            return super().repeat(attempt, expect=expect, **options)
        except _Passing as problem:
            # What it stays is judged like any other response.
            if problem.response.ok or problem.response.status in expect:
                return problem.response
            raise self.error_for_response(problem.response) from None


class _Passing(TransientResponse):
    """A response that is expected to be another one in a moment."""

    def __init__(self, response: Response, returned: str) -> None:
        super().__init__(f"{response.host} returned {returned}", status=response.status)
        self.response = response


def http_error(response: Response, *, hints: Mapping[int, str] = NO_HINTS) -> RepositoryError:
    """Return the error for a response; ``hints`` are what the product knows better, by status."""
    meaning, hint = _MEANINGS.get(
        response.status,
        ("that was not expected", "check the server's log and the repository URL."),
    )
    if (response.method, response.status) == ("PUT", 405):
        # Go's WebDAV (rclone and others) says that it can't create the file, whatever the reason.
        meaning = "it doesn't support uploads there, or has no space left"
        hint = f"{_NO_UPLOADS} If uploads worked before, free space on the server."
    return RepositoryError(
        f"{response.title} failed: {response.host} returned {response.status}: {meaning}",
        hint=hints.get(response.status, hint),
    )
