"""HTTP/1.1 messages read off a socket piece by piece, with their framing kept (RFC 9112)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

BLOCK = 64 * 1024
_LONGEST_LINE = 64 * 1024


class WireError(Exception):
    """The peer ended or broke the message."""


@dataclass(frozen=True)
class Head:
    """The first line of a message and its header fields, in their order."""

    start: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """Return the value of the first field of that name."""
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), None)

    def has_token(self, name: str, token: str) -> bool:
        """Whether one of the field's comma-separated values is the token."""
        values = (self.get(name) or "").lower().split(",")
        return token in (value.strip() for value in values)

    def with_length(self, length: int) -> Head:
        """Return the head for a body of that many bytes."""
        return self._without("content-length", "transfer-encoding")._and(
            "Content-Length", str(length)
        )

    def closing(self) -> Head:
        """Return the head that says that the connection ends after this message."""
        return self._without("connection")._and("Connection", "close")

    def _without(self, *names: str) -> Head:
        kept = tuple(field for field in self.fields if field[0].lower() not in names)
        return replace(self, fields=kept)

    def _and(self, name: str, value: str) -> Head:
        return replace(self, fields=(*self.fields, (name, value)))

    def encode(self) -> bytes:
        """Return the head as it is sent."""
        lines = (self.start, *(f"{name}: {value}" for name, value in self.fields), "", "")
        return "\r\n".join(lines).encode("latin-1")

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.start.partition(" ")[0]

    @property
    def target(self) -> str:
        """The path and query of a request."""
        return self.start.partition(" ")[2].rpartition(" ")[0]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.start.partition(" ")[2][:3])

    @property
    def is_delimited(self) -> bool:
        """Whether an answer's end is known otherwise than by the connection's end."""
        return self.get("Content-Length") is not None or self.has_token(
            "Transfer-Encoding", "chunked"
        )

    @property
    def keeps_alive(self) -> bool:
        """Whether the sender is ready for another message on this connection."""
        if "HTTP/1.0" in self.start:
            return self.has_token("Connection", "keep-alive")
        return not self.has_token("Connection", "close")


@dataclass(frozen=True)
class Piece:
    """Some bytes of a message's body: content, or the framing between contents."""

    data: bytes
    is_content: bool = True


class Wire:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._buffer = b""

    @property
    def has_buffered(self) -> bool:
        """Whether unread bytes were received."""
        return bool(self._buffer)

    def send(self, data: bytes) -> None:
        """Send all of the bytes."""
        self.socket.sendall(data)

    def read_head(self) -> Head | None:
        """Read the next message's head; None if the peer closed the connection before it."""
        lines: list[str] = []
        while True:
            line = self._read_line()
            if line is None:
                if lines:
                    raise WireError("the connection ended within a head")
                return None
            if line == b"\r\n" and lines:
                break
            if line != b"\r\n":
                lines.append(line.decode("latin-1").rstrip("\r\n"))
        fields = (line.partition(":") for line in lines[1:])
        return Head(lines[0], tuple((name, value.strip()) for name, _, value in fields))

    def request_body(self, head: Head) -> Iterator[Piece]:
        """Yield a request's body as it arrives."""
        return self._framed(head, until_end=False)

    def answer_body(self, head: Head, *, method: str) -> Iterator[Piece]:
        """Yield an answer's body as it arrives; some answers have none, whatever they say."""
        if method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return iter(())
        return self._framed(head, until_end=True)

    def _framed(self, head: Head, *, until_end: bool) -> Iterator[Piece]:
        if head.has_token("Transfer-Encoding", "chunked"):
            return self._chunked()
        length = head.get("Content-Length")
        if length is not None:
            return self._exactly(int(length))
        return self._until_end() if until_end else iter(())

    def _chunked(self) -> Iterator[Piece]:
        while True:
            line = self._require_line()
            yield Piece(line, is_content=False)
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            yield from self._exactly(size)
            yield Piece(self._require_line(), is_content=False)
        line = b""
        while line != b"\r\n":  # the trailer
            line = self._require_line()
            yield Piece(line, is_content=False)

    def _exactly(self, size: int) -> Iterator[Piece]:
        while size:
            data = self._receive(min(size, BLOCK))
            if not data:
                raise WireError(f"the connection ended {size} bytes before the end of a body")
            size -= len(data)
            yield Piece(data)

    def _until_end(self) -> Iterator[Piece]:
        while data := self._receive(BLOCK):
            yield Piece(data)

    def _require_line(self) -> bytes:
        line = self._read_line()
        if line is None:
            raise WireError("the connection ended within a body")
        return line

    def _read_line(self) -> bytes | None:
        """Read to the end of the line; None at the end of the connection."""
        while b"\n" not in self._buffer:
            data = self.socket.recv(BLOCK)
            if not data:
                if self._buffer:
                    raise WireError("the connection ended within a line")
                return None
            self._buffer += data
            if len(self._buffer) > _LONGEST_LINE and b"\n" not in self._buffer:
                raise WireError("a line is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def _receive(self, size: int) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        return self.socket.recv(size)
