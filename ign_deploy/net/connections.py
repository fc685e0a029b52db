"""Connections that wait a bounded time for a head or a piece, not only for the next byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

Watching = Callable[[], AbstractContextManager[None]]
_WATCHING = "ign_deploy_watching"


class BoundedAdapter(HTTPAdapter):
    """A transport without retries, where status and headers must come within ``head`` seconds.

    A read time-out alone restarts with each byte. ``pool_size`` connections are kept per host.
    With a ``pin``, every TLS connection requires the certificate with that SHA-256 fingerprint.
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
    watchdog = _Watchdog(head)

    class Plain(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as its parent
            # http.client forgets the socket when the connection isn't to be kept.
            watching = partial(watchdog.watching, self.sock)
            with watching():
                return _watched(super().getresponse(), watching)

    class Secure(HTTPSConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as its parent
            watching = partial(watchdog.watching, self.sock)
            with watching():
                return _watched(super().getresponse(), watching)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _watched(response: HTTPResponse, watching: Watching) -> HTTPResponse:
    setattr(response, _WATCHING, watching)
    return response


def watch_reading(response: HTTPResponse) -> AbstractContextManager[None]:
    """Cut the connection if the block, which reads a piece of the body, takes too long.

    A piece can take as long as a head: the lines around chunks and after the last one have no end
    of their own. Raises TimeoutError then.
    """
    watching: Watching = getattr(response, _WATCHING, nullcontext)
    return watching()


class _Watch:
    """One connection that is being waited for, until ``end``; ``late`` once it was cut."""

    def __init__(self, connected: socket.socket, *, end: float) -> None:
        self.end = end
        self.late = False
        self._connected = connected

    def cut(self) -> None:
        self.late = True
        # Not the method of an SSLSocket: it takes TLS off, and the reader would see raw bytes.
        with suppress(OSError):
            socket.socket.shutdown(self._connected, socket.SHUT_RDWR)


class _Watchdog:
    """Cuts connections that are waited for longer than ``after`` seconds.

    One thread does it for all of them, and ends when there was none for that long: to start one at
    each request costs more than all the rest of a small one, when several workers want to run.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._lock = threading.Lock()
        # In the order in which they end, since all wait equally long.
        self._watches: dict[int, _Watch] = {}
        self._thread: threading.Thread | None = None
        self._idle = False

    @contextmanager
    def watching(self, connected: socket.socket | None) -> Iterator[None]:
        """Cut the connection after that time, unless the block has ended by then.

        Raises TimeoutError then: to http.client, half a head looks like a whole one.
        """
        if connected is None:  # closed by now: http.client says so
            yield
            return
        watch = _Watch(connected, end=0.0)
        with self._lock:
            watch.end = time.monotonic() + self._after
            self._watches[id(watch)] = watch
            # A fork's child has its parent's threads only as dead ones.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._watches.pop(id(watch), None)
            if watch.late:
                raise TimeoutError("the response took too long")

    def _run(self) -> None:
        while (wait := self._cut_late()) is not None:
            time.sleep(wait)

    def _cut_late(self) -> float | None:
        """Cut what is late; return the seconds until the next may be, None when none is left."""
        with self._lock:
            for key, watch in list(self._watches.items()):
                if (left := watch.end - time.monotonic()) > 0:
                    self._idle = False
                    return left
                watch.cut()
                del self._watches[key]
            if not self._idle:
                # The next request often follows at once; whatever comes ends later than this.
                self._idle = True
                return self._after
            self._thread, self._idle = None, False
            return None
