"""Connections that wait a bounded time for the head of an answer, not only for its next byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse


class BoundedAdapter(HTTPAdapter):
    """A transport without retries, where status and headers must come within ``head`` seconds.

    A read time-out alone starts anew with each byte. ``pool_size`` connections are kept per host.
    With a ``pin``, every TLS connection is to the certificate of that SHA-256 fingerprint.
    """

    def __init__(self, *, pool_size: int, head: float, pin: str | None = None) -> None:
        self._pools = _pools(head)
        self._pool_options = {} if pin is None else {"assert_fingerprint": pin}
        super().__init__(pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the direct connections bounded."""
        super().init_poolmanager(*args, **(options | self._pool_options))
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        """Make those through a proxy bounded as well."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **(options | self._pool_options))
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(head: float) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as its parent
            with _cut_off(self.sock, after=head):
                return super().getresponse()

    class Secure(HTTPSConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as its parent
            with _cut_off(self.sock, after=head):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


@contextmanager
def _cut_off(connected: socket.socket | None, *, after: float) -> Iterator[None]:
    """Break the connection after so many seconds, unless the block has ended by then.

    Raises TimeoutError then: to http.client, half a head looks like a whole one.
    """
    if connected is None:  # closed by now: http.client says so
        yield
        return
    late = threading.Event()

    def cut() -> None:
        late.set()
        # Not the method of an SSLSocket: it takes TLS off, and the reader would see raw bytes.
        with suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(after, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            raise TimeoutError("the head of the answer took too long")
