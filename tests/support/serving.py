"""Servers on loopback that last as long as a block, and the HTTP that all simulators speak."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from requests.structures import CaseInsensitiveDict


class Server(Protocol):
    """What `serving` runs, as `socketserver` has it."""

    def serve_forever(self, poll_interval: float = ...) -> None: ...
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...


S = TypeVar("S", bound=Server)


@contextmanager
def serving(server: S, *others: Server, poll: float = 0.02) -> Iterator[S]:
    """Run servers, each in a thread, while the block lasts; yields the first.

    Each looks every ``poll`` seconds whether it is to end.
    """
    servers: tuple[Server, ...] = (server, *others)
    threads = [
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": poll})
        for each in servers
    ]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        for each, thread in zip(servers, threads, strict=True):
            each.shutdown()
            thread.join()
            each.server_close()


def unused_port() -> int:
    """Return a port of this machine on which nothing listens, as long as this process lives."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    # Bound, so that no other process gets it, and never listening: connections are refused.
    probe.detach()
    return port


@dataclass(frozen=True)
class Request:
    """A request that arrived whole; ``target`` is its path and query as they were sent."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, still encoded."""
        return urlsplit(self.target).path

    @property
    def decoded_path(self) -> str:
        """The path, decoded."""
        return unquote(self.path)

    @property
    def query(self) -> dict[str, str]:
        """The query's last value of each name."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def credentials(self) -> tuple[str, str]:
        """The scheme of ``Authorization`` and the secret, ``user:password`` for Basic."""
        scheme, _, secret = self.headers.get("Authorization", "").partition(" ")
        return scheme, base64.b64decode(secret).decode() if scheme == "Basic" else secret


@dataclass(frozen=True)
class Reply:
    """A response; ``delay`` (seconds) comes first, ``cut`` resets after so many bytes of the body.

    ``reset`` breaks the connection instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    cut: int | None = None
    reset: bool = False


RESET = Reply(reset=True)


@dataclass
class Fault:
    """What goes wrong with requests whose ``METHOD path`` has a match of the pattern.

    It happens ``times`` times, after ``skip`` that go well. ``kind``: ``answer`` (respond so, and
    do nothing), ``after`` (do it, then respond so), ``broken`` (break the connection, and do
    nothing), ``lost`` (do it, then break the connection), ``cut`` (do it, then break the connection
    after ``cut`` bytes of the response, half of it by default); others are the server's own.
    """

    pattern: str
    kind: str = "answer"
    status: int = 502
    document: Any = field(default_factory=lambda: {"message": "Server Error"})
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    times: int = 1
    skip: int = 0
    cut: int | None = None

    def hits(self, line: str) -> bool:
        """Whether this request is to fail; counts it."""
        if not self.times or not re.search(self.pattern, line):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True

    @property
    def response(self) -> Reply:
        """The response instead of the server's own."""
        if self.body is not None:
            headers = {"Content-Type": "application/json", **self.headers}
            return Reply(self.status, headers, self.body)
        return json_reply(self.status, self.document, self.headers)


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Respond with JSON."""
    content_type = {"Content-Type": "application/json"}
    return Reply(status, {**content_type, **(headers or {})}, json.dumps(document).encode())


def file_reply(request: Request, data: bytes, headers: Mapping[str, str]) -> Reply:
    """Respond with a file, or with the end of it that was requested (RFC 9110, section 14)."""
    headers = {"Accept-Ranges": "bytes", **headers}
    wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    version = request.headers.get("If-Range")
    validators = {headers.get("ETag"), headers.get("Last-Modified")} - {None}
    if wanted is None or (version is not None and version not in validators):
        return Reply(200, headers, data)
    start, size = int(wanted[1]), len(data)
    if start >= size:
        return Reply(416, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return Reply(206, headers, data[start:])


class Handler(BaseHTTPRequestHandler):
    """One connection: receives requests whole, and sends what the server responds."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body are two packets, which Nagle's algorithm would hold up.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.command in self.server.methods:
            self.serve()
        else:
            self.send_error(501)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - as its parent calls
    do_MKCOL = do_PROPFIND = do_OPTIONS = do_CONNECT = do_GET  # noqa: N815 - as above

    def serve(self) -> None:
        """Respond to one request."""
        request = self.receive()
        if request is not None:
            self.send(self.server.take(request))

    def receive(self) -> Request | None:
        """Read a request; None when it has no length or ends early: nothing of it counts."""
        length = self.headers.get("Content-Length")
        if length is None and self.command in {"PUT", "POST", "PATCH"}:
            self.close_connection = True
            self.send(Reply(411))
            return None
        body = self.rfile.read(int(length or 0))
        if len(body) != int(length or 0):
            self.close_connection = True
            return None
        headers = CaseInsensitiveDict(self.headers.items())
        return Request(self.command, self.path, headers, body)

    def send(self, response: Reply) -> None:
        """Send a response, as far as it isn't to be broken."""
        time.sleep(response.delay)
        if response.reset:
            self.reset()
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: response.cut])
        if response.cut is not None:
            self.reset()

    def reset(self) -> None:
        """Break the connection."""
        # Lingering zero seconds makes close() send a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of the server's clock."""
        return super().date_time_string(self.server.date if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""


class HttpServer(ThreadingHTTPServer):
    """A server on loopback, of which each has its own ``respond``.

    ``requests`` are all so far; ``faults`` is what will go wrong; ``date`` is its clock (Unix time)
    unless it is None.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    handler: ClassVar[type[Handler]] = Handler
    methods: frozenset[str] = frozenset(
        {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "MKCOL", "PROPFIND", "OPTIONS"}
    )

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), self.handler)
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.date: float | None = None
        self.lock = threading.Lock()
        self.is_tls = tls is not None
        if tls is not None:
            # The handshake is left to the connection's own thread: a broken one stops no other.
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http{'s' * self.is_tls}://127.0.0.1:{self.server_address[1]}"

    def take(self, request: Request) -> Reply:
        """Note a request, and respond to it."""
        with self.lock:
            self.requests.append(request)
            line = self.line(request)
            fault = next((each for each in self.faults if each.hits(line)), None)
        return self.respond(request) if fault is None else self.fail(request, fault)

    def fail(self, request: Request, fault: Fault) -> Reply:
        """Do what a fault says of a request."""
        if fault.kind in {"answer", "broken"}:
            return fault.response if fault.kind == "answer" else RESET
        response = self.respond(request)
        if fault.kind == "cut":
            half = len(response.body) // 2
            return replace(response, cut=half if fault.cut is None else fault.cut)
        return fault.response if fault.kind == "after" else RESET

    def matching(self, pattern: str) -> list[Request]:
        """Return the requests whose ``METHOD path`` has a match of the pattern."""
        return [each for each in self.requests if re.search(pattern, self.line(each))]

    def line(self, request: Request) -> str:
        """Return ``METHOD path``, or what a server has instead of paths."""
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Reply:
        """Respond to a request; many threads call this."""
        raise NotImplementedError

    def handle_error(self, *_: object) -> None:
        """Ignore connections that were broken on purpose."""


class ScriptedServer(HttpServer):
    """Responds by a script, one response per request; the last one stays."""

    methods = frozenset({"GET", "PUT", "POST", "CONNECT"})

    def __init__(self, *script: Reply, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.script = list(script)

    def respond(self, request: Request) -> Reply:
        """Take the next response."""
        with self.lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def scripted_server(*script: Reply, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """Run a server that gives these responses, one per request."""
    with serving(ScriptedServer(*script, tls=tls)) as server:
        yield server
