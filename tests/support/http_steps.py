"""Kills this process, or breaks its connection, at the n-th HTTP request that it makes.

It counts where requests and botocore both come by: urllib3's ``HTTPConnectionPool.urlopen``.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self


class HttpSteps:
    """Counts this process's HTTP requests, and acts at one of them.

    Number ``at`` is 1 for the first request from now: acts right before it is made; a negative
    number acts right after the answer's head of that request has come, or its connection has
    broken; 0 only counts. Holds until ``restore``, or the end of a ``with`` block. ``methods`` are
    those of all requests.
    """

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        self._pool = _pool_class()
        self._original = self._pool.urlopen
        self._lock = threading.Lock()
        self._count = 0
        self.methods: list[str] = []
        steps = self

        def urlopen(pool: Any, *arguments: Any, **options: Any) -> Any:
            number = steps._next(str(options.get("method") or arguments[0]))
            if number == at:
                action()
            try:
                answer = steps._original(pool, *arguments, **options)
            except Exception:
                if number == -at:
                    action()
                raise
            if number == -at:
                answer.close()
                action()
            return answer

        self._pool.urlopen = urlopen

    @property
    def count(self) -> int:
        """How many requests have begun."""
        with self._lock:
            return self._count

    def restore(self) -> None:
        """Let requests pass uncounted again."""
        self._pool.urlopen = self._original

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()

    def _next(self, method: str) -> int:
        with self._lock:
            self.methods.append(method)
            self._count += 1
            return self._count


def _pool_class() -> Any:
    from urllib3.connectionpool import HTTPConnectionPool

    return HTTPConnectionPool


def count_requests() -> HttpSteps:
    """Only count the requests."""
    return HttpSteps(0, lambda: None)


class Killed(BaseException):
    """No code of ours catches it: what comes after it is left undone, as after a SIGKILL."""


@contextmanager
def killed_when(is_time: Callable[[], bool]) -> Iterator[None]:
    """End all requests of this process from that moment on, as a dead process makes none.

    The block must have been ended by it.
    """
    pool = _pool_class()
    original, dead = pool.urlopen, threading.Event()

    def urlopen(*arguments: Any, **options: Any) -> Any:
        if dead.is_set():
            raise Killed
        answer = original(*arguments, **options)
        if dead.is_set() or is_time():
            dead.set()
            answer.close()
            raise Killed
        return answer

    pool.urlopen = urlopen
    try:
        with suppress(Killed):
            yield
        assert dead.is_set(), "it ended before it was killed"
    finally:
        pool.urlopen = original


def kill_self_at_request(number: int) -> HttpSteps:
    """Kill this process (SIGKILL) right before its ``number``-th request; negative: after it."""
    return HttpSteps(number, lambda: os.kill(os.getpid(), signal.SIGKILL))


def fail_at_request(number: int) -> HttpSteps:
    """Break the ``number``-th request as a reset does; negative: the server has done it."""

    def fail() -> None:
        from urllib3.exceptions import ProtocolError

        raise ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by the test"))

    return HttpSteps(number, fail)
