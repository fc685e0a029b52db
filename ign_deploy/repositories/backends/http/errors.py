"""What a web server's error responses mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response

NO_HINTS: Mapping[int, str] = MappingProxyType({})
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
        "it is locked by another WebDAV client",
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


def error_for_response(
    response: Response, *, hints: Mapping[int, str] = NO_HINTS
) -> RepositoryError:
    """Return the error for a response; ``hints`` are what the product knows better, by status."""
    meaning, hint = _MEANINGS.get(
        response.status,
        ("that was not expected", "check the server's log and the repository URL."),
    )
    return RepositoryError(
        f"{response.title} failed: {response.host} returned {response.status}: {meaning}",
        hint=hints.get(response.status, hint),
    )
