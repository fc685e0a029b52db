"""What can go wrong on the network, explained, and distinguished by whether it may pass.

NetworkError               stays until someone acts
├── TransientResponse      the server said that a later attempt may succeed
│   └── RateLimited        it accepts no more requests for a while
└── TransientFailure       the connection failed in a way that may pass
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ign_deploy.errors import NetworkError

if TYPE_CHECKING:
    import requests

RETRY_AFTER_CAP = 60.0
_TRANSIENT = frozenset({408})
# What the server can't do (501, 505), has no room for (507, 508), or needs a person for (511).
_LASTING = frozenset({501, 505, 507, 508, 511})
# GitHub's words for its limits, today's and older ones.
_LIMIT_TEXTS = ("rate limit", "abuse detection")
# The reset is stated in whole seconds.
_RESET_MARGIN = 1.0
_OLDEST_RESET = 1_000_000_000
_PIN_MISMATCH = "Fingerprints did not match"  # urllib3's words
# http.client's words for what a proxy returned to CONNECT.
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_CHECK_NETWORK = "check the network, or try again later."


class TransientResponse(NetworkError):
    """A response after which a later attempt may succeed; ``retry_after`` is in seconds."""

    def __init__(
        self, message: str, *, hint: str = "", retry_after: float | None = None, status: int = 0
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.status = status


class RateLimited(TransientResponse):
    """The server accepts no more requests for a while, and did nothing for this one.

    ``retry_after`` is None where the server doesn't say how long that is.
    """


class TransientFailure(NetworkError):
    """The connection failed in a way that may pass: a timeout, a reset, a refused connection.

    ``sent`` says whether the server may have received the request, and done what it asks for;
    ``timed_out`` whether it didn't respond in time.
    """

    def __init__(
        self, message: str, *, hint: str = "", sent: bool = True, timed_out: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.timed_out = timed_out


def raise_for_transient(response: requests.Response, *, now: datetime, text: str = "") -> None:
    """Raise TransientResponse for a response after which trying again makes sense.

    GitHub limits with 403 too, and may say so only in the body: give its beginning as ``text``.
    """
    status = response.status_code
    if status in _LASTING:
        return
    if _is_limited(response, text):
        response.close()
        raise _rate_limited(response, now=now)
    if status not in _TRANSIENT and status < 500:
        return
    response.close()
    raise TransientResponse(
        f"{host_of(response.url)} returned {status}",
        hint="try again later; if it persists, check the server's status page or log.",
        retry_after=parse_retry_after(response.headers.get("Retry-After"), now=now),
        status=status,
    )


def _is_limited(response: requests.Response, text: str) -> bool:
    if response.status_code != 403:
        return response.status_code == 429
    lower = text.lower()
    return (
        "Retry-After" in response.headers
        or _is_used_up(response.headers)
        or any(words in lower for words in _LIMIT_TEXTS)
    )


def _is_used_up(headers: Mapping[str, str]) -> bool:
    """Return whether no request is left until the reset, as GitHub or as GitLab says it."""
    return "0" in {headers.get("X-RateLimit-Remaining"), headers.get("RateLimit-Remaining")}


def _rate_limited(response: requests.Response, *, now: datetime) -> RateLimited:
    headers = response.headers
    # The reset is by the server's clock.
    there = parse_date(headers.get("Date", "")) or now
    wait = parse_retry_after(headers.get("Retry-After"), now=there)
    if wait is None and _is_used_up(headers):
        wait = _until_reset(headers, now=there)
    message = f"{host_of(response.url)} limits how many requests it accepts"
    message += f" (status {response.status_code})"
    if wait is None:
        hint = "wait some minutes, then run again; publish fewer versions at the same time."
    else:
        message += f"; the limit resets at {_time_of_day(now + timedelta(seconds=wait))}"
        message += f", in {_duration(wait)}"
        hint = "run again after that time; publish fewer versions at the same time."
    return RateLimited(message, hint=hint, retry_after=wait)


def _until_reset(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds until the reset: GitHub and GitLab state its Unix time."""
    text = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or ""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    stated = float(text)
    if stated < _OLDEST_RESET:  # as seconds from now, in the draft of the IETF
        return stated + _RESET_MARGIN
    return max(0.0, stated - now.timestamp()) + _RESET_MARGIN


def _time_of_day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def parse_date(text: str) -> datetime | None:
    """Return the time in a Date header (RFC 9110 5.6.7), None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def parse_retry_after(text: str | None, *, now: datetime) -> float | None:
    """Return the seconds in a Retry-After header (RFC 9110 10.2.3), None without one.

    It may hold seconds or a date; what is neither counts as absent.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    moment = parse_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def explain_failure(url: str, cause: Exception, *, proxy: str = "") -> NetworkError:
    """Return an error that says what to do for what requests raised; it names only the host.

    TransientFailure is what may pass by itself; anything else stays until someone acts. ``proxy``
    is the URL of the proxy in between, if there is one.
    """
    host = host_of(url)
    chain = tuple(_chain(cause))
    status = next((int(found[1]) for each in chain if (found := _NO_TUNNEL.search(str(each)))), 0)
    if 400 <= status < 500 and status not in {408, 429}:
        return proxy_refusal(url, status, proxy=proxy)
    return (
        _lasting_failure(host, chain)
        or _transient_failure(host, chain, proxy=_proxy_name(proxy))
        or NetworkError(
            f"the request to {host} failed: {type(cause).__name__}", hint="check the URL."
        )
    )


