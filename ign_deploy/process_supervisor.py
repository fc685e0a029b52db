"""Runs as a script between us and an external command, and ends every process that it leaves.

It is a program of its own because "child subreaper" is a property of a whole process: each process
that loses its parent becomes a child of this one and no other, so commands that run side by side
can't be confused. It dies with the process that started it, and ends the command then, too.

Usage: process_supervisor.py PARENT_PID GRACE_SECONDS COMMAND [ARGUMENT…]. Its exit code is the
command's, 128 + n after signal n. Linux only (prctl(2), /proc).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

# prctl(2), <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Seconds to wait for processes that can't be killed (stuck on a dead disk).
_KILL_TIMEOUT = 10.0


class _Stop(BaseException):
    """A stop signal arrived."""


def supervise(arguments: list[str]) -> int:
    """Run the command and return its exit code when nothing of it is left."""
    parent, grace, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in _STOP_SIGNALS:
        signal.signal(number, _raise_stop)
    try:
        if os.getppid() != parent:  # it died before the death signal was set up
            return 128 + signal.SIGTERM
        code = _run(command)
    except _Stop:
        code = 128 + signal.SIGTERM
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_descendants(grace)
    return code


def descendants(root: int) -> list[int]:
    """Return the living processes below ``root``, nearest first, by /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parent = _living_parent(int(name))
            if parent is not None:
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(root, ()))
    for process in found:  # grows while it is walked
        found += children.get(process, ())
    return found


def end_descendants(grace: float) -> None:
    """Send TERM to everything below this process, KILL after ``grace`` seconds; reap it all."""
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while _has_children() and time.monotonic() < deadline:
        alive = descendants(os.getpid())
        _send(signal.SIGTERM, [process for process in alive if process not in asked])
        asked.update(alive)
        time.sleep(0.02)
    deadline = time.monotonic() + _KILL_TIMEOUT
    while _has_children() and time.monotonic() < deadline:
        _send(signal.SIGKILL, descendants(os.getpid()))
        time.sleep(0.02)


def _run(command: list[str]) -> int:
    """Start the command and wait for it, reaping the orphans that come to us."""
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores them; the command must not
    try:
        child = os.posix_spawnp(command[0], command, os.environ, setsigdef=defaults)
    except OSError as cause:
        sys.stderr.write(f"cannot start {command[0]}: {cause.strerror}\n")
        return 127
    while True:
        process, status = os.waitpid(-1, 0)
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    # Once is enough: a second signal must not interrupt the cleanup.
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Stop(number, frame)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def _living_parent(process: int) -> int | None:
    """Return the parent of a process; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): "pid (comm) state ppid …"; comm may hold anything, also parentheses.
    state, parent = stat.rpartition(b")")[2].split()[:2]
    return None if state in (b"Z", b"X") else int(parent)


def _has_children() -> bool:
    """Reap what is dead; return whether anything is left.

    Every orphan below a subreaper becomes its child, so no child means no descendant, not even one
    whose threads are still ending, which /proc shows as a zombie already.
    """
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _send(number: signal.Signals, processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, number)
        except OSError:  # gone, or another user's
            continue


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
