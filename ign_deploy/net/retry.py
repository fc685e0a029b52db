"""The one retry policy: what is tried again, how long all of it may take, and best effort."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeVar

from ign_deploy.errors import IgnDeployError, NetworkError
from ign_deploy.net.errors import (
    RETRY_AFTER_CAP,
    RateLimited,
    TransientFailure,
    TransientResponse,
    host_of,
)
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from tenacity import RetryCallState

Result = TypeVar("Result")

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)

BEST_EFFORT_SECONDS = 20.0
"""For all best-effort actions of a run together: they are done at the same time."""
_BASE = 300.0
_SLOWEST = 100_000
_PROGRESS = 1 << 20


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try: ``deadline`` bounds all attempts together, in seconds.

    Waits grow from ``first_wait`` by doubling, each between half and all of its bound, so that
    many jobs that failed together don't come back together. ``limit_wait`` is the first wait for a
    server that limits requests without saying for how long. ``clock`` counts seconds. Unless
    ``retries_timeouts``, a server that doesn't respond in time is given up at once.
    """

    attempts: int = 5
    deadline: float = _BASE
    first_wait: float = 0.5
    longest_wait: float = 30.0
    limit_wait: float = 60.0
    retries_timeouts: bool = True
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    @classmethod
    def for_size(cls, size: int) -> Self:
        """Return a policy for so many bytes: five minutes, and 10 s more for each MB."""
        return cls().extended_for(size)

    def extended_for(self, size: int) -> Self:
        """Return the policy with 10 s more for each MB of so many bytes."""
        return replace(self, deadline=self.deadline + size / _SLOWEST)

    def wait_before(self, attempt: int) -> float:
        """Return the seconds to wait before the given attempt (the second is number 2)."""
        bound = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 2))
        return bound * (0.5 + self.random() / 2)

    def wait_after(self, failure: BaseException | None, *, attempt: int) -> float:
        """Return the seconds to wait after the given attempt failed (the first is number 1).

        What a server requests is capped; but for one that limits requests, coming back early only
        prolongs it.
        """
        requested: float | None = getattr(failure, "retry_after", None)
        if isinstance(failure, RateLimited):
            return self.limit_wait * 2.0 ** (attempt - 1) if requested is None else requested
        if requested is None:
            return self.wait_before(attempt + 1)
        return max(0.0, min(requested, RETRY_AFTER_CAP))


QUICK = RetryPolicy(attempts=3, deadline=12.0, first_wait=0.5, longest_wait=4.0, limit_wait=2.0)
"""For notifications and metrics: the end of a run waits for them."""


class Deadline:
    """The end of a transfer: a server that drips bytes never stalls, but is cut off here."""

    def __init__(self, policy: RetryPolicy, *, url: str) -> None:
        self._policy = policy
        self._end = policy.clock() + policy.deadline
        self._host = host_of(url)

    def check(self) -> None:
        """Raise NetworkError, which isn't retried, once the deadline has passed."""
        if self._policy.clock() >= self._end:
            raise NetworkError(
                f"the transfer with {self._host} took longer than {self._policy.deadline:.0f} s",
                hint="check the speed of the network and the server, then run again.",
            )


@contextmanager
def checked_attempts(check: Callable[[], None]) -> Iterator[None]:
    """Within it, this thread calls ``check`` before each attempt; what that raises ends it all.

    For what a process that was suspended for long must not begin any more.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def begin_attempt() -> None:
    """Raise what ``checked_attempts`` says, right before something is sent."""
    if (check := _check.get()) is not None:
        check()


def retrying(
    action: Callable[[], Result],
    *,
    title: str,
    reporter: Reporter,
    policy: RetryPolicy | None = None,
    reached: Callable[[], int] = lambda: 0,
) -> Result:
    """Do ``action`` until it raises neither TransientResponse nor TransientFailure.

    ``action`` makes a whole new request each time, with a body read from its start; one that
    continues where it broke off says with ``reached`` how many bytes it has got, and only the
    attempts since it last got further count. Every further attempt is reported under ``title``.
    Raises the last failure when the attempts or the deadline are used up, and any other error at
    once.
    """
    from tenacity import Retrying, retry_if_exception

    rules = RetryPolicy() if policy is None else policy
    end = rules.clock() + rules.deadline
    attempts = _Attempts(reached)

    def attempt() -> Result:
        begin_attempt()
        return action()

    def may_pass(failure: BaseException) -> bool:
        is_timeout = isinstance(failure, TransientFailure) and failure.timed_out
        return isinstance(failure, (TransientResponse, TransientFailure)) and (
            rules.retries_timeouts or not is_timeout
        )

    def wait(state: RetryCallState) -> float:
        return rules.wait_after(_failure(state), attempt=attempts.in_vain(state.attempt_number))

    def stop(state: RetryCallState) -> bool:
        # ``upcoming_sleep`` is known here: no use in waiting for an attempt beyond the deadline.
        late = rules.clock() + state.upcoming_sleep >= end
        return late or attempts.in_vain(state.attempt_number) >= rules.attempts

    def report(state: RetryCallState) -> None:
        reporter.warning(
            f"{title}: {_failure(state)}; retrying in {state.upcoming_sleep:.1f} s "
            f"(attempt {attempts.in_vain(state.attempt_number) + 1} of {rules.attempts})"
        )

    return Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait,
        stop=stop,
        before_sleep=report,
        sleep=rules.sleep,
        reraise=True,
    )(attempt)


class _Attempts:
    """Counts the attempts since one got further, by enough that a server can't drip for ever."""

    def __init__(self, reached: Callable[[], int]) -> None:
        self._reached = reached
        self._furthest = reached()
        self._before = 0

    def in_vain(self, number: int) -> int:
        """Return how many attempts failed by now, from the last one that got further."""
        reached = self._reached()
        if reached >= self._furthest + _PROGRESS:
            self._furthest, self._before = reached, number - 1
        return number - self._before


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def best_effort(
    actions: Sequence[Callable[[], None]], *, deadline: float = BEST_EFFORT_SECONDS
) -> list[str]:
    """Do all actions at once; return for each what went wrong, nothing where it went well.

    Raises none of their errors. One that isn't done at the ``deadline`` (seconds) is abandoned.
    """
    problems: dict[int, str] = {}
    threads = [
        threading.Thread(target=_try, args=(action, index, problems), daemon=True)
        for index, action in enumerate(actions)
    ]
    end = time.monotonic() + deadline
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"timed out after {deadline:g} s; check that the host is reachable."
    return [
        problems.get(index, late if thread.is_alive() else "")
        for index, thread in enumerate(threads)
    ]


def _try(action: Callable[[], None], index: int, problems: dict[int, str]) -> None:
    try:
        action()
    except IgnDeployError as problem:
        problems[index] = "; ".join(part for part in (problem.message, problem.hint) if part)
    except Exception as problem:  # noqa: BLE001 - the work itself is done, and must not fail now
        problems[index] = f"{type(problem).__name__}, a bug in ign-deploy; please report it."
