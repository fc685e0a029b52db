"""Tasks that run one at a time, and are switched only where they say so: every run is repeatable.

A task is a thread that waits for its turn. ``Turns.step`` is a point at which another may go on;
``sleep`` and a ``TurnLock`` wait in simulated time, which passes only here.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

TICK = 0.01
"""Seconds that a request takes."""


_LONGEST = 120.0
"""Seconds of real time after which tasks that wait for each other are given up."""


class Killed(BaseException):
    """The process would be dead now; nothing of ours catches it."""


class Stuck(AssertionError):
    """The tasks don't come to an end."""


class Ready(NamedTuple):
    """A task that can go on, and what it is about to do."""

    name: str
    label: str


Choice = Callable[[Sequence[Ready]], Ready]
"""Returns who is next, of those who can go on; the one who just went is the first, if it can."""


@dataclass
class _Task:
    name: str
    work: Callable[[], object]
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    steps: int = 0
    label: str = ""
    wakes_at: float | None = None
    waits_for: TurnLock | None = None
    is_over: bool = False
    result: object = None
    error: BaseException | None = None
    thread: int = 0


@dataclass
class Turns:
    """Hands the turn from task to task. ``clock`` is the simulated time, in seconds.

    ``kills`` are the steps, by task, at which it dies, ``deaths`` when it did; ``trace`` is what
    happened, in order.
    """

    choose: Choice
    limit: int = 4000
    kills: Mapping[str, int] = field(default_factory=dict)
    clock: float = 0.0
    deaths: dict[str, float] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    _tasks: dict[str, _Task] = field(default_factory=dict)
    _main: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _current: _Task | None = None
    _stuck: str = ""

    def run(self, works: Mapping[str, Callable[[], object]]) -> dict[str, object]:
        """Run the tasks to their ends; return what each returned or raised, by name.

        What isn't a task's death or its outcome (an assertion) is raised.
        """
        self._tasks = {name: _Task(name, work) for name, work in works.items()}
        threads = [
            threading.Thread(target=self._run, args=(task,), daemon=True)
            for task in self._tasks.values()
        ]
        for thread in threads:
            thread.start()
        self._pass_on(None)
        if not self._main.acquire(timeout=_LONGEST):
            raise Stuck("nobody has the turn: " + "\n".join(self.trace[-60:]))
        for thread in threads:
            thread.join(10)
        self._current = None
        if self._stuck:
            raise Stuck(f"{self._stuck}: " + "\n".join(self.trace[-60:]))
        for task in self._tasks.values():
            if isinstance(task.error, AssertionError):
                raise task.error
        return {name: task.error or task.result for name, task in self._tasks.items()}

    @property
    def steps(self) -> Mapping[str, int]:
        """How many steps each task made."""
        return {name: task.steps for name, task in self._tasks.items()}

    def is_over(self, name: str) -> bool:
        """Return whether a task has ended."""
        return self._tasks[name].is_over

    def step(self, label: str) -> None:
        """Let another task go on, or the same; outside a task nothing happens."""
        task = self._current
        if task is None:
            return
        # Another thread would take the turn of a task that goes on, and none would ever be next.
        assert threading.get_ident() == task.thread, f"{label} in a thread without a turn"
        task.steps += 1
        task.label = label
        self.clock += TICK
        if self.kills.get(task.name) == task.steps:
            self.deaths[task.name] = self.clock
            self.trace.append(f"{task.name} is killed before: {label}")
            raise Killed
        self._yield(task)
        self.trace.append(f"{task.name} {task.steps}: {label}")
        if len(self.trace) > self.limit:
            self._stuck = "too many steps"
            raise Stuck

    def sleep(self, seconds: float) -> None:
        """Wait in simulated time."""
        if seconds and (task := self._current) is not None:
            task.wakes_at = self.clock + seconds
            self._yield(task)

    def wait_for(self, lock: TurnLock) -> None:
        """Wait until a lock is free."""
        if (task := self._current) is not None:
            task.waits_for = lock
            self._yield(task)

    def _yield(self, task: _Task) -> None:
        if self._pass_on(task) is not task:
            task.turn.acquire()
        if self._stuck:
            raise Stuck

    def _pass_on(self, last: _Task | None) -> _Task | None:
        found = self._next(last)
        self._current = found
        if found is None:
            self._main.release()
        else:
            found.wakes_at = found.waits_for = None
            if found is not last:
                found.turn.release()
        return found

    def _next(self, last: _Task | None) -> _Task | None:
        living = [task for task in self._tasks.values() if not task.is_over]
        if not living:
            return None
        if self._stuck:
            return living[0]
        free = [task for task in living if task.waits_for is None or not task.waits_for.is_held]
        ready = [task for task in free if (task.wakes_at or 0.0) <= self.clock]
        if not ready:
            if not free:
                self._stuck = "a deadlock"
                return living[0]
            first = min(free, key=lambda task: task.wakes_at or 0.0)
            self.clock = max(self.clock, first.wakes_at or 0.0)
            ready = [first]
        ready.sort(key=lambda task: task is not last)
        return self._tasks[self.choose([Ready(task.name, task.label) for task in ready]).name]

    def _run(self, task: _Task) -> None:
        task.thread = threading.get_ident()
        task.turn.acquire()
        try:
            if not self._stuck:
                task.result = task.work()
        except BaseException as problem:  # noqa: BLE001 - looked at by the caller of run
            task.error = problem
        task.is_over = True
        self._pass_on(task)


@dataclass
class TurnLock:
    """A lock among tasks; see ``threading.Lock``."""

    turns: Turns
    is_held: bool = False

    def __enter__(self) -> None:
        while self.is_held:
            self.turns.wait_for(self)
        self.is_held = True

    def __exit__(self, *_: Any) -> None:
        self.is_held = False


def at_random(seed: int) -> Choice:
    """Return a choice that is the same for the same seed: of one of three kinds."""
    chance = random.Random(seed)
    kind = seed % 3
    if kind == 0:
        return chance.choice
    if kind == 1:
        return lambda ready: ready[0] if chance.random() < 0.85 else chance.choice(ready)
    return _by_rank(chance)


def _by_rank(chance: random.Random) -> Choice:
    """Return a choice by rank; at a few steps the first loses its rank: few switches, late ones."""
    ranks: dict[str, float] = {}
    changes = {chance.randrange(150) for _ in range(chance.randrange(2, 9))}
    step = 0

    def choose(ready: Sequence[Ready]) -> Ready:
        nonlocal step
        step += 1
        for each in ready:
            ranks.setdefault(each.name, chance.random())
        best = max(ready, key=lambda each: ranks[each.name])
        if step in changes:
            ranks[best.name] = -chance.random() - step
            best = max(ready, key=lambda each: ranks[each.name])
        return best

    return choose


def scripted(*script: tuple[str, str]) -> Choice:
    """Return a choice by a script: who goes on, until it is about to do what begins so.

    An empty text: until it ends, or can't go on. After the script, whoever can.
    """
    rest, has_begun = list(script), False

    def choose(ready: Sequence[Ready]) -> Ready:
        nonlocal has_begun
        while rest:
            name, until = rest[0]
            found = next((each for each in ready if each.name == name), None)
            is_there = has_begun and until and found is not None and found.label.startswith(until)
            if found is not None and not is_there:
                has_begun = True
                return found
            rest.pop(0)
            has_begun = False
        return ready[0]

    return choose
