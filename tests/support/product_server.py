"""A threaded HTTP server for simulated products: accounts, files with ranges, JSON answers."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Call:
    """A request; ``path`` is decoded, ``user`` empty for nobody."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    user: str = ""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, document: Any) -> Reply:
    """Answer with JSON."""
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def file_reply(call: Call, data: bytes, headers: Mapping[str, str]) -> Reply:
    """Answer with a file, or the end of it that was asked for."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    asked = call.headers.get("Range", "")
    if not asked or call.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
        return Reply(200, data, headers)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= len(data):
        return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
    location = f"bytes {start}-{len(data) - 1}/{len(data)}"
    return Reply(206, data[start:], {**headers, "Content-Range": location})


def checksums(data: bytes) -> dict[str, str]:
    """Return the digests that both products state."""
    return {
        "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


class Product(Protocol):
    """What a simulated product does; ``calls`` are all requests so far."""

    calls: list[Call]

    def user_of(self, kind: str, secret: str) -> str | None:
        """Return whose credentials these are (``Basic`` decoded, or ``Bearer``), None if wrong."""

    def respond(self, call: Call) -> Reply:
        """Answer a request."""


P = TypeVar("P", bound=Product)


@contextmanager
def serving(product: Product) -> Iterator[str]:
    """Run a product; yields its URL without a slash at the end."""
    server = _Server(product)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, product: Product) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.product = product
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Ignore connections that the test broke on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body are two packets, which Nagle's algorithm would hold up.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length or 0))
        if self.command in {"PUT", "POST"} and length is None:
            self._answer(Reply(411))
            return
        if len(body) != int(length or 0):
            # The connection ended early: nothing of it counts.
            self.close_connection = True
            return
        split = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        user = self._user()
        call = Call(
            self.command, unquote(split.path), query, dict(self.headers.items()), body, user or ""
        )
        with self.server.lock:
            self.server.product.calls.append(call)
        if user is None:
            self._answer(Reply(401, headers={"WWW-Authenticate": 'Basic realm="store"'}))
        else:
            self._answer(self.server.product.respond(call))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - its parent's names
    do_MKCOL = do_PROPFIND = do_OPTIONS = _serve  # noqa: N815 - as above

    def _user(self) -> str | None:
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        if not kind:
            return ""
        if kind == "Basic":
            secret = base64.b64decode(secret).decode()
        return self.server.product.user_of(kind, secret)

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""
