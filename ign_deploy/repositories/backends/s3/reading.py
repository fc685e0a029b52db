"""Reading objects: their bytes as they come, and small objects whole, up to a limit."""

from __future__ import annotations

from typing import Any

from ign_deploy.net.errors import explain_failure
from ign_deploy.net.retry import retrying
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.errors import Refusal
from ign_deploy.repositories.store import Document

_BLOCK = 1 << 18


class Stream:
    """An object's bytes; botocore itself lets pass what ends too early.

    ``length`` is what the answer states, -1 where it states none; no ``body`` is an empty one.
    """

    # urllib3 itself fails at a body in chunks that has no end.
    chunked = True

    def __init__(self, body: Any, *, length: int) -> None:
        self._body = body
        self._left = length

    def read1(self, limit: int, **options: Any) -> bytes:
        """Return what has come, at most ``limit`` bytes; ProtocolError for an early end."""
        from urllib3.exceptions import ProtocolError

        if self._body is None:
            return b""
        # Its own ``read`` waits until so many bytes are there, however slowly they come.
        piece: bytes = self._body._raw_stream.read1(limit, **options)
        self._left -= len(piece)
        if not piece and limit and self._left > 0:
            raise ProtocolError(f"the body ended {self._left} bytes too early")
        return piece


def read_object(calls: Calls, path: str, *, limit: int) -> Document | None:
    """Return at most ``limit`` + 1 bytes of an object, and its ETag; None when it isn't there."""
    deadline = calls.deadline(limit)

    def attempt() -> Document:
        from urllib3.exceptions import HTTPError

        answer = calls.once("get_object", path=path)
        stream = Stream(answer["Body"], length=answer.get("ContentLength", -1))
        data = bytearray()
        try:
            while piece := stream.read1(min(_BLOCK, limit + 1 - len(data))):
                data += piece
                deadline.check()
        except (HTTPError, OSError) as cause:
            raise explain_failure(calls.address.asked, cause) from cause
        finally:
            answer["Body"].close()
        return Document(bytes(data), answer.get("ETag", ""))

    try:
        return retrying(
            attempt, title=f"reading {path}", reporter=calls.reporter, policy=calls.rules(limit)
        )
    except Refusal as refusal:
        if refusal.refused != "NoSuchKey":
            raise
        return None
