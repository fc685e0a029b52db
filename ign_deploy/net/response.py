"""A response: read whole up to a limit, never decompressed, and parsed as what it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ign_deploy.errors import IgnDeployError, NetworkError, explain_validation
from ign_deploy.net.errors import explain_failure, host_of

if TYPE_CHECKING:
    import requests
    from pydantic import TypeAdapter

    from ign_deploy.net.retry import Deadline

Parsed = TypeVar("Parsed")

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
NO_HINTS: Mapping[int, str] = MappingProxyType({})
ANY_STATUS = range(600)
"""Every status, for callers that judge each response themselves."""
_CHECK_URL = "check the URL, and that no proxy responds instead of the server."


@dataclass(frozen=True, slots=True)
class Response:
    """A response whose body was read, at most as much of it as the request allowed.

    ``headers`` are looked up in any case. ``confirmed`` means that no response counts, since the
    server is known to have what was sent; the status is 0 then. ``title`` says what was requested;
    ``error`` is the class of the errors that the caller's users expect.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    url: str = field(default="", repr=False)
    method: str = ""
    confirmed: bool = False
    title: str = ""
    error: type[IgnDeployError] = NetworkError

    @property
    def ok(self) -> bool:
        """Whether the server did what was requested."""
        return self.confirmed or 200 <= self.status < 300

    @property
    def host(self) -> str:
        """The name of the host that responded."""
        return host_of(self.url)

    def json(self) -> Any:
        """Return the JSON document; raises ValueError for anything else."""
        try:
            return json.loads(self.body)
        except RecursionError as cause:
            raise ValueError("nested too deeply") from cause

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON object; none for anything else."""
        with suppress(ValueError):
            document = self.json()
            if isinstance(document, dict):
                return document
        return {}

    def parse(self, kind: TypeAdapter[Parsed]) -> Parsed:
        """Return the document as what it should be; raises ``error``, which shows no values."""
        from pydantic import ValidationError

        try:
            return kind.validate_json(self.body)
        except ValidationError as cause:
            # Not chained: pydantic's own error prints the values.
            raise self.failure(
                f"{self.host} sent an unexpected response: {explain_validation(cause)}",
                hint=_CHECK_URL,
            ) from None

    def failure(self, reason: str, *, hint: str) -> IgnDeployError:
        """Return the error for a request that failed for this reason."""
        return self.error(f"{self.title} failed: {reason}", hint=hint)


def error_for_response(
    response: Response, *, hints: Mapping[int, str] = NO_HINTS
) -> IgnDeployError:
    """Return the error for a response that isn't a success; ``hints`` say by status what to do."""
    hint = hints.get(response.status, "check the URL, and what the service expects.")
    return response.failure(f"{response.host} returned {response.status}", hint=hint)


def read_piece(response: requests.Response, *, limit: int, deadline: Deadline) -> bytes:
    """Return what has come of a streamed body, at most ``limit`` bytes; empty at its end.

    It waits for one packet only, so the deadline holds for slow senders too. Raises
    TransientFailure when the connection breaks or stalls.
    """
    from urllib3.exceptions import HTTPError

    from ign_deploy.net.connections import watch_reading

    deadline.check()
    try:
        with watch_reading(response.raw):
            piece: bytes = response.raw.read1(limit, decode_content=False)
    except (HTTPError, OSError) as cause:
        raise explain_failure(response.url, cause) from cause
    return piece


def read_body(response: requests.Response, *, limit: int, deadline: Deadline) -> bytes:
    """Return a streamed body, or its first ``limit`` bytes, and release the connection."""
    body = bytearray()
    try:
        while len(body) < limit and (
            piece := read_piece(response, limit=limit - len(body), deadline=deadline)
        ):
            body += piece
    finally:
        response.close()
    return bytes(body)


def require_plain(response: requests.Response, *, title: str, error: type[IgnDeployError]) -> None:
    """Raise ``error`` for a compressed response: plain bytes were requested.

    Decompressing would make the size unbounded, and the digest is that of the plain file.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return
    response.close()
    kind = encoding[:40] if encoding.isprintable() else "unknown"
    raise error(
        f"{title} failed: {host_of(response.url)} sent the encoding {kind}, expected plain bytes",
        hint="turn off compression for this URL in the server or in the proxy in front of it.",
    )


def parse_xml(body: bytes) -> Any:
    """Return the root element of a response; None for anything but plain XML."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
