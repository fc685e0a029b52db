"""What transfers are given in tests: waits that take no time, and a counter."""

from __future__ import annotations

from dataclasses import dataclass, field

from ign_deploy.net.retry import RetryPolicy


@dataclass
class FakeTime:
    """A clock that only sleeping moves, or a test."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Remember the wait, and be done with it."""
        self.slept.append(seconds)
        self.now += seconds

    def policy(self, *, attempts: int = 5, deadline: float = 300.0) -> RetryPolicy:
        """Return a policy by this clock, with the longest waits."""
        return RetryPolicy(
            attempts=attempts,
            deadline=deadline,
            sleep=self.sleep,
            clock=lambda: self.now,
            random=lambda: 1.0,
        )


class Counter:
    """A progress display: ``done`` is its state, ``least`` and ``most`` its extremes."""

    def __init__(self) -> None:
        self.done = 0
        self.least = 0
        self.most = 0

    def __call__(self, advance: int) -> None:
        """Move, forwards or back."""
        self.done += advance
        self.least = min(self.least, self.done)
        self.most = max(self.most, self.done)
