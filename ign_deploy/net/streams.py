"""Reading an answer's body piece by piece: bounded, in constant memory, and never unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.errors import RepositoryError
from ign_deploy.net.deadline import Deadline
from ign_deploy.net.errors import explain_failure, host_of

if TYPE_CHECKING:
    import requests


def read_piece(response: requests.Response, *, limit: int, deadline: Deadline) -> bytes:
    """Return what has come of a streamed body, at most ``limit`` bytes; empty at its end.

    It waits for one packet only, so the deadline holds for slow senders too. Raises
    TransientFailure when the connection breaks or stalls.
    """
    from urllib3.exceptions import HTTPError

    deadline.check()
    try:
        piece: bytes = response.raw.read1(limit, decode_content=False)
    except (HTTPError, OSError) as cause:
        raise explain_failure(response.url, cause) from cause
    return piece


def read_body(response: requests.Response, *, limit: int, deadline: Deadline) -> bytes:
    """Return a streamed body, or its first ``limit`` bytes, and let the connection go."""
    body = bytearray()
    try:
        while len(body) < limit and (
            piece := read_piece(response, limit=limit - len(body), deadline=deadline)
        ):
            body += piece
    finally:
        response.close()
    return bytes(body)


def refuse_encoded(response: requests.Response, *, location: str) -> None:
    """Raise RepositoryError for a compressed answer: plain bytes were asked for.

    Unpacking would make the size unbounded, and the digest is that of the plain file.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return
    response.close()
    kind = encoding[:40] if encoding.isprintable() else "unknown"
    raise RepositoryError(
        f"{host_of(response.url)} sent {location} with the encoding {kind}, expected plain bytes",
        hint="switch off compression for it in the server or the proxy before it.",
    )
