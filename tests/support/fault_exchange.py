"""One client's connection through a fault proxy: request and answer, one after another."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus

from tests.support.faults import (
    AnswerInstead,
    CutAnswer,
    CutRequest,
    Fault,
    FlipByte,
    LoseAnswer,
    Rules,
    SeenRequest,
    Truncate,
)
from tests.support.http_wire import BLOCK, Head, Piece, Wire, WireError

# How long a client may go on sending what its server no longer reads, in seconds.
_LINGER = 5.0


class Broken(WireError):
    """The connection is broken on purpose; the client is to see a reset."""


class Exchanges:
    """Reads requests, does what the rules say, and hands on the answers.

    ``server`` is the connection to the server while there is one; who made this closes it.
    """

    def __init__(self, client: Wire, *, connect: Callable[[], Wire], rules: Rules) -> None:
        self.server: Wire | None = None
        self._client = client
        self._connect = connect
        self._rules = rules

    def run(self) -> None:
        """Serve the connection until one side ends it; raises Broken, WireError or OSError."""
        # Opening a connection takes a round trip on a real network.
        self._rules.to_server.wait_delay()
        self._rules.to_client.wait_delay()
        while (head := self._client.read_head()) is not None:
            fault = self._rules.fault_for(SeenRequest(head.method, head.target, head.fields))
            self._rules.to_server.wait_delay()
            if isinstance(fault, AnswerInstead):
                stays_open = self._answer_instead(head, fault)
            else:
                stays_open = self._forward(head, fault)
            if not stays_open:
                break

    def _answer_instead(self, head: Head, fault: AnswerInstead) -> bool:
        if head.has_token("Expect", "100-continue"):
            self._client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        for piece in self._client.request_body(head):
            self._rules.to_server.wait_bandwidth(len(piece.data))
        phrase = HTTPStatus(fault.status).phrase
        start = f"HTTP/1.1 {fault.status} {phrase}"
        answer = Head(start, tuple(fault.headers.items())).with_length(len(fault.body))
        self._rules.to_client.wait_delay()
        self._client.send(answer.encode() + (b"" if head.method == "HEAD" else fault.body))
        return head.keeps_alive and answer.keeps_alive

    def _forward(self, head: Head, fault: Fault | None) -> bool:
        server = self._open_server()
        server.send(head.encode())
        early = self._await_go_ahead(head, server) or self._forward_body(head, fault, server)
        if early is None:
            return self._hand_on(head, self._read_answer(server), fault, server)
        # The rest of the request would be taken for the next one.
        self._hand_on(head, early.closing(), fault, server)
        self._linger()
        return False

    def _open_server(self) -> Wire:
        """Return a connection to the server, a new one if it has closed the last one."""
        if self.server is not None and _is_readable(self.server):
            self.server.socket.close()
            self.server = None
        if self.server is None:
            self.server = self._connect()
        return self.server

    def _await_go_ahead(self, head: Head, server: Wire) -> Head | None:
        """Let both agree on sending the body; returns the answer if the server refuses it.

        A client that hears nothing from the server soon sends the body nevertheless.
        """
        if not head.has_token("Expect", "100-continue") or self._client.has_buffered:
            return None
        waiting = [self._client.socket, server.socket]
        readable, _, _ = select.select(waiting, [], [], self._client.socket.gettimeout())
        if server.socket not in readable:
            return None
        answer = _require_head(server)
        if answer.status >= 200:
            return answer
        self._rules.to_client.wait_delay()
        self._client.send(answer.encode())
        self._rules.to_server.wait_delay()
        return None

    def _forward_body(self, head: Head, fault: Fault | None, server: Wire) -> Head | None:
        """Forward the request's body; returns the answer if the server stopped reading."""
        left = fault.after if isinstance(fault, CutRequest) else None
        for piece in self._client.request_body(head):
            data = piece.data
            if left is not None and piece.is_content:
                data, left = data[:left], left - len(data[:left])
            self._rules.to_server.wait_bandwidth(len(data))
            try:
                server.send(data)
            except OSError:
                return _require_head(server)
            if left == 0:
                break
        if isinstance(fault, CutRequest):
            _wait_until_sent(server.socket)
            raise Broken("the request was cut")
        return None

    def _read_answer(self, server: Wire) -> Head:
        """Read the final answer's head; hand on what comes before it."""
        while (answer := _require_head(server)).status < 200:
            self._client.send(answer.encode())
        return answer

    def _hand_on(self, head: Head, answer: Head, fault: Fault | None, server: Wire) -> bool:
        body = server.answer_body(answer, method=head.method)
        if isinstance(fault, LoseAnswer):
            for _ in body:
                pass
            self._rules.to_client.wait_delay()
            raise Broken("the answer was lost")
        if isinstance(fault, Truncate):
            content = b"".join(piece.data for piece in body if piece.is_content)[: fault.keep]
            body = iter((Piece(content),))
            answer = answer if head.method == "HEAD" else answer.with_length(len(content))
        if isinstance(fault, FlipByte):
            body = _flip(body, fault.offset)
        self._rules.to_client.wait_delay()
        self._client.send(answer.encode())
        if isinstance(fault, CutAnswer):
            return self._cut(body, fault)
        self._send_all(body)
        has_end = answer.is_delimited or answer.status in (204, 304) or head.method == "HEAD"
        return has_end and head.keeps_alive and answer.keeps_alive

    def _send_all(self, body: Iterable[Piece]) -> None:
        for piece in body:
            self._rules.to_client.wait_bandwidth(len(piece.data))
            self._client.send(piece.data)

    def _cut(self, body: Iterable[Piece], fault: CutAnswer) -> bool:
        self._send_all(_first(body, fault.after))
        _wait_until_sent(self._client.socket)
        if fault.reset:
            raise Broken("the answer was cut")
        return False

    def _linger(self) -> None:
        """Read what the client still sends, so that it gets the answer and not a reset."""
        end = time.monotonic() + _LINGER
        with suppress(OSError):
            self._client.socket.shutdown(socket.SHUT_WR)
            self._client.socket.settimeout(_LINGER)
            while self._client.socket.recv(BLOCK) and time.monotonic() < end:
                pass