def proxy_refusal(url: str, status: int, *, proxy: str) -> NetworkError:
    """Return the error for a proxy that refused to pass on a request: it would refuse again."""
    host, name = host_of(url), _proxy_name(proxy)
    if status != 407:
        return NetworkError(
            f"the {name} refuses requests to {host} ({status})",
            hint=f"ask the operator of the proxy to allow {host}, or add {host} to no_proxy if it "
            "can be reached without the proxy.",
        )
    reason = (
        "rejects the user name or the password in its URL"
        if "@" in urlsplit(proxy).netloc
        else "requires a user name and a password"
    )
    return NetworkError(
        f"the {name} {reason} (407), so {host} was not reached",
        hint="write both into the proxy's variable (https_proxy=http://USER:PASSWORD@HOST:PORT), "
        "with special characters percent-encoded.",
    )


def _proxy_name(proxy: str) -> str:
    """Return ``proxy HOST:PORT``, without the credentials that its URL may hold."""
    return f"proxy {urlsplit(proxy).netloc.rpartition('@')[2]}".strip() if proxy else "proxy"


def _lasting_failure(host: str, chain: tuple[BaseException, ...]) -> NetworkError | None:
    from requests.exceptions import SSLError

    mismatch = next((str(each) for each in chain if _PIN_MISMATCH in str(each)), "")
    if mismatch and _is_any(chain, SSLError):
        return NetworkError(
            f"the TLS certificate of {host} isn't the pinned one: {_fingerprints(mismatch)}",
            hint="ask the operator of the host which one is right; pin the new one only if they "
            "confirm it.",
        )
    # The other end hung up (SSLEOFError): that is a broken connection, with TLS or without.
    hung_up = _is_any(chain, ssl.SSLEOFError)
    if _is_any(chain, SSLError, ssl.SSLCertVerificationError) and not hung_up:
        return NetworkError(
            f"the TLS certificate of {host} isn't trusted, or TLS failed: {_reason(chain)}",
            hint="for a private authority, set its certificate (PEM) as the CA file, or as "
            "SSL_CERT_FILE; REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE are not read.",
        )
    names = [each for each in chain if isinstance(each, socket.gaierror)]
    if names and names[0].errno != socket.EAI_AGAIN:
        return NetworkError(
            f"cannot resolve the host name {host}",
            hint="check the URL and this machine's name server.",
        )
    return None


def _transient_failure(
    host: str, chain: tuple[BaseException, ...], *, proxy: str
) -> TransientFailure | None:
    from requests.exceptions import ChunkedEncodingError, ConnectTimeout, ProxyError, Timeout
    from requests.exceptions import ConnectionError as BrokenConnection
    from urllib3.exceptions import ProtocolError
    from urllib3.exceptions import SSLError as BrokenTLS

    rules = (
        (
            (socket.gaierror,),
            f"cannot resolve the host name {host} at the moment",
            "check this machine's name server, or try again later.",
        ),
        (
            (ProxyError,),
            f"cannot reach {host} through the {proxy}: {_reason(chain)}",
            "check the proxy's URL, and that it is running.",
        ),
        ((Timeout, TimeoutError), f"{host} didn't respond in time", _CHECK_NETWORK),
        (
            (ConnectionRefusedError,),
            f"{host} refused the connection",
            "check the port in the URL, and that the server is running.",
        ),
        (
            (BrokenConnection, ChunkedEncodingError, ConnectionError, ProtocolError, BrokenTLS),
            f"the connection to {host} broke",
            _CHECK_NETWORK,
        ),
    )
    for kinds, message, hint in rules:
        if _is_any(chain, *kinds):
            unsent = (socket.gaierror, ProxyError, ConnectTimeout, ConnectionRefusedError)
            return TransientFailure(
                message,
                hint=hint,
                sent=not _is_any(chain, *unsent),
                timed_out=_is_any(chain, Timeout, TimeoutError),
            )
    return None


def _chain(cause: BaseException) -> Iterator[BaseException]:
    """Yield the error and those it was made from; urllib3 keeps them in ``reason`` and args."""
    pending, seen = [cause], set[int]()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        nested = (
            current.__cause__, current.__context__, getattr(current, "reason", None), *current.args
        )  # fmt: skip
        pending += [each for each in nested if isinstance(each, BaseException)]


def _is_any(chain: Iterable[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in chain)


def _reason(chain: Iterable[BaseException]) -> str:
    """Return OpenSSL's or the system's own words; requests' would repeat the whole URL."""
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return each.verify_message
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
        if found := _NO_TUNNEL.search(str(each)):
            return f"it returned {found[1]}"
    return "no reason given"


def _fingerprints(mismatch: str) -> str:
    """Return the two fingerprints out of urllib3's message."""
    found = re.findall(r"\b[0-9a-f]{64}\b", mismatch)[:2]
    return f"expected {found[0]}, got {found[1]}" if len(found) == 2 else "it doesn't match"


def host_of(url: str | None) -> str:
    """Return the host of a URL: all of it that a message may show."""
    try:
        return urlsplit(url or "").hostname or "the server"
    except ValueError:
        return "the server"
