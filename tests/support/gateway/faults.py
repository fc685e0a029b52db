"""Faults on request: connections cut around the n-th request, answers put in its place."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum


class Cut(Enum):
    """Where a connection is cut: before the request is done, after it, or inside its answer."""

    BEFORE = "before"
    AFTER = "after"
    MIDDLE = "middle"


@dataclass(frozen=True)
class Canned:
    """An answer that is given instead of the gateway's own; nothing is done then."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class _Rule:
    fault: Cut | Canned
    method: str
    path: str
    first: int
    times: int
    seen: int = 0

    def hits(self, method: str, path: str) -> bool:
        if self.method not in ("", method) or not path.endswith(self.path):
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


@dataclass
class Faults:
    """The faults of one gateway; requests are counted from when a fault was asked for."""

    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(
        self, when: Cut, *, nth: int = 1, times: int = 1, method: str = "", path: str = ""
    ) -> None:
        """Cut the connection of the ``nth`` request (1 is the next) with that path's end."""
        self._add(_Rule(when, method, path, nth, times))

    def answer(
        self, canned: Canned, *, nth: int = 1, times: int = 1, method: str = "", path: str = ""
    ) -> None:
        """Give that answer instead."""
        self._add(_Rule(canned, method, path, nth, times))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._rules.clear()

    def for_request(self, method: str, path: str) -> Cut | Canned | None:
        """Count the request; return what goes wrong with it."""
        with self._lock:
            hits = [rule.fault for rule in self._rules if rule.hits(method, path)]
        return hits[0] if hits else None

    def _add(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)