def reset(connection: socket.socket) -> None:
    """Make closing this connection send a reset instead of an end."""
    with suppress(OSError):
        # Lingering zero seconds makes close() send it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _require_head(server: Wire) -> Head:
    answer = server.read_head()
    if answer is None:
        raise WireError("the server closed the connection without an answer")
    return answer


def _is_readable(wire: Wire) -> bool:
    """Whether the peer, which owes nothing, sent something: the end, or an unexpected message."""
    readable, _, _ = select.select([wire.socket], [], [], 0)
    return bool(readable) or wire.has_buffered


def _first(body: Iterable[Piece], size: int) -> Iterator[Piece]:
    """Yield the body up to the given number of bytes of content."""
    left = size
    for piece in body:
        if left == 0:
            return
        if not piece.is_content:
            yield piece
            continue
        yield Piece(piece.data[:left])
        left -= len(piece.data[:left])


def _flip(body: Iterable[Piece], offset: int) -> Iterator[Piece]:
    """Yield the body with all bits of one byte of its content changed."""
    left = offset
    for piece in body:
        if piece.is_content and 0 <= left < len(piece.data):
            changed = bytearray(piece.data)
            changed[left] ^= 0xFF
            yield Piece(bytes(changed))
        else:
            yield piece
        left -= len(piece.data) if piece.is_content else 0


def _wait_until_sent(connection: socket.socket) -> None:
    """Wait until the peer's system has what was sent: a reset discards what it hasn't."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        unsent = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
        if not unsent:
            return
        time.sleep(0.001)
