"""Work at a run's side that may neither fail it nor hold it up: telling others about it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from ign_deploy.errors import IgnDeployError

DEADLINE = 20.0
"""Seconds, for all actions together: they are done at the same time."""


def do_aside(actions: Sequence[Callable[[], None]], *, deadline: float = DEADLINE) -> list[str]:
    """Do all actions at once; return for each what went wrong, nothing where it went well.

    Raises none of their errors. One that isn't done at the ``deadline`` (seconds) is left behind.
    """
    problems: dict[int, str] = {}
    threads = [
        threading.Thread(target=_do, args=(action, index, problems), daemon=True)
        for index, action in enumerate(actions)
    ]
    end = time.monotonic() + deadline
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"it wasn't done after {deadline:g} s; check that the host can be reached."
    return [
        problems.get(index, late if thread.is_alive() else "")
        for index, thread in enumerate(threads)
    ]


def _do(action: Callable[[], None], index: int, problems: dict[int, str]) -> None:
    try:
        action()
    except IgnDeployError as problem:
        problems[index] = "; ".join(part for part in (problem.message, problem.hint) if part)
    except Exception as problem:  # noqa: BLE001 - what it tells about is done, and must not fail now
        problems[index] = f"{type(problem).__name__}, a bug in ign-deploy; please report it."
