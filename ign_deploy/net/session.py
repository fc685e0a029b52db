"""Sessions: pooled HTTP connections with our settings, time-outs, errors and rule for redirects."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

import requests

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.connections import BoundedAdapter
from ign_deploy.net.credentials import NoAuth, is_this_machine, leads_inside, origin
from ign_deploy.net.errors import (
    explain_failure,
    host_of,
    proxy_refusal,
    raise_for_transient,
)
from ign_deploy.net.proxies import Proxies
from ign_deploy.net.response import NO_HEADERS

if TYPE_CHECKING:
    from ign_deploy.net.retry import Deadline

# Connecting, then silence between two pieces of a response (a stalled transfer), in seconds.
TIMEOUT = (10.0, 60.0)
_POOL_SIZE = 16
_SHA256 = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}")
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What another origin may see; anything else of ours could be a token.
_HARMLESS = frozenset({"accept", "accept-encoding", "if-range", "range"})
_UNSAFE_REDIRECT = "correct the server's configuration, or use another URL."


class HttpSession:
    """HTTP requests with our settings and nothing of the machine's.

    netrc and the variables for CAs and proxies are ignored; what applies is given to
    ``open_http_session``. No response takes longer than the time-outs. Cookies aren't kept, so
    nothing changes between requests: several threads may share a session. ``stall`` is the longest
    silence in a transfer, in seconds.
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

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        data: Any = None,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> requests.Response:
        """Make one attempt; return the response whatever its status, unless it is transient.

        Its body is the caller's to read. ``data`` and ``auth`` are those of ``requests.Request``,
        ``timeout`` is for connecting and for silence, in seconds. Redirects are never followed.
        Raises TransientResponse (408, 429, 5xx, GitHub's rate-limit 403), TransientFailure, or
        NetworkError for what won't pass.
        """
        session = self._session
        proxies = session.proxies if self._proxies is None else dict(self._proxies(url))
        try:
            # Prepared here rather than by the session, which would merge settings into each request
            # that it doesn't have (params, hooks, cookies, the machine's): a fifth of its time.
            prepared = requests.Request(
                method,
                url,
                headers={**session.headers, **headers},
                data=data,
                auth=auth or session.auth,
            ).prepare()
            response = session.send(
                prepared,
                timeout=timeout or (TIMEOUT[0], self.stall),
                stream=True,
                allow_redirects=False,
                verify=self._verify,
                proxies=proxies,
            )
        except (requests.RequestException, OSError) as cause:
            raise explain_failure(url, cause, proxy=_proxy_for(url, proxies)) from cause
        except UnicodeEncodeError:
            # Not chained: it holds the header.
            raise NetworkError(
                f"the request to {host_of(url)} can't be sent: a token or another header has a "
                "letter that isn't in Latin-1",
                hint="store the secret again, as it was issued and whole.",
            ) from None
        if (proxy := _proxy_for(url, proxies)) and _is_from_proxy(response):
            response.close()
            raise proxy_refusal(url, response.status_code, proxy=proxy)
        raise_for_transient(response, now=datetime.now(UTC))
        return response

    def follow(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
        **options: Any,
    ) -> requests.Response:
        """Make a request and follow at most five redirects, with the same method and body.

        For methods that change nothing. Credentials go to their own origin only, and another origin
        than that of ``url`` gets none of ``headers`` but those for ranges and formats. No request
        is made after the ``deadline``. Raises NetworkError for a redirect that can't be followed
        safely, else what ``request`` raises.
        """
        current, allowed = url, dict(headers)
        for _ in range(_MOST_REDIRECTS + 1):
            deadline.check()
            response = self.request(method, current, headers=allowed, **options)
            target = redirect_target(response)
            if target is None:
                return response
            response.close()
            if _checked_origin(current, target) != origin(current):
                allowed = {name: allowed[name] for name in allowed if name.lower() in _HARMLESS}
            current = target
        raise NetworkError(
            f"{host_of(url)} redirects more than {_MOST_REDIRECTS} times",
            hint="check the URL and the server's configuration.",
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _PlainSession(requests.Session):
    """Ignores redirects.

    requests prepares the next request even if it isn't to follow: it reads the whole body for it,
    and fails at a broken ``Location``.
    """

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        """Find none."""
        return iter(())


def open_http_session(
    *,
    ca: Path | None = None,
    pin: str | None = None,
    proxies: Proxies | None = None,
    auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None,
    headers: Mapping[str, str] | None = None,
    workers: int = _POOL_SIZE,
    stall: float = TIMEOUT[1],
) -> HttpSession:
    """Return a session with pooled connections, at least one for each of so many ``workers``.

    ``ca`` is a PEM file that replaces the well-known authorities; ``pin`` is the SHA-256
    fingerprint (hex, colons allowed) of the one server certificate to accept, whoever issued it.
    ``proxies`` map ``http`` and ``https`` to a proxy's URL, or are called with each URL
    (``partial(proxies_from, env)``). ``headers`` go with every request to any host, so none may be
    secret; ``auth`` is for what is. ``stall`` is the longest silence in a transfer, in seconds.
    Raises ConfigurationError when the CA file is missing, the pin is invalid, or both are given.
    """
    if ca is not None and not ca.is_file():
        raise ConfigurationError(
            f"the CA certificates {ca} are not a file", hint="correct the path, or omit it."
        )
    if pin is not None:
        _require_pin(pin, alone=ca is None)
    session = _PlainSession()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # Its being there keeps requests from reading the machine's netrc.
    session.auth = auth if auth is not None else NoAuth()
    session.headers["User-Agent"] = f"ign-deploy/{__version__}"
    session.headers.update(headers or {})
    # The head of a response may begin late, but then it has to come.
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
    return HttpSession(session, verify=verify, proxies=rule, stall=stall)


def _require_pin(pin: str, *, alone: bool) -> None:
    if not alone:
        raise ConfigurationError(
            "both a CA file and a certificate fingerprint are set for one host",
            hint="set only one of them.",
        )
    if _SHA256.fullmatch(pin) is None:
        raise ConfigurationError(
            "the TLS fingerprint is not a valid SHA-256: expected 64 hexadecimal digits",
            hint="take it from `openssl x509 -noout -fingerprint -sha256 -in FILE`.",
        )


def _proxy_for(url: str, proxies: Mapping[str, str]) -> str:
    return proxies.get(url.partition(":")[0].lower(), "")


def _is_from_proxy(response: requests.Response) -> bool:
    """Return whether a proxy refused by itself; only to plain http can it respond like that."""
    is_marked = "X-Squid-Error" in response.headers or "Proxy-Status" in response.headers
    return response.status_code == 407 or (response.status_code == 403 and is_marked)


def redirect_target(response: requests.Response) -> str | None:
    """Return the absolute URL that a response redirects to; None if it isn't a redirect."""
    location = response.headers.get("Location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    # Servers send UTF-8 here, and http.client reads headers as Latin-1.
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(response.url, location.strip())
    except ValueError:
        return location


def _checked_origin(current: str, target: str) -> tuple[str, str, int]:
    """Return the origin of a redirect's target, if it is as safe as where it came from."""
    try:
        old, new = origin(current), origin(target)
    except ConfigurationError:
        raise NetworkError(
            f"{host_of(current)} redirects to something other than an http or https URL",
            hint=_UNSAFE_REDIRECT,
        ) from None
    if "@" in urlsplit(target).netloc:
        raise NetworkError(
            f"{host_of(current)} redirects to {new[1]} with a password in the URL",
            hint=_UNSAFE_REDIRECT,
        )
    if leads_inside(old[1], new[1]):
        raise NetworkError(
            f"{host_of(current)} redirects to {new[1]}, an address that only this machine has",
            hint=_UNSAFE_REDIRECT,
        )
    local = is_this_machine(old[1]) and is_this_machine(new[1])
    if (old[0], new[0]) == ("https", "http") and not local:
        raise NetworkError(
            f"{host_of(current)} redirects from https to http://{new[1]}, where what is sent can "
            "be changed on the way",
            hint=_UNSAFE_REDIRECT,
        )
    return new
