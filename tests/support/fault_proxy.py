"""A proxy in front of an HTTP server on loopback that delays, breaks and changes its traffic."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.fault_exchange import Exchanges, reset
from tests.support.faults import Rules
from tests.support.http_wire import Wire, WireError
from tests.support.serving import serving

# An idle client or server is waited for this long, in seconds.
_TIMEOUT = 120.0


class _Client(BaseRequestHandler):
    server: FaultProxy
    request: socket.socket

    def handle(self) -> None:
        client = self.request
        exchanges = Exchanges(Wire(client), connect=self._connect, rules=self.server.rules)
        try:
            client.settimeout(_TIMEOUT)
            exchanges.run()
        except (OSError, WireError, ValueError):
            # What broke on one side breaks on the other.
            reset(client)
        finally:
            if exchanges.server is not None:
                exchanges.server.socket.close()

    def _connect(self) -> Wire:
        server = socket.create_connection(self.server.upstream, timeout=_TIMEOUT)
        self.server.keep(server)
        return Wire(server)


class FaultProxy(ThreadingTCPServer):
    """A running proxy: reach the server through ``url``, change its ``rules``."""

    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Client)
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.rules = Rules()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._sockets: list[socket.socket] = []
        self._closing = False
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client in a thread."""
        self.rules.count_connection()
        self.keep(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection at once: one that is to be reset must not send an end before."""
        self.close_request(request)

    def keep(self, connection: socket.socket) -> None:
        """Remember a connection that is to be broken at the end."""
        with self._lock:
            self._sockets = [each for each in self._sockets if each.fileno() >= 0] + [connection]
            if self._closing:
                raise WireError("the proxy is being stopped")

    def server_close(self) -> None:
        """Break every connection and wait for the threads."""
        with self._lock:
            self._closing = True
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of the server at this URL (``http://127.0.0.1:port``)."""
    with serving(FaultProxy(upstream)) as proxy:
        yield proxy
