"""What can go wrong on the network, explained, and distinguished by whether it may pass.

NetworkError               stays until someone acts
├── TransientResponse      the server said that a later attempt may succeed
└── TransientFailure       the connection failed in a way that may pass
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ign_deploy.errors import NetworkError

if TYPE_CHECKING:
    import requests

RETRY_AFTER_CAP = 60.0
_TRANSIENT = frozenset({408, 429})
# What the server can't do (501, 505), has no room for (507, 508), or needs a person for (511).
_LASTING = frozenset({501, 505, 507, 508, 511})
_RATE_LIMIT_TEXT = "rate limit"
_PIN_MISMATCH = "Fingerprints did not match"  # urllib3's words
_CHECK_NETWORK = "check the network, or try again later."


class TransientResponse(NetworkError):
    """A response after which a later attempt may succeed; ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class TransientFailure(NetworkError):
    """The connection failed in a way that may pass: a timeout, a reset, a refused connection.

    ``sent`` says whether the server may have received the request, and done what it asks for.
    """

    def __init__(self, message: str, *, hint: str = "", sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


def raise_for_transient(response: requests.Response, *, now: datetime, text: str = "") -> None:
    """Raise TransientResponse for a response after which trying again makes sense.

    GitHub limits with 403 too, and may say so only in the body: give its beginning as ``text``.
    """
    status = response.status_code
    if status in _LASTING:
        return
    if status not in _TRANSIENT and status < 500:
        limited = status == 403 and (
            "Retry-After" in response.headers
            or response.headers.get("X-RateLimit-Remaining") == "0"
            or _RATE_LIMIT_TEXT in text.lower()
        )
        if not limited:
            return
    response.close()
    raise TransientResponse(
        f"{host_of(response.url)} returned {status}",
        hint="try again later; if it persists, check the server's status page or log.",
        retry_after=parse_retry_after(response.headers.get("Retry-After"), now=now),
    )


def parse_retry_after(text: str | None, *, now: datetime) -> float | None:
    """Return the seconds in a Retry-After header (RFC 9110 10.2.3), None without one.

    It may hold seconds or a date; what is neither counts as absent.
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def explain_failure(url: str, cause: Exception) -> NetworkError:
    """Return an error that says what to do for what requests raised; it names only the host.

    TransientFailure is what may pass by itself; anything else stays until someone acts.
    """
    host = host_of(url)
    chain = tuple(_chain(cause))
    return (
        _lasting_failure(host, chain)
        or _transient_failure(host, chain)
        or NetworkError(
            f"the request to {host} failed: {type(cause).__name__}", hint="check the URL."
        )
    )


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
            hint="for a private authority, set its certificate (PEM) as the CA file.",
        )
    names = [each for each in chain if isinstance(each, socket.gaierror)]
    if names and names[0].errno != socket.EAI_AGAIN:
        return NetworkError(
            f"cannot resolve the host name {host}",
            hint="check the URL and this machine's name server.",
        )
    return None


def _transient_failure(host: str, chain: tuple[BaseException, ...]) -> TransientFailure | None:
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
            f"cannot use the proxy for {host}: {_reason(chain)}",
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
            return TransientFailure(message, hint=hint, sent=not _is_any(chain, *unsent))
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
