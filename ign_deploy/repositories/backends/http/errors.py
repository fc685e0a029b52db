"""What a web server's refusals mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import host_of

_NO_HINTS: Mapping[int, str] = MappingProxyType({})
_NO_UPLOADS = (
    "switch on WebDAV (PUT, DELETE, MKCOL, PROPFIND) for the path, or give the URL of a server "
    "that takes uploads."
)
_TOO_LARGE = (
    "raise the limit of the server, and of a proxy before it (nginx: client_max_body_size, "
    "Apache: LimitRequestBody)."
)
_MEANINGS = {
    400: (
        "it takes no such upload",
        "on the server, allow uploads, and switch off the checking of content types.",
    ),
    401: (
        "the token or password is wrong or expired, or none is set",
        "set REPOSITORY_API_TOKEN, or REPOSITORY_USERNAME and REPOSITORY_PASSWORD, anew.",
    ),
    403: (
        "the account lacks the right to it",
        "on the server, grant the account read, write and delete for the repository's path.",
    ),
    404: (
        "there is no such place, or the account may not see it",
        "check the path in --repository-url, and the account's right to read it.",
    ),
    405: (
        "the server doesn't offer that",
        _NO_UPLOADS,
    ),
    409: (
        "the folder it belongs into is missing, or something else is in its place",
        "make the repository's folder on the server, and look for files where folders belong.",
    ),
    413: (
        "the server takes no file of that size",
        _TOO_LARGE,
    ),
    423: (
        "somebody holds a WebDAV lock on it",
        "release the lock (a mounted folder, an editor), then run again.",
    ),
    501: (
        "the server doesn't know that",
        _NO_UPLOADS,
    ),
    507: (
        "the server has no room left, or the account's quota is used up",
        "make room on the server (ign-deploy prune), or raise the quota.",
    ),
}


def refusal(
    status: int, url: str, *, doing: str, hints: Mapping[int, str] = _NO_HINTS
) -> RepositoryError:
    """Return the error for an answer; ``doing`` says what was asked, such as ``reading x``.

    ``hints`` are those that the product knows better, by status.
    """
    meaning, hint = _MEANINGS.get(
        status, ("that was not expected", "look at the server's log, and check the repository URL.")
    )
    return RepositoryError(
        f"{host_of(url)} answered {status} to {doing}: {meaning}", hint=hints.get(status, hint)
    )
