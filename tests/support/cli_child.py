"""Runs the command line in this process, under conditions that only the process itself can make.

Usage: cli_child.py JSON ARGUMENT…; the JSON object may hold ``file_size`` (no file can grow beyond
so many bytes: writing fails as on a full disk, or, with ``fatal``, kills the process in the
middle), ``kill_at`` and ``below`` (SIGKILL just before the n-th change of names or opening of a
file below a folder), and ``powerless`` (root loses its right to ignore file permissions).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_EVENTS = frozenset({"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link"})


def main() -> None:
    conditions: dict[str, Any] = json.loads(sys.argv[1])
    if conditions.pop("powerless", False):
        _start_again_without_power(conditions)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from ign_deploy.__main__ import run

    if "kill_at" in conditions:
        _kill_at(int(conditions["kill_at"]), str(conditions["below"]))
    if "file_size" in conditions:
        if conditions.get("fatal"):
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(conditions["file_size"]),) * 2)
    sys.argv = ["ign-deploy", *sys.argv[2:]]
    run()


def _start_again_without_power(conditions: dict[str, Any]) -> None:
    """What the bounding set lacks, root doesn't get back when it starts a program."""
    library = ctypes.CDLL(None)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        library.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    command = [sys.executable, "-I", __file__, json.dumps(conditions), *sys.argv[2:]]
    os.execv(sys.executable, command)


def _kill_at(step: int, below: str) -> None:
    left = step
    below = str(Path(below).absolute())

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        name = arguments[0] if event in _EVENTS else None
        if isinstance(name, str) and str(Path(name).absolute()).startswith(below):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    main()
