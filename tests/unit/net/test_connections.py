"""No part of a response takes as long as the server likes."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ign_deploy.net.errors import TransientFailure
from ign_deploy.net.response import read_body
from ign_deploy.net.retry import Deadline, RetryPolicy
from ign_deploy.net.session import open_http_session
from tests.support.tls import Tls, make_tls

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: {}\r\n\r\n"
STALL = 0.4


@contextmanager
def sending(head: bytes, endless: bytes, *, pause: float, tls: Tls | None) -> Iterator[str]:
    """Run a server that sends a head, then the same bytes for ever."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connected, _ = listener.accept()
            if tls is not None:
                connected = tls.context.wrap_socket(connected, server_side=True)
            with connected:
                connected.recv(65536)
                connected.sendall(head)
                while not ended.wait(pause):
                    connected.sendall(endless)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http{'s' * (tls is not None)}://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            ended.set()
            thread.join(5)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize(
    "sent",
    [
        (b"2\r\nok\r\n0\r\n", b"x: y\r\n" * 1000, 0.0),
        (b"2\r\nok\r\n0\r\n", b"x", 0.05),
        (b"2\r\nok\r\n", b"0", 0.05),
        (b"2;", b"x", 0.05),
    ],
    ids=["trailers", "dripping trailer", "dripping size", "dripping extension"],
)
def test_lines_around_chunks_have_an_end(
    tmp_path: Path, sent: tuple[bytes, bytes, float], connection: str, secure: bool
) -> None:
    before, endless, pause = sent
    tls = make_tls(tmp_path) if secure else None
    head = CHUNKED.replace(b"{}", connection.encode()) + before
    with (
        sending(head, endless, pause=pause, tls=tls) as url,
        open_http_session(ca=tls.ca if tls else None, stall=STALL) as session,
    ):
        begin = time.monotonic()
        response = session.request("GET", url)
        deadline = Deadline(RetryPolicy(deadline=30.0), url=url)
        with pytest.raises(TransientFailure, match="didn't respond in time"):
            read_body(response, limit=100, deadline=deadline)
        assert time.monotonic() - begin < 10 * STALL


def test_a_slow_body_is_not_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"
    with (
        sending(head, b"x", pause=0.1, tls=None) as url,
        open_http_session(stall=STALL) as session,
    ):
        deadline = Deadline(RetryPolicy(deadline=30.0), url=url)
        body = read_body(session.request("GET", url), limit=100, deadline=deadline)
    assert body == bytes(itertools.repeat(120, 20))
