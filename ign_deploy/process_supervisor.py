"""Runs as a script between us and an external command, and ends every process that it leaves.

It is a program of its own because "child subreaper" is a property of a whole process: each process
that loses its parent becomes a child of this one and no other, so commands that run side by side
can't be confused. It dies with the process that started it, and ends the command then, too.

Usage: process_supervisor.py PARENT_PID GRACE_SECONDS RIGHTS COMMAND [ARGUMENT…]. RIGHTS is
``UID:GID`` to run the command as that user, without any capability; ``same`` to run it as we are;
``any`` to let it gain privileges, too (sudo). The exit code is the command's, 128 + n after signal
n. When something of the command can't be ended, the supervisor dies of SIGKILL: a caller that sees
it die of any signal can't rely on anything. Linux only (prctl(2), /proc).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

# prctl(2), <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
# capset(2), <linux/capability.h>
_CAPABILITY_VERSION_3 = 0x20080522

SAME, ANY = "same", "any"
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Python ignores them; the command must not.
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)
# Seconds to wait for processes that can't be killed (stuck on a dead disk).
_KILL_TIMEOUT = 10.0
# A process that has been sent SIGSTOP takes a moment to stop; one that waits for a disk doesn't.
_FREEZE_TIMEOUT = 1.0


class _Stop(BaseException):
    """A stop signal arrived."""


def supervise(arguments: list[str]) -> int:
    """Run the command and return its exit code when nothing of it is left."""
    parent, grace, rights = int(arguments[0]), float(arguments[1]), arguments[2]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # A command that runs as the same user must not make us do its work (ptrace).
    _prctl(PR_SET_DUMPABLE, 0)
    for number in _STOP_SIGNALS:
        signal.signal(number, _raise_stop)
    try:
        if os.getppid() != parent:  # it died before the death signal was set up
            return 128 + signal.SIGTERM
        code = _run(arguments[3:], rights)
    except _Stop:
        code = 128 + signal.SIGTERM
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if not end_descendants(grace):
        os.kill(os.getpid(), signal.SIGKILL)
    return code


def descendants(root: int) -> list[int]:
    """Return the living processes below ``root``, nearest first, by /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, parent = _state(int(name))
            if state not in _DEAD:
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(root, ()))
    for process in found:  # grows while it is walked
        found += children.get(process, ())
    return found


def end_descendants(grace: float) -> bool:
    """End everything below this process, reap it, and return whether nothing is left.

    TERM first; what is left after ``grace`` seconds is frozen, and killed only then: a process that
    keeps forking, or watches another one to start it again, gets no moment to do so.
    """
    # The kernel reaps what dies from now on: processes may die faster than we could.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    asked: set[int] = set()
    deadline = time.monotonic() + grace
    while _has_children() and time.monotonic() < deadline:
        alive = descendants(os.getpid())
        _send(signal.SIGTERM, [process for process in alive if process not in asked])
        asked.update(alive)
        time.sleep(0.02)
    deadline = time.monotonic() + _KILL_TIMEOUT
    while _has_children() and time.monotonic() < deadline:
        _send(signal.SIGKILL, _freeze())
        time.sleep(0.005)
    return not _has_children()


def _freeze() -> list[int]:
    """Stop everything below this process, until all of it stands still; return what is there."""
    deadline = time.monotonic() + _FREEZE_TIMEOUT
    while True:
        # Orphans come to us, and processes that fork and exit in a row are orphans all the time:
        # the kernel's list of our own children is read a hundred times faster than all of /proc.
        for _ in range(20):
            _send(signal.SIGSTOP, _own_children())
        found = descendants(os.getpid())
        moving = [process for process in found if _state(process)[0] not in _STILL]
        if not moving or time.monotonic() > deadline:
            return found
        _send(signal.SIGSTOP, moving)


def _run(command: list[str], rights: str) -> int:
    """Start the command and wait for it, reaping the orphans that come to us."""
    child = os.fork()
    if child == 0:
        _become(command, rights)
    while True:
        process, status = os.waitpid(-1, 0)
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _become(command: list[str], rights: str) -> NoReturn:
    """Replace this process by the command; ends with 127 when it can't be started."""
    try:
        for number in (*_DEFAULT_SIGNALS, *_STOP_SIGNALS):
            signal.signal(number, signal.SIG_DFL)
        if rights not in (SAME, ANY):
            user, _, group = rights.partition(":")
            drop_rights(int(user), int(group))
        if rights != ANY:
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
        os.execvp(command[0], command)  # noqa: S606 - no shell, on purpose
    except OSError as cause:
        sys.stderr.write(f"cannot start {command[0]}: {cause.strerror}\n")
        sys.stderr.flush()
    except BaseException as cause:  # noqa: BLE001 - a copy of the supervisor must not go on
        sys.stderr.write(f"cannot start {command[0]}: {cause!r}\n")
        sys.stderr.flush()
    os._exit(127)


def drop_rights(user: int, group: int) -> None:
    """Become that user for good: no other group, no capability, and none to be gained."""
    for capability in range(64):
        if _library().prctl(PR_CAPBSET_READ, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # the kernel knows no more
        _prctl(PR_CAPBSET_DROP, capability)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)  # empties the effective, permitted and ambient sets
    if (os.getresuid(), os.getresgid()) != ((user,) * 3, (group,) * 3):  # -1 changes nothing
        raise OSError(errno.EINVAL, f"cannot become {user}:{group}")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    empty = (ctypes.c_uint32 * 6)()
    if _library().capset(header, empty) != 0:  # the inheritable set
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _raise_stop(number: int, frame: FrameType | None) -> NoReturn:
    # Once is enough: a second signal must not interrupt the cleanup.
    for each in _STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Stop(number, frame)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _library().prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


_DEAD = (b"Z", b"X", b"")
_STILL = (b"T", b"t", *_DEAD)


def _state(process: int) -> tuple[bytes, int]:
    """Return the state of a process and its parent; an empty state when it is gone."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return b"", 0
    # proc(5): "pid (comm) state ppid …"; comm may hold anything, also parentheses.
    state, parent = stat.rpartition(b")")[2].split()[:2]
    return state, int(parent)


def _own_children() -> list[int]:
    """Return our children, also dead ones; none where the kernel doesn't list them."""
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_bytes()
    except OSError:
        return []
    return [int(process) for process in listed.split()]


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
