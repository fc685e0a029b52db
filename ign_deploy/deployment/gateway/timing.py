"""How long to wait for a gateway, and on which clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# A rest too short to move a clock of floating point would be waited for without end.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits, in seconds.

    ``poll`` lies between two looks at the gateway; before ``floor`` has passed after a restart was
    asked for, no gateway is believed to be up again; ``settle`` is how
    long a listing may take to show what a request did; ``deadline`` bounds a whole restart.
    """

    poll: float = 2.0
    floor: float = 5.0
    settle: float = 15.0
    deadline: float = 300.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def looks(self, seconds: float) -> Iterator[float]:
        """Yield the seconds passed, at once and then after each poll, until ``seconds`` have."""
        start = self.clock()
        while True:
            passed = self.clock() - start
            yield passed
            left = seconds - (self.clock() - start)
            if left < _LEAST:
                return
            self.sleep(min(self.poll, left))
