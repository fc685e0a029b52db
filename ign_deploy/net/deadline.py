"""How long a transfer may take altogether, however lively the connection looks."""

from __future__ import annotations

from ign_deploy.errors import NetworkError
from ign_deploy.net.errors import host_of
from ign_deploy.net.retry import RetryPolicy

_BASE = 300.0
_SLOWEST = 100_000


def policy_for(size: int, policy: RetryPolicy | None) -> RetryPolicy:
    """Return the given policy, or one whose deadline suits so many bytes.

    That is five minutes, and 10 s more for each MB: all attempts together.
    """
    return RetryPolicy(deadline=_BASE + size / _SLOWEST) if policy is None else policy


class Deadline:
    """The end of a transfer: a server that drips bytes never stalls, but is cut off here."""

    def __init__(self, policy: RetryPolicy, *, url: str) -> None:
        self._policy = policy
        self._end = policy.clock() + policy.deadline
        self._host = host_of(url)

    def check(self) -> None:
        """Raise NetworkError, which isn't tried again, when the time is over."""
        if self._policy.clock() >= self._end:
            raise NetworkError(
                f"the transfer with {self._host} took longer than {self._policy.deadline:.0f} s",
                hint="check how fast the network and the server are, then run again.",
            )
