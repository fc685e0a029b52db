"""The simulated gateway's HTTP: connections that break, go down with it, and may be TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.gateway.faults import Canned, Cut, Faults
from tests.support.gateway.routes import Router
from tests.support.gateway.wire import Request, Response

_BLOCK = 1 << 16


class GatewayServer(ThreadingHTTPServer):
    """Hands requests to the router, one at a time, as far as faults let it."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        router: Router,
        faults: Faults,
        *,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.router = router
        self.faults = faults
        self.seen: list[Request] = []
        self.is_tls = tls is not None
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake is left to the connection's own thread: a broken one stops nobody.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        scheme = "https" if self.is_tls else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Ignore connections that broke on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: GatewayServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        router = self.server.router
        if router.state.phase() == "down":
            self._reset()
            return
        fault = self.server.faults.for_request(self.command, self.path.partition("?")[0])
        with tempfile.NamedTemporaryFile(dir=router.folder, suffix=".body") as file:
            body = Path(file.name)
            if not self._receive(body):
                return
            request = Request(
                self.command, self.path, dict(self.headers.items()), body, self.server.is_tls
            )
            with router.state.lock:
                self.server.seen.append(request)
                if fault is Cut.BEFORE:
                    self._reset()
                    return
                response = _canned(fault) if isinstance(fault, Canned) else router.answer(request)
        if fault is Cut.AFTER:
            self._reset()
            return
        self._send(response, cut=response.cut or fault is Cut.MIDDLE)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - as called

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
        """Write no log."""

    def _receive(self, path: Path) -> bool:
        """Write the body to a file; False when the client broke off."""
        left = int(self.headers.get("Content-Length") or 0)
        with path.open("wb") as file:
            while left:
                block = self.rfile.read(min(left, _BLOCK))
                if not block:
                    self.close_connection = True
                    return False
                file.write(block)
                left -= len(block)
        return True

    def _send(self, response: Response, *, cut: bool) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if cut:
            self.wfile.write(response.body[: len(response.body) // 2])
            self._reset()
            return
        self.wfile.write(response.body)

    def _reset(self) -> None:
        # Lingering zero seconds makes close() send a reset.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.rfile.close()
        self.connection.close()


def _canned(fault: Canned) -> Response:
    return Response(fault.status, fault.body, fault.content_type, fault.headers)
