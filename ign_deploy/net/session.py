"""Sessions: pooled HTTP connections with our settings, time-outs and errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Self

import requests

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError
from ign_deploy.net.connections import BoundedAdapter
from ign_deploy.net.credentials import HostAuth, NoAuth
from ign_deploy.net.errors import explain_failure, raise_for_transient

# Connecting, then silence between two pieces of an answer (a stalled transfer), in seconds.
TIMEOUT = (10.0, 60.0)
_POOL_SIZE = 16
_SHA256 = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}")


class Session:
    """HTTP requests with our settings and nothing of the machine's.

    netrc, REQUESTS_CA_BUNDLE and the proxy variables aren't looked at; what is to hold is given
    to ``open_session``. Redirects are answers: ``redirects.follow`` is for those that may be
    followed. No answer waits longer than the time-outs. Cookies aren't kept, so nothing changes
    between requests: several threads may share a session. ``stall`` is the
    longest silence in a transfer, in seconds.
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        verify: str | bool,
        proxies: Callable[[str], Mapping[str, str]] | None = None,
        stall: float = TIMEOUT[1],
    ) -> None:
        self.stall = stall
        self._session = session
        self._verify = verify
        self._proxies = proxies

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Make one attempt; returns the answer whatever its status, unless it is transient.

        ``options`` are those of ``requests.Session.request``, but redirects are never followed.
        Raises TransientAnswer (408, 429, 5xx, GitHub's rate-limit 403), TransientFailure, or
        NetworkError for what won't pass.
        """
        options.setdefault("timeout", (TIMEOUT[0], self.stall))
        options["allow_redirects"] = False
        options["verify"] = self._verify
        if self._proxies is not None:
            options["proxies"] = dict(self._proxies(url))
        try:
            response = self._session.request(method, url, **options)
        except (requests.RequestException, OSError) as cause:
            raise explain_failure(url, cause) from cause
        # A streamed body is the caller's to read.
        looked_at = response.status_code == 403 and not options.get("stream")
        text = response.text[:4096] if looked_at else ""
        raise_for_transient(response, now=datetime.now(UTC), text=text)
        return response

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _PlainSession(requests.Session):
    """Doesn't look at redirects.

    requests prepares the next request even if it isn't to follow: it reads the whole body for it,
    and fails at a broken ``Location``.
    """

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Find none."""
        return iter(())


def open_session(
    *,
    ca: Path | None = None,
    pin: str | None = None,
    proxies: Mapping[str, str] | Callable[[str], Mapping[str, str]] | None = None,
    auth: HostAuth | None = None,
    headers: Mapping[str, str] | None = None,
    workers: int = _POOL_SIZE,
    stall: float = TIMEOUT[1],
) -> Session:
    """Return a session with pooled connections, at least one for each of so many ``workers``.

    ``ca`` is a PEM file that replaces the well-known authorities; ``pin`` is the SHA-256
    fingerprint (hex, colons allowed) of the one server certificate to talk to, whoever issued it.
    ``proxies`` map ``http`` and
    ``https`` to a proxy's URL, or are asked for each URL (``partial(proxies_from, env)``).
    ``headers`` go with every request to any host, so none may be secret; ``auth`` is for what is.
    ``stall`` is the longest silence in a transfer, in seconds. Raises ConfigurationError when the
    CA file isn't there, the pin is none, or both are given.
    """
    if ca is not None and not ca.is_file():
        raise ConfigurationError(
            f"the CA certificates {ca} are not a file", hint="mend the path, or leave it out."
        )
    if pin is not None:
        _require_pin(pin, alone=ca is None)
    session = _PlainSession()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.auth = auth if auth is not None else NoAuth()
    session.headers["User-Agent"] = f"ign-deploy/{__version__}"
    session.headers.update(headers or {})
    # The head of an answer may begin late, but then it has to come.
    adapter = BoundedAdapter(pool_size=max(_POOL_SIZE, workers), head=2 * stall, pin=pin)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    rule: Callable[[str], Mapping[str, str]] | None = None
    if callable(proxies):
        rule = proxies
    else:
        session.proxies.update(proxies or {})
    # A pinned certificate is compared as a whole, in place of its issuer.
    verify = pin is None if ca is None else str(ca)
    return Session(session, verify=verify, proxies=rule, stall=stall)


def _require_pin(pin: str, *, alone: bool) -> None:
    if not alone:
        raise ConfigurationError(
            "both a CA file and a certificate's fingerprint are given for one host",
            hint="give one of them.",
        )
    if _SHA256.fullmatch(pin) is None:
        raise ConfigurationError(
            "the TLS fingerprint isn't one of SHA-256: 64 hexadecimal digits were expected",
            hint="take it from `openssl x509 -noout -fingerprint -sha256 -in FILE`.",
        )
