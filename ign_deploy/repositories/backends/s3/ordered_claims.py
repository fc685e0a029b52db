"""Claims in a store that can't create an object only once: tickets, and a wait.

Everybody who wants to claim writes an object of his own below the claim's path, waits, and looks:
the oldest ticket, by the store's own time, is the claim. A writer that slept comes later and has a
later ticket, so his delay harms nobody. What has to hold is that the store shows within the wait
what it has taken, and that its servers' clocks differ by less; S3's times are whole seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from ign_deploy.repositories.backends.s3.client import S3Client

SETTLE = 3.0
"""Seconds that a ticket waits before it may win."""


class OrderedClaims:
    """OrderedClaims below paths; ``settle`` is the wait in seconds."""

    def __init__(self, calls: S3Client, *, settle: float, sleep: Callable[[float], None]) -> None:
        self._calls = calls
        self._settle = settle
        self._sleep = sleep

    def claim(self, path: str, data: bytes) -> bool:
        """Write the data unless somebody has; of several writers one gets True.

        False also in doubt; ``oldest`` then tells whose claim it is.
        """
        if self.oldest(path) is not None:
            return False
        ours = self._add(path, data)
        self._sleep(self._settle)
        return self.oldest(path) in ours

    def oldest(self, path: str) -> str | None:
        """Return the path of the oldest ticket; None without one."""
        return min(self._all(path), default=(None, None))[1]

    def remove(self, path: str) -> None:
        """Delete all tickets."""
        for _, ticket in self._all(path):
            self._calls.call("DeleteObject", ticket)

    def _add(self, path: str, data: bytes) -> list[str]:
        """Write a ticket. Each attempt has its own: one that arrives late must not replace ours."""
        written = [f"{path}/{secrets.token_hex(16)}"]
        self._calls.call("PutObject", written[0], body=data)
        return written

    def _all(self, path: str) -> list[tuple[str, str]]:
        return [
            (each.modified, f"{path}/{each.name}")
            for each in self._calls.entries(path)
            if not each.is_folder
        ]
