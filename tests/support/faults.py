"""What a fault proxy does to the traffic: its rules, which tests change while it runs."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AnswerInstead:
    """Read the request, give this answer, and don't forward anything."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class CutRequest:
    """Forward this many bytes of the request's body, then break both connections."""

    after: int


@dataclass(frozen=True)
class CutAnswer:
    """Hand on this many bytes of the answer's body, then break the client's connection.

    With ``reset`` the client sees a reset, else an early end.
    """

    after: int
    reset: bool = True


@dataclass(frozen=True)
class LoseAnswer:
    """Forward the request, wait for the whole answer, then reset the client's connection."""


@dataclass(frozen=True)
class FlipByte:
    """Change all bits of one byte of the answer's body, counted from 0."""

    offset: int


@dataclass(frozen=True)
class Truncate:
    """Hand on only the first bytes of the answer's body, as if that were all of it."""

    keep: int


Fault = AnswerInstead | CutRequest | CutAnswer | LoseAnswer | FlipByte | Truncate


@dataclass(frozen=True)
class SeenRequest:
    """A request that reached the proxy; ``path`` has the query."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Rule:
    """A fault, and which requests it is for; ``hits`` counts those it was applied to."""

    fault: Fault
    method: str | None
    path: str
    nth: int | None
    times: int | None
    header: str = ""
    matched: int = 0
    hits: int = 0

    def claims(self, request: SeenRequest) -> bool:
        """Whether this request is to get the fault; counts it."""
        if self.method not in (None, request.method) or not re.search(self.path, request.path):
            return False
        lines = [f"{name.lower()}: {value}" for name, value in request.headers]
        if self.header and not any(re.match(self.header, line) for line in lines):
            return False
        self.matched += 1
        due = self.matched >= (self.nth or 1) and (self.times is None or self.hits < self.times)
        self.hits += due
        return due


class Link:
    """One direction of the network: a delay, and a bandwidth that all connections share."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.bandwidth: float | None = None
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait_delay(self) -> None:
        """Wait as long as the first byte of a message is under way."""
        if self.delay:
            time.sleep(self.delay)

    def wait_bandwidth(self, size: int) -> None:
        """Wait until so many bytes have passed."""
        bandwidth = self.bandwidth
        if not bandwidth:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size / bandwidth
            wait = self._free_at - now
        time.sleep(wait)


class Rules:
    """What the proxy does; tests change it at any time.

    ``to_server.delay`` and ``to_client.delay`` are in seconds and hold once per message: together
    they are the round trip, which opening a connection costs too. ``bandwidth`` is in bytes per
    second, None without a limit. ``requests`` are those that arrived, in order.
    """

    def __init__(self) -> None:
        self.to_server = Link()
        self.to_client = Link()
        self.connections = 0
        self._rules: list[Rule] = []
        self._requests: list[SeenRequest] = []
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str = "",
        nth: int | None = None,
        times: int | None = 1,
        header: str = "",
    ) -> Rule:
        """Give a fault to requests of this method whose path matches (``re.search``).

        With ``header``, one of its headers has to match as well (``re.match``, ``name: value``
        with a lower-case name).

        It begins with the ``nth`` of them (from 1, counted from now) and hits ``times`` requests,
        all with None. Of several rules for a request the first added holds; the others don't
        count it.
        """
        rule = Rule(fault, method, path, nth=nth, times=times, header=header)
        with self._lock:
            self._rules.append(rule)
        return rule

    def set_round_trip(self, seconds: float) -> None:
        """Let a round trip take so long, half of it in each direction."""
        self.to_server.delay = self.to_client.delay = seconds / 2

    def clear(self) -> None:
        """Forget faults, delays, limits and counts."""
        with self._lock:
            self._rules.clear()
            self._requests.clear()
            self.connections = 0
        for link in (self.to_server, self.to_client):
            link.delay, link.bandwidth = 0.0, None

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests that have arrived so far."""
        with self._lock:
            return list(self._requests)

    def count(self, method: str | None = None, path: str = "") -> int:
        """Return how many requests of this method and path (``re.search``) have arrived."""
        return sum(
            method in (None, request.method) and bool(re.search(path, request.path))
            for request in self.requests
        )

    def fault_for(self, request: SeenRequest) -> Fault | None:
        """Count the request, and return what is to happen to it."""
        with self._lock:
            self._requests.append(request)
            rule = next((rule for rule in self._rules if rule.claims(request)), None)
        return rule.fault if rule else None

    def count_connection(self) -> None:
        """Count a connection of a client."""
        with self._lock:
            self.connections += 1
