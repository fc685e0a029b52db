"""What this run has for a limited time, such as a lease: renewed by a thread, until it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ign_deploy.errors import IgnDeployError

DURATION = 150.0
"""Seconds after which what isn't renewed is over, by the store's clock."""
INTERVAL = 40.0
"""Seconds between two renewals."""
_MARGIN = 30.0
"""Seconds before its end in which this run no longer counts on it."""


def running_clock() -> float:
    """Return seconds that go on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Taken(Exception):
    """Another run has it by now; the text says which one."""


@dataclass
class Renewal:
    """Keeps what holds for ``DURATION`` seconds after each renewal.

    ``send`` renews it once; it raises Taken, or IgnDeployError for what is worth another attempt.
    ``problem`` is asked before whatever needs it; it makes no request.
    """

    send: Callable[[], None]
    clock: Callable[[], float] = running_clock
    _until: float = 0.0
    _reason: str = ""
    _last_failure: str = ""
    _ended: threading.Event = field(default_factory=threading.Event)

    def extend(self, since: float) -> None:
        """Count it as renewed at ``since``, by ``clock``: before the store got the request."""
        self._until = since + DURATION - _MARGIN

    @property
    def problem(self) -> str:
        """Why this run may no longer have it; empty as long as it has."""
        if not self._reason and self.clock() >= self._until:
            why = f": {self._last_failure}" if self._last_failure else ""
            self._reason = f"it could not be renewed in time{why}"
        return self._reason

    def renew(self) -> None:
        """Renew it; a failure counts only when it is over before the next attempt succeeds."""
        if self.problem:
            return  # another run may have it
        begin = self.clock()
        try:
            self.send()
        except Taken as other:
            self._reason = str(other)
        except IgnDeployError as problem:
            self._last_failure = problem.message
        else:
            self._last_failure = ""
            if not self.problem:
                self.extend(begin)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew it in a thread while what is done within goes on."""
        keeper = threading.Thread(target=self._keep, name="renewal", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()
            keeper.join(timeout=_MARGIN)

    def _keep(self) -> None:
        while not self._ended.wait(INTERVAL) and not self.problem:
            self.renew()
