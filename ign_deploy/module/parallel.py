"""The same work on many items in a few threads; inflating and hashing release the lock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
_PAUSE = 0.2
"""Seconds."""


_sharers: ContextVar[int] = ContextVar("sharers", default=1)


def usable_processors() -> int:
    """Return how many processors the calling thread may use: all of the process's, or a share."""
    return max(1, len(os.sched_getaffinity(0)) // _sharers.get())


@contextmanager
def sharing_processors(sharers: int) -> Iterator[None]:
    """Give this thread one of ``sharers`` equal shares: it may start threads of its own."""
    token = _sharers.set(sharers)
    try:
        yield
    finally:
        _sharers.reset(token)


def map_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    interrupt: Callable[[], None] | None = None,
    grace: float = inf,
) -> list[Result]:
    """Return ``work(item)`` for every item, in the items' order.

    Items are started in order; after the first exception no more are started, and that exception
    is raised when all threads have ended. After a signal (KeyboardInterrupt, SystemExit),
    ``interrupt`` is called repeatedly until they have ended: it makes ``work`` return. Threads that
    haven't ended ``grace`` seconds after it are abandoned.
    """
    queue = _filled_queue(range(len(items)))
    results: dict[int, Result] = {}
    failures: list[BaseException] = []

    def run() -> None:
        while not failures:
            try:
                index = queue.get_nowait()
            except Empty:
                return
            try:
                results[index] = work(items[index])
            except BaseException as problem:  # noqa: BLE001 - handed to the calling thread
                failures.append(problem)

    threads = [
        threading.Thread(target=run, daemon=True) for _ in range(min(workers, len(items)) - 1)
    ]
    for thread in threads:
        thread.start()
    run()
    _join(threads, failures, interrupt, grace)
    if failures:
        raise next((each for each in failures if not isinstance(each, Exception)), failures[0])
    return [results[index] for index in range(len(items))]


def iterate_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in the items' order; little is done ahead of the reader.

    Raises as ``map_parallel`` does.
    """
    size = workers * _AHEAD
    for begin in range(0, len(items), size):
        yield from map_parallel(work, items[begin : begin + size], workers=workers)


@contextmanager
def in_thread(work: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """Do ``work`` in a thread meanwhile; yield a function that waits for its result.

    That function raises what ``work`` raised. The thread has ended when the context is left.
    """
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as problem:  # noqa: BLE001 - handed to the calling thread
            failures.append(problem)

    def wait() -> Result:
        thread.join()
        if failures:
            raise failures[0]
        return results[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield wait
    finally:
        thread.join()


def _join(
    threads: Sequence[threading.Thread],
    failures: list[BaseException],
    interrupt: Callable[[], None] | None,
    grace: float,
) -> None:
    """Wait for the threads, but end their work if a signal came before or while waiting."""
    try:
        if all(isinstance(each, Exception) for each in failures):
            for thread in threads:
                thread.join()
    except (KeyboardInterrupt, SystemExit) as signal:
        failures.append(signal)
    end = time.monotonic() + grace
    while alive := [thread for thread in threads if thread.is_alive()]:
        # Repeatedly: a thread may just have been about to start something.
        if interrupt is not None:
            interrupt()
        if time.monotonic() >= end:
            return
        alive[0].join(min(_PAUSE, grace))


def _filled_queue(numbers: Iterable[int]) -> SimpleQueue[int]:
    queue: SimpleQueue[int] = SimpleQueue()
    for number in numbers:
        queue.put(number)
    return queue
