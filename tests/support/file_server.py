"""A store of files on loopback, with ranges and versions, that can be made to misbehave.

It is strict: an upload without a length, or one that ends early, is recorded but never stored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.serving import Handler, HttpServer, Reply, Request, file_reply, serving

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


class _Handler(Handler):
    server: FileServer

    def serve(self) -> None:
        fault = self.server.next_fault()
        if self.command in {"GET", "PROPFIND"}:
            self.server.note(Seen(self.command, self.path, dict(self.headers.items())))
            self._respond(self._file() if not fault.status else None, fault)
            return
        size, digest = self._read(fault)
        self.server.note(Seen(self.command, self.path, dict(self.headers.items()), size, digest))
        whole = size == int(self.headers["Content-Length"])
        if whole and not fault.status:
            self.server.stored[self.path] = digest
        if fault.cut is not None or fault.lost:
            self.reset()
        elif fault.early or whole or fault.status:
            self.close_connection = fault.early
            self._respond(Reply(201), fault)
        else:
            self.close_connection = True

    def _file(self) -> Reply:
        content = self.server.files.get(self.path)
        if content is None:
            return Reply(404, body=b"none")
        headers = dict(self.headers.items()) if self.server.ranges else {}
        request = Request(self.command, self.path, headers)
        return file_reply(request, content, self._versions(content))

    def _versions(self, content: bytes) -> dict[str, str]:
        name = hashlib.sha256(content).hexdigest()[:16]
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(int(name[:6], 16)))
        return {
            "strong": {"ETag": f'"{name}"'},
            "weak": {"ETag": f'W/"{name}"', "Last-Modified": date},
            "date": {"Last-Modified": date},
            "none": dict[str, str](),
        }[self.server.validator]

    def _respond(self, response: Reply | None, fault: Fault) -> None:
        """Send the response, or the fault's own, at its speed and as far as it lets it."""
        if response is None or fault.status:
            response = Reply(fault.status, fault.headers, fault.body)
        self._send_head(response, drip=fault.drip_head)
        if fault.drip:
            for byte in response.body:
                self._write(bytes([byte]))
                time.sleep(fault.drip)
            return
        cut = len(response.body) if fault.cut is None else fault.cut
        for start in range(0, cut, _BLOCK):
            self._write(response.body[start : min(start + _BLOCK, cut)])
        if fault.cut is not None:
            # What was sent must arrive: a reset at once could overtake it.
            time.sleep(0.1)
            self.reset()
        elif self.server.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, response: Reply, *, drip: float) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif self.server.declared:
            self.send_header("Content-Length", str(len(response.body)))
        else:
            self.close_connection = True
        for number in range(1000 if drip else 0):
            self.send_header(f"X-{number}", "")
            self.flush_headers()
            time.sleep(drip)
        self.end_headers()

    def _write(self, data: bytes) -> None:
        if self.server.chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.wfile.write(data)

    def _read(self, fault: Fault) -> tuple[int, str]:
        digest = hashlib.sha256()
        size, end = 0, int(self.headers["Content-Length"])
        if fault.cut is not None:
            end = min(end, fault.cut)
        if fault.early:
            end = min(end, _BLOCK)
        while size < end and (block := self.rfile.read(min(_BLOCK, end - size))):
            digest.update(block)
            size += len(block)
        return size, digest.hexdigest()


class FileServer(HttpServer):
    """Serves ``files`` by path; ``faults`` are taken one per request, in order.

    ``ranges`` and ``chunked`` say how files are served; ``validator`` is ``strong``, ``weak``,
    ``date`` or ``none``. ``stored`` holds the digests of complete uploads.
    """

    handler = _Handler
    methods = frozenset({"GET", "PROPFIND", "PUT", "POST", "PATCH", "DELETE"})

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, str] = {}
        self.faults: list[Fault] = []  # type: ignore[assignment]  # faults of its own
        self.seen: list[Seen] = []
        self.connections = 0
        self.ranges = True
        self.chunked = False
        self.declared = True
        self.validator = "strong"

    def process_request(self, request: object, client_address: object) -> None:
        """Count the connections."""
        self.connections += 1
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def next_fault(self) -> Fault:
        """Return what is to go wrong with a request."""
        with self.lock:
            fault = self.faults.pop(0) if self.faults else NO_FAULT
        if fault.act is not None:
            fault.act()
        return fault

    def note(self, seen: Seen) -> None:
        """Remember a request."""
        with self.lock:
            self.seen.append(seen)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run an empty store."""
    with serving(FileServer()) as server:
        yield server
