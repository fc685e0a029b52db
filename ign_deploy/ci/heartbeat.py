"""A heartbeat for logs that only grow: a line a minute while something is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INTERVAL = 60.0
"""Seconds between two lines."""

Beats = Callable[[threading.Event], Iterator[float]]
"""Yields the seconds that have passed, whenever it is time for a line, until the event is set."""


def every_minute(ended: threading.Event) -> Iterator[float]:
    """Yield the seconds that have passed, once a minute, until the event is set."""
    begin = time.monotonic()
    while not ended.wait(INTERVAL):
        yield time.monotonic() - begin


@contextmanager
def heartbeat(say: Callable[[float], None], *, beats: Beats) -> Iterator[None]:
    """Call ``say`` at each of the ``beats``, in a thread, while the context is open; not after."""
    ended = threading.Event()

    def run() -> None:
        for seconds in beats(ended):
            if ended.is_set():
                return
            try:
                say(seconds)
            except OSError:
                return  # the reader of the log has gone; whoever works learns it, too

    thread = threading.Thread(target=run, daemon=True)
    # If no thread can be started, there is no heartbeat; the work goes on without it.
    with suppress(RuntimeError):
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()


def waiting_line(title: str, seconds: float, *, limit: float) -> str:
    """Return ``line-1: restarting: 2 min so far, at most 5 min``; a limit of 0 is none."""
    most = f", at most {shown_duration(limit)}" if limit else ""
    return f"{title}: {shown_duration(seconds)} so far{most}"


def transfer_line(title: str, seconds: float, *, done: int, total: int) -> str:
    """Return ``uploading a 1.0: 12.0 of 48.0 MB, 2 min so far``."""
    return f"{title}: {done / 1e6:.1f} of {total / 1e6:.1f} MB, {shown_duration(seconds)} so far"


def shown_duration(seconds: float) -> str:
    """Return a duration for people: ``45 s``, ``2 min``, ``2 min 30 s``, ``1 h 5 min``."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    return f"{left} s"
