"""A store of files on loopback, with ranges and versions, that can be told to misbehave.

It is strict: an upload without a length, or one that ends early, is recorded but never stored.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    ``status`` and ``headers`` answer instead of the store. ``cut`` resets the connection after so
    many bytes of the body, in whichever direction it goes. ``lost`` does what was asked, then
    resets instead of answering. ``drip`` sends the answer byte by byte with so many seconds
    between, ``drip_head`` its head. ``early`` answers an upload after the first block. ``act`` is
    called first.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    lost: bool = False
    drip: float = 0.0
    drip_head: float = 0.0
    early: bool = False
    act: Callable[[], object] | None = None


NO_FAULT = Fault()


@dataclass(frozen=True)
class Seen:
    """A request; the body is kept as size and SHA-256."""

    method: str
    path: str
    headers: Mapping[str, str]
    size: int = 0
    sha256: str = ""


class FileServer(ThreadingHTTPServer):
    """Serves ``files`` by path; ``faults`` are taken one per request, in order.

    ``ranges`` and ``chunked`` say how files are served; ``validator`` is ``strong``, ``weak``,
    ``date`` or ``none``. ``stored`` holds the digests of complete uploads.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.connections = 0
        self.ranges = True
        self.chunked = False
        self.declared = True
        self.validator = "strong"
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: object, client_address: object) -> None:
        """Count the connections."""
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, *_: object) -> None:
        """Ignore connections that the test broke on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        fault = self._fault()
        received, digest = self._receive(fault)
        whole = received == self._length()
        with self.server.lock:
            self.server.seen.append(self._seen(received, digest))
            if whole and not fault.status:
                self.server.stored[self.path] = digest
        if fault.cut is not None or fault.lost:
            self._reset()
        elif fault.early or fault.status:
            self.close_connection = fault.early
            self._answer(fault.status or 201, fault.headers, fault.body, fault)
        elif whole:
            self._answer(201, {}, b"", fault)
        else:
            self.close_connection = True

    do_POST = do_PATCH = do_DELETE = do_PUT  # noqa: N815 - the names that its parent calls

    def do_GET(self) -> None:
        fault = self._fault()
        with self.server.lock:
            self.server.seen.append(self._seen(0, ""))
        content = self.server.files.get(self.path)
        if fault.status:
            self._answer(fault.status, fault.headers, fault.body, fault)
        elif content is None:
            self._answer(404, {}, b"none", fault)
        else:
            self._serve(content, fault)

    do_PROPFIND = do_GET  # noqa: N815 - as above

    def _serve(self, content: bytes, fault: Fault) -> None:
        headers = self._versions(content)
        asked = self.headers.get("Range", "")
        version = self.headers.get("If-Range")
        same = version is None or version in headers.values()
        if not (asked and self.server.ranges and same):
            self._answer(200, headers, content, fault)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        total = len(content)
        if start >= total:
            self._answer(416, {"Content-Range": f"bytes */{total}"}, b"", fault)
            return
        headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._answer(206, headers, content[start:], fault)

    def _versions(self, content: bytes) -> dict[str, str]:
        name = hashlib.sha256(content).hexdigest()[:16]
        seconds = int(name[:6], 16)
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))
        return {
            "strong": {"ETag": f'"{name}"'},
            "weak": {"ETag": f'W/"{name}"', "Last-Modified": date},
            "date": {"Last-Modified": date},
            "none": dict[str, str](),
        }[self.server.validator]

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif self.server.declared:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.close_connection = True
        if fault.drip_head:
            for number in range(1000):
                self.send_header(f"X-{number}", "")
                self.flush_headers()
                time.sleep(fault.drip_head)
        self.end_headers()
        if fault.drip:
            for byte in body:
                self._write(bytes([byte]))
                time.sleep(fault.drip)
            return
        cut = len(body) if fault.cut is None else fault.cut
        for start in range(0, cut, _BLOCK):
            self._write(body[start : min(start + _BLOCK, cut)])
        if fault.cut is not None:
            # What was sent must arrive: a reset at once could overtake it.
            time.sleep(0.1)
            self._reset()
        elif self.server.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self.server.chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.wfile.write(data)

    def _receive(self, fault: Fault) -> tuple[int, str]:
        digest = hashlib.sha256()
        size = 0
        end = self._length()
        if fault.cut is not None:
            end = min(end, fault.cut)
        if fault.early:
            end = min(end, _BLOCK)
        while size < end and (block := self.rfile.read(min(_BLOCK, end - size))):
            digest.update(block)
            size += len(block)
        return size, digest.hexdigest()

    def _length(self) -> int:
        return int(self.headers["Content-Length"])

    def _fault(self) -> Fault:
        with self.server.lock:
            fault = self.server.faults.pop(0) if self.server.faults else NO_FAULT
        if fault.act is not None:
            fault.act()
        return fault

    def _seen(self, size: int, digest: str) -> Seen:
        return Seen(self.command, self.path, dict(self.headers.items()), size, digest)

    def _reset(self) -> None:
        # Lingering zero seconds makes close() send a reset.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run an empty store."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
