"""A registry's refusals, explained: which right is missing, and how to grant it."""

from __future__ import annotations

import json
from typing import Any

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.oci.address import Location

SET_CREDENTIALS = (
    "set REPOSITORY_USERNAME and REPOSITORY_PASSWORD, or REPOSITORY_API_TOKEN, for this registry."
)
_WRONG = (
    "the user name, password or token is wrong or expired, or may not do this: check it, and that "
    "it may pull and push in this repository."
)
_FORBIDDEN = (
    "let these credentials pull and push in this repository (GitHub: the token's permission "
    "packages: write; Harbor: the role Developer; GitLab: the scopes read_registry and "
    "write_registry)."
)
_IMMUTABLE = (
    "make only tags that don't begin with '_' immutable: the others are indexes, marks and claims; "
    "a removed version's tag has to be freed by hand."
)
_HINTS = {
    404: "check the registry and the repository's name in the URL; make the repository first where "
    "the registry doesn't do it at the first push, and let the credentials see it.",
    413: "raise the size limit of the registry or of the proxy before it, or make the module "
    "smaller.",
    507: "free storage in the registry, or raise its quota.",
}


def refusal(
    status: int, body: bytes, *, doing: str, location: Location, known: bool
) -> RepositoryError:
    """Return the error for an answer that isn't success.

    ``doing`` is what was wanted, ``known`` whether we have credentials for the registry.
    """
    reason = reason_of(body)
    reported = f" ({reason})" if reason else ""
    return RepositoryError(
        f"{doing}: {location.host} answered {status}{reported} for the repository {location.name}",
        hint=_hint(status, reason.lower(), known=known),
    )


def error_codes(body: bytes) -> list[str]:
    """Return the codes that an error answer lists (OCI distribution specification)."""
    return [code for each in _errors(body) if isinstance(code := each.get("code"), str)]


def reason_of(body: bytes) -> str:
    """Return the registry's own words, harmless and short; empty if there are none."""
    texts = [
        text
        for each in _errors(body)
        for name in ("code", "message")
        if isinstance(text := each.get(name), str) and text
    ]
    return ascii(": ".join(texts[:2])[:200])[1:-1]


def _errors(body: bytes) -> list[dict[str, Any]]:
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return []
    listed = document.get("errors") if isinstance(document, dict) else None
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
    return _HINTS.get(status, "look at the registry's log.")
