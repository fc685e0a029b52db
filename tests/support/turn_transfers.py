"""Uploads that take simulated time: the claim is renewed meanwhile, unless the run is suspended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ign_deploy.net.retry import begin_attempt
from ign_deploy.report import Progress
from ign_deploy.repositories.renewal import Renewal
from tests.support.interleaving import Turns

_INTERVAL = 40.0
_kept = threading.local()


@dataclass
class Transfer:
    """How long an upload takes, and how long its run is then suspended, once, in seconds."""

    seconds: float = 0.0
    suspended: float = 0.0

    def run(self, turns: Turns, *, size: int, progress: Progress) -> None:
        """Send the bytes; what they do in the store comes afterwards."""
        begin_attempt()
        renewal: Renewal | None = getattr(_kept, "renewal", None)
        for _ in range(int(self.seconds // _INTERVAL)):
            turns.sleep(_INTERVAL)
            if renewal is not None and not renewal.problem:
                renewal.renew()
            progress(1)
        suspended, self.suspended = self.suspended, 0.0
        turns.sleep(suspended)
        progress(size)


@contextmanager
def kept_in_turn(renewal: Renewal) -> Iterator[None]:
    """See ``Renewal.kept``: without a thread, which would have no turn."""
    _kept.renewal = renewal
    try:
        yield
    finally:
        del _kept.renewal
