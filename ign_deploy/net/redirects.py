"""Redirects, followed by hand: few, never to a less safe place, and without our credentials."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.net.errors import host_of

if TYPE_CHECKING:
    import requests

    from ign_deploy.net.session import Session

_LIMIT = 5
_STATUSES = frozenset({301, 302, 303, 307, 308})
# What another origin may see; anything else of ours could be a token.
_HARMLESS = frozenset({"accept", "accept-encoding", "if-range", "range"})


def redirect_target(response: requests.Response) -> str | None:
    """Return the absolute URL that an answer redirects to; None if it is no redirect."""
    location = response.headers.get("Location")
    if response.status_code not in _STATUSES or not location:
        return None
    # Servers send UTF-8 here, and http.client reads headers as Latin-1.
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(response.url, location.strip())
    except ValueError:
        return location


def follow(
    session: Session, method: str, url: str, *, headers: Mapping[str, str], **options: Any
) -> requests.Response:
    """Make a streamed request and follow at most five redirects, with the same method and body.

    For methods that change nothing. The session's credentials go to their own origin only, and
    another origin than that of ``url`` gets none of ``headers`` but those for ranges and formats.
    Raises NetworkError for a redirect that can't be followed safely, else what
    ``Session.request`` raises.
    """
    current, allowed = url, dict(headers)
    for _ in range(_LIMIT + 1):
        response = session.request(method, current, headers=allowed, stream=True, **options)
        target = redirect_target(response)
        if target is None:
            return response
        response.close()
        if _checked_origin(current, target) != origin(current):
            allowed = {name: allowed[name] for name in allowed if name.lower() in _HARMLESS}
        current = target
    raise NetworkError(
        f"{host_of(url)} redirects more than {_LIMIT} times", hint="mend the URL, or the server."
    )


def _checked_origin(current: str, target: str) -> tuple[str, str, int]:
    """Return the origin of a redirect's target, if it is as safe as where it came from."""
    try:
        old, new = origin(current), origin(target)
    except ConfigurationError:
        raise NetworkError(
            f"{host_of(current)} redirects to what is no http or https URL",
            hint="mend the server, or use another URL.",
        ) from None
    if "@" in urlsplit(target).netloc:
        raise NetworkError(
            f"{host_of(current)} redirects to {new[1]} with a password in the URL",
            hint="mend the server, or use another URL.",
        )
    local = is_this_machine(old[1]) and is_this_machine(new[1])
    if (old[0], new[0]) == ("https", "http") and not local:
        raise NetworkError(
            f"{host_of(current)} redirects from https to http://{new[1]}, where anyone on the way "
            "can change what is sent",
            hint="mend the server, or use another URL.",
        )
    return new
