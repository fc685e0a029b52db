"""Access tokens (OAuth 2) for requests to sign: kept while they are valid, then fetched again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from ign_deploy.net.response import Response
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import OPENING, json_object, text_field, unexpected

_MARGIN = 300.0
"""Seconds before its end in which a token isn't used any more; the whole of a short-lived one."""

_MOST = 1e9
"""More seconds than that, or no number at all (NaN), aren't a time."""


class AccessTokens:
    """The token for a service; threads may share it. ``fetch`` returns one and its seconds."""

    def __init__(self, fetch: Callable[[], tuple[str, float]], *, access: KeyAccess) -> None:
        self._fetch = fetch
        self._clock = (access.retry or OPENING).clock
        self._reporter = access.reporter
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def headers(self) -> Mapping[str, str]:
        """Return the header with a valid token."""
        with self._lock:
            if not self._token or self._clock() >= self._until:
                self._token, seconds = self._fetch()
                self._reporter.mask(self._token)
                self._until = self._clock() + max(seconds - _MARGIN, 0.0)
            return {"Authorization": f"Bearer {self._token}"}


def token_of(response: Response, *, name: str = "access_token") -> tuple[str, float]:
    """Return the token of a response, and how many seconds it is valid."""
    token, seconds = text_field(response, name), json_object(response).get("expires_in", 0)
    # Azure's metadata has the number as text.
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = float(seconds[:9])
    if not token.isprintable() or not isinstance(seconds, int | float):
        raise unexpected(response)
    # Compared before it is a float: JSON's numbers may be larger than any.
    return token, float(seconds) if 0 <= seconds < _MOST else 0.0
