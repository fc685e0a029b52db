"""Sessions: pooled HTTP connections with our settings, time-outs and errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth, NoAuth
from ign_deploy.net.failures import explain_failure, raise_for_transient

# Connecting, then silence between two pieces of an answer (a stalled transfer), in seconds.
TIMEOUT = (10.0, 60.0)
_POOL_SIZE = 16
_SHA256 = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}")


class Session:
    """HTTP requests with our settings and nothing of the machine's.

    netrc, REQUESTS_CA_BUNDLE and the proxy variables aren't looked at; what is to hold is given
    to ``open_session``. Redirects are not followed unless asked for, and then only without
    credentials for other hosts; no answer waits longer than the time-outs.
    """

    def __init__(self, session: requests.Session, *, verify: str | bool) -> None:
        self._session = session
        self._verify = verify

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        """Make one attempt; returns the answer whatever its status, unless it is transient.

        ``options`` are those of ``requests.Session.request``. Raises TransientAnswer (408, 429,
        5xx, GitHub's rate-limit 403), TransientFailure, or NetworkError for what won't pass.
        """
        options.setdefault("timeout", TIMEOUT)
        options.setdefault("allow_redirects", False)
        options["verify"] = self._verify
        try:
            response = self._session.request(method, url, **options)
        except (requests.RequestException, OSError) as cause:
            raise explain_failure(url, cause) from cause
        raise_for_transient(response, now=datetime.now(UTC), streamed=bool(options.get("stream")))
        return response

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_session(
    *,
    ca: Path | None = None,
    pin: str | None = None,
    proxies: Mapping[str, str] | None = None,
    auth: HostAuth | None = None,
) -> Session:
    """Return a session with pooled connections.

    ``ca`` is a PEM file that replaces the well-known authorities; ``pin`` is the SHA-256
    fingerprint (hex, colons allowed) of the one server certificate to talk to, whoever issued it;
    ``proxies`` map ``http`` and ``https`` to a proxy's URL. Raises ConfigurationError when the
    file isn't there, the pin is none, or both are given.
    """
    if ca is not None and not ca.is_file():
        raise ConfigurationError(
            f"the CA certificates {ca} are not a file", hint="mend the path, or leave it out."
        )
    if pin is not None:
        _require_pin(pin, alone=ca is None)
    session = requests.Session()
    session.trust_env = False
    session.proxies.update(proxies or {})
    session.auth = auth if auth is not None else NoAuth()
    session.headers["User-Agent"] = f"ign-deploy/{__version__}"
    adapter = _Adapter(pin)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # A pinned certificate is compared as a whole, in place of its issuer.
    verify = pin is None if ca is None else str(ca)
    return Session(session, verify=verify)


class _Adapter(HTTPAdapter):
    """Our pools; with a pin, every TLS connection is to the certificate of that fingerprint."""

    def __init__(self, pin: str | None) -> None:
        self._pool_options = {} if pin is None else {"assert_fingerprint": pin}
        super().__init__(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        options.update(self._pool_options)
        super().init_poolmanager(*args, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        options.update(self._pool_options)
        return super().proxy_manager_for(proxy, **options)


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
