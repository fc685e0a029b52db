"""`python -m benchmarks.container IMAGE`: container startup with ign-deploy and with bare Python.

Runs pairs of one container each; needs podman and a local image.
"""

from __future__ import annotations

import os
import sys

from benchmarks.measure import Row, Run, in_turn, median, print_table, ratio, run

_ROUNDS = 11
_LIMIT = 2.0
_PYTHON = "/opt/ign-deploy/bin/python"
_RUN = ("podman", "run", "--rm", "--passwd=false", "--network", "none")


def measure_containers(image: str) -> Row:
    """Return how many times longer `--version` takes than `python -c pass`, median of pairs."""

    def job(*arguments: str) -> Run:
        return run((*_RUN, *arguments), env=dict(os.environ))

    runs = in_turn(
        {
            "ours": lambda: job(image, "--version"),
            "python": lambda: job("--entrypoint", _PYTHON, image, "-c", "pass"),
        },
        rounds=_ROUNDS,
    )
    found = ratio(runs, "ours", "python")
    seconds = {name: median(each, lambda one: one.wall) for name, each in runs.items()}
    return Row(
        "container start, `--version` / `python -c pass`",
        f"{found:.2f} x ({seconds['ours']:.2f} s / {seconds['python']:.2f} s)",
        f"<= {_LIMIT:g} x",
        found <= _LIMIT,
    )


if __name__ == "__main__":
    row = measure_containers(sys.argv[1])
    print_table([row])
    sys.exit(not row.holds)
