"""Claims in a store that can't create an object only once: the oldest of several wins.

Every writer writes an object of its own below the claim's path, waits, and lists them: the oldest,
by the store's own time, is the claim. A writer that was suspended comes later and has a later one,
so its delay does no harm. What has to hold is that the store lists within the wait what it has
accepted, and that its servers' clocks differ by less; S3's times are whole seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.repositories.backends.s3.client import S3Client

WAIT = 3.0
"""Seconds before the oldest claim wins."""
_ONCE = RetryPolicy(attempts=1)


class OrderedClaims:
    """Claims by path; ``wait`` is in seconds."""

    def __init__(self, client: S3Client, *, wait: float, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._wait = wait
        self._sleep = sleep

    def claim(self, path: str, data: bytes) -> bool:
        """Write the data unless there is a claim; of several writers one gets True.

        False also when in doubt; ``oldest`` then says whose claim it is.
        """
        if self.oldest(path) is not None:
            return False
        ours = self._write(path, data)
        self._sleep(self._wait)
        return self.oldest(path) in ours

    def oldest(self, path: str) -> str | None:
        """Return the path of the oldest object; None without one."""
        return min(self._all(path), default=(None, None))[1]

    def remove(self, path: str) -> bool:
        """Delete all of them; return whether there was one."""
        found = self._all(path)
        for _, each in found:
            self._client.call("DeleteObject", each)
        return bool(found)

    def _write(self, path: str, data: bytes) -> list[str]:
        """Write an object, at each attempt another: one that arrives late must not replace ours."""
        written: list[str] = []

        def attempt() -> None:
            written.append(f"{path}/{secrets.token_hex(16)}")
            self._client.call("PutObject", written[-1], body=data, retry=_ONCE)

        retrying(attempt, title="claiming the version", reporter=self._client.reporter)
        return written

    def _all(self, path: str) -> list[tuple[str, str]]:
        return [
            (each.modified, f"{path}/{each.name}")
            for each in self._client.entries(path)
            if not each.is_folder
        ]
