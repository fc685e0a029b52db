"""Server processes: found, started in a session of their own, awaited, and stopped as a group."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

# Below the range from which Linux takes ports for outgoing connections (32768 and up), so that
# no client of another test can take a port between its choice and the server's start.
_PORTS = range(15000, 32000)
# How long a server may take until it answers, on a busy machine.
START_SECONDS = 60.0
_STOP_SECONDS = 10.0
# Daemons live in sbin, which isn't on everybody's PATH.
_SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


class ServerProblem(AssertionError):
    """A server is missing or didn't start; its message says what to do, or holds its output."""


@dataclass(frozen=True)
class Credentials:
    """A user of a server."""

    username: str
    password: str

    @property
    def sha_line(self) -> str:
        """Return the user's line of a password file that nginx and Apache read."""
        digest = hashlib.sha1(self.password.encode(), usedforsecurity=False).digest()
        return f"{self.username}:{{SHA}}{base64.b64encode(digest).decode()}\n"


@dataclass(frozen=True)
class WebServer:
    """A running server; ``root`` is what it serves or stores, ``ca_file`` what its TLS needs."""

    url: str
    version: str
    root: Path
    credentials: Credentials | None = None
    token: str | None = None
    ca_file: Path | None = None


def find_program(name: str, *, packages: str) -> str:
    """Return the path of a program; without it, fail with the Debian packages that have it."""
    path = shutil.which(name, path=_SEARCH)
    if path is None:
        raise ServerProblem(
            f"{name} is missing; run: tools/setup.sh tests (or: apt-get install {packages})"
        )
    return path


def require_file(path: Path, *, packages: str) -> Path:
    """Return the path of a part of a server; without it, fail with its Debian packages."""
    if not path.exists():
        raise ServerProblem(
            f"{path} is missing; run: tools/setup.sh tests (or: apt-get install {packages})"
        )
    return path


def output_of(*command: str) -> str:
    """Return what a program prints about itself, on whichever stream."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip()


def free_port() -> int:
    """Return a port on loopback that is free and that no client will be given."""
    chooser = random.SystemRandom()
    while True:
        port = chooser.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise
            else:
                return port


@contextmanager
def running(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server from its start to its end.

    Its output goes to ``<name>.log`` in the folder. Starts when ``ready`` says so; fails with
    the end of that output if it doesn't within a minute.
    """
    log = folder / f"{name}.log"
    variables = {"PATH": _SEARCH, "LANG": "C.UTF-8", "HOME": str(folder), **(env or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, ready=ready, log=log)
        yield process
    finally:
        _stop(process, stop_signal)


def answers(port: int, path: str = "/") -> bool:
    """Whether an HTTP server on this port gives any answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def accepts(port: int) -> bool:
    """Whether a server listens on this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            return True
    except OSError:
        return False


def _wait_until_ready(
    process: subprocess.Popen[bytes], *, ready: Callable[[], bool], log: Path
) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if ready():
            return
        time.sleep(0.02)
    status = process.returncode
    state = "did not answer in time" if status is None else f"ended with {status}"
    said = log.read_text("utf-8", "replace")[-3000:]
    raise ServerProblem(f"{log.stem} {state}; it said:\n{said}")


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Ask the program to end, wait, and kill what is left of its group."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    # The group has the leader's number until its last member is gone.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_SECONDS)
