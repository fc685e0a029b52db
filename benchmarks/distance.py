"""A server far away: our delaying proxy before it, in a process of its own.

In ours, its threads would share an interpreter with what is measured.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fault_proxy import fault_proxy

ROUND_TRIP = 0.020


class Distance:
    """The proxy: ``url`` is where the server is reached at a distance of ROUND_TRIP seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._answer()

    def requests(self) -> int:
        """Return how many requests have passed since this was asked last."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def distance(server: str) -> Iterator[Distance]:
    """Put the proxy before the server at this URL; it ends with its input."""
    command = [sys.executable, "-m", "benchmarks.distance", server]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Distance(process)


def main() -> None:
    """Run the proxy: say where it is, then, for each line read, how many requests passed."""
    with fault_proxy(sys.argv[1]) as proxy:
        proxy.rules.set_round_trip(ROUND_TRIP)
        print(proxy.url, flush=True)
        seen = 0
        for _ in sys.stdin:
            count = len(proxy.rules.requests)
            print(count - seen, flush=True)
            seen = count


if __name__ == "__main__":
    main()
