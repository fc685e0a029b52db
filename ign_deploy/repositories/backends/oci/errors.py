"""A registry's error responses explained: which permission is missing, and how to grant it."""

from __future__ import annotations

from typing import Any

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories.backends.oci.address import Location

SET_CREDENTIALS = (
    "set REPOSITORY_USERNAME and REPOSITORY_PASSWORD, or REPOSITORY_API_TOKEN, for this registry."
)
_WRONG = (
    "check the user name, password or token: it is wrong or expired, or lacks the permission to "
    "pull and push in this repository."
)
_FORBIDDEN = (
    "let these credentials pull and push in this repository (GitHub: the token's permission "
    "packages: write; Harbor: the role Developer; GitLab: the scopes read_registry and "
    "write_registry)."
)
_IMMUTABLE = (
    "make only tags that don't begin with '_' immutable: the others are indexes, status events and "
    "claims; release a removed version's tag by hand."
)
_HINTS = {
    404: "check the registry and the repository's name in the URL; create the repository first if "
    "the registry doesn't do so at the first push, and let the credentials see it.",
    413: "raise the size limit of the registry and of any proxy in front of it, or make the module "
    "smaller.",
    507: "free storage in the registry, or raise its quota.",
}


def error_for_response(response: Response, *, location: Location, known: bool) -> RepositoryError:
    """Return the error for a response that isn't a success.

    ``known`` says whether we have credentials for the registry.
    """
    reason = reason_of(response)
    return RepositoryError(
        f"{response.title} failed: {location.host} returned {response.status}"
        f"{f' ({reason})' if reason else ''} for the repository {location.name}",
        hint=_hint(response.status, reason.lower(), known=known),
    )


def error_codes(response: Response) -> list[str]:
    """Return the codes that an error response lists (OCI distribution specification)."""
    return [code for each in _errors(response) if isinstance(code := each.get("code"), str)]


def reason_of(response: Response) -> str:
    """Return the registry's own words, harmless and short; empty if there are none."""
    texts = [
        text
        for each in _errors(response)
        for name in ("code", "message")
        if isinstance(text := each.get(name), str) and text
    ]
    return ascii(": ".join(texts[:2])[:200])[1:-1]


def _errors(response: Response) -> list[dict[str, Any]]:
    listed = response.fields().get("errors")
    if not isinstance(listed, list):
        return []
    return [each for each in listed[:10] if isinstance(each, dict)]


def _hint(status: int, reason: str, *, known: bool) -> str:
    if "immutab" in reason:
        return _IMMUTABLE
    if "quota" in reason or "storage" in reason:
        return _HINTS[507]
    if status == 401:
        return _WRONG if known else SET_CREDENTIALS
    if status == 403:
        return _FORBIDDEN if known else SET_CREDENTIALS
    return _HINTS.get(status, "check the registry's log.")
