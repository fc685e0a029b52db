"""A proxy in front of an HTTP server on loopback that delays, breaks and changes its traffic."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.support.fault_exchange import Exchanges, reset
from tests.support.faults import Rules
from tests.support.http_wire import Wire, WireError

# An idle client or server is waited for this long, in seconds.
_TIMEOUT = 120.0


class FaultProxy:
    """A running proxy: reach the server through ``url``, change its ``rules``."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.rules = Rules()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopped = False
        self._acceptor = threading.Thread(target=self._accept, name="fault-proxy")
        self._acceptor.start()

    def stop(self) -> None:
        """Close every connection and wait for the threads."""
        with self._lock:
            self._stopped = True
            sockets = [self._listener, *self._sockets]
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.rules.count_connection()
            thread = threading.Thread(target=self._serve, args=(client,), name="fault-proxy-client")
            if not self._keep(client):
                client.close()
                return
            self._threads = [each for each in self._threads if each.is_alive()] + [thread]
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        exchanges = Exchanges(Wire(client), connect=self._connect, rules=self.rules)
        try:
            client.settimeout(_TIMEOUT)
            exchanges.run()
        except (OSError, WireError, ValueError):
            # What broke on one side breaks on the other.
            reset(client)
        finally:
            for each in (client, exchanges.server.socket if exchanges.server else None):
                if each is not None:
                    self._drop(each)

    def _connect(self) -> Wire:
        server = socket.create_connection(self._upstream, timeout=_TIMEOUT)
        if not self._keep(server):
            server.close()
            raise WireError("the proxy is being stopped")
        return Wire(server)

    def _keep(self, each: socket.socket) -> bool:
        with self._lock:
            if not self._stopped:
                self._sockets.add(each)
            return not self._stopped

    def _drop(self, each: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(each)
        each.close()


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of the server at this URL (``http://127.0.0.1:port``)."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.stop()
