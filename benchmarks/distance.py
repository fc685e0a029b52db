"""A distant server: a delaying proxy in front of it, in its own process.

In this process, its threads would share the interpreter with what is measured.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.fault_proxy import fault_proxy

ROUND_TRIP = 0.020


class Distance:
    """The proxy: at ``url``, the server has a round trip of ROUND_TRIP seconds."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._read_line()

    def requests(self) -> int:
        """Return the number of requests since the last call."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._read_line())

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def distance(server: str) -> Iterator[Distance]:
    """Run the proxy for the server at this URL; it stops at the end of its input."""
    command = [sys.executable, "-m", "benchmarks.distance", server]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Distance(process)


def main() -> None:
    """Run the proxy: print its URL, then, for each line read, the number of new requests."""
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
