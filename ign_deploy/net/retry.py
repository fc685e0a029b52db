"""The one retry policy: what is tried again, how often, how long to wait, and when to stop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ign_deploy.net.errors import RETRY_AFTER_CAP, TransientAnswer, TransientFailure
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from tenacity import RetryCallState

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try: ``deadline`` bounds all attempts together, in seconds.

    Waits grow from ``first_wait`` by doubling, each between half and all of its bound, so that
    many jobs that failed together don't come back together. ``clock`` counts seconds.
    """

    attempts: int = 5
    deadline: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def wait_before(self, attempt: int) -> float:
        """Return the seconds to wait before the given attempt (the second is number 2)."""
        bound = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 2))
        return bound * (0.5 + self.random() / 2)


def retrying(
    action: Callable[[], Result],
    *,
    title: str,
    reporter: Reporter,
    policy: RetryPolicy | None = None,
) -> Result:
    """Do ``action`` until it neither raises TransientAnswer nor TransientFailure.

    ``action`` makes a whole new request each time, with a body read from its start. Every further
    attempt is reported under ``title``. Raises the last failure when the attempts or the deadline
    are used up, and any other error at once.
    """
    from tenacity import Retrying, retry_if_exception_type

    rules = RetryPolicy() if policy is None else policy
    end = rules.clock() + rules.deadline

    def wait(state: RetryCallState) -> float:
        asked = getattr(_failure(state), "retry_after", None)
        own = rules.wait_before(state.attempt_number + 1)
        return own if asked is None else max(0.0, min(asked, RETRY_AFTER_CAP))

    def stop(state: RetryCallState) -> bool:
        # ``upcoming_sleep`` is known here: no use in waiting for an attempt beyond the deadline.
        late = rules.clock() + state.upcoming_sleep >= end
        return late or state.attempt_number >= rules.attempts

    def tell(state: RetryCallState) -> None:
        reporter.warning(
            f"{title}: {_failure(state)}; attempt {state.attempt_number + 1} of "
            f"{rules.attempts} in {state.upcoming_sleep:.1f} s"
        )

    return Retrying(
        retry=retry_if_exception_type((TransientAnswer, TransientFailure)),
        wait=wait,
        stop=stop,
        before_sleep=tell,
        sleep=rules.sleep,
        reraise=True,
    )(action)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
