"""Time that only sleeping moves: for tests that don't depend on how fast the machine is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class VirtualTime:
    """A clock (seconds) shared by a gateway and who waits for it."""

    seconds: float = 1000.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self.seconds += seconds
