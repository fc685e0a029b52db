"""Measure whole processes: wall time, CPU time and peak memory, as counted by the kernel."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: wall and CPU time in seconds, peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Run:
    """Run a command to its end; raises RuntimeError when it fails."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        capture_output=True,
        check=False,
        env=env,
        cwd=cwd,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    wall, cpu, peak = done.stdout.split()
    return Run(float(wall), float(cpu), int(peak))


# A child's peak memory includes the time before its exec, when it was a copy of its parent. So the
# parent must be small, which this process is not.
_LAUNCHER = """
import os, sys, time
sink = os.open(os.devnull, os.O_WRONLY)
begin = time.perf_counter()
child = os.posix_spawnp(
    sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, sink, 1)]
)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begin
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    """Return the median of one figure."""
    return statistics.median(figure(each) for each in runs)


def in_turn(jobs: Mapping[str, Callable[[], Run]], *, rounds: int) -> dict[str, list[Run]]:
    """Run the jobs in turn, round by round, so that a drifting machine affects all alike.

    A first, uncounted round warms the page cache and the byte code cache.
    """
    found: dict[str, list[Run]] = {name: [] for name in jobs}
    for round_number in range(rounds + 1):
        for name, job in jobs.items():
            result = job()
            if round_number:
                found[name].append(result)
    return found


def ratio(runs: Mapping[str, Sequence[Run]], one: str, other: str) -> float:
    """Return the median of the wall time ratios, pair by pair."""
    return statistics.median(a.wall / b.wall for a, b in zip(runs[one], runs[other], strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the result: what was measured, the limit, and whether it holds."""

    what: str
    measured: str
    limit: str
    holds: bool


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as aligned columns."""
    cells = [("measured", "value", "limit", "")]
    cells += [(row.what, row.measured, row.limit, "ok" if row.holds else "MISSED") for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    for line in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
