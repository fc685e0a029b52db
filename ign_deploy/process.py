"""External commands: a filtered environment, a timeout, and no process left running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("process_supervisor.py")
# More than a log shows of a line (8 KiB): a secret at the log's cut is still complete when secrets
# are masked.
MAX_LINE = 32 * 1024
CUT_MARK = " [line cut]"
_READ_SIZE = 64 * 1024
# Longer than the supervisor's own limit of 10 s.
_SUPERVISOR_TIMEOUT = 15.0

_ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "CI", "SOURCE_DATE_EPOCH"),
        *("JAVA_HOME", "JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "M2_HOME"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    }
)
_ALLOWED_PREFIXES = ("GRADLE_", "MAVEN_", "NODE_", "NPM_CONFIG_", "JAVA_HOME_")
_PROJECT_PROPERTY = "ORG_GRADLE_PROJECT_"
_SECRET = re.compile(r"token|secret|passw|passphrase|credential|_auth|encryption_?key", re.I)
_SIGNING_SECRET = re.compile(r"sign.*(pass|key|cert|alias|pin|secret|token)|key_?store", re.I)
_LOCALE = "C.UTF-8"
# A signal reaches only the main thread, which must end what the other threads have started.
_running: set[subprocess.Popen[bytes]] = set()
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended: its exit code (128 + n after signal n) and its last lines."""

    returncode: int
    tail: tuple[str, ...]


class ProcessTimeout(Exception):
    """A command took longer than allowed; it and all its descendants have been terminated."""

    def __init__(self, command: Sequence[str], timeout: float, tail: tuple[str, ...]) -> None:
        super().__init__(f"{command[0]} was terminated after {timeout:g} s")
        self.command = tuple(command)
        self.timeout = timeout
        self.tail = tail


def build_environment(
    env: Mapping[str, str], *, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what a build may see of ``env``, plus ``extra``; the locale is always C.UTF-8.

    An allow-list: signing secrets, tokens and the CI runner's own variables stay out. A Gradle
    property (``ORG_GRADLE_PROJECT_…``) may hold a Maven repository's password, but not
    one for signing.
    """
    kept = {name: value for name, value in env.items() if _is_allowed(name)}
    # Under LC_ALL=C, Java turns every non-ASCII file name into question marks.
    return {**kept, "LANG": _LOCALE, "LC_ALL": _LOCALE, **(extra or {})}


def run_command(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None],
    on_silence: Callable[[], None] | None = None,
    grace: float = 5.0,
    tail_lines: int = 200,
) -> Completed:
    """Run ``command``, pass each line of its output to ``on_line``, and leave nothing running.

    Standard input is empty; standard error is merged into the output. Lines come without their
    ending, decoded as UTF-8 with replacements, cut at 32 KiB; control sequences are still in them.
    ``on_silence`` is called after each second without output.
    When the command has ended, when ``timeout`` (seconds) is over (ProcessTimeout), or when
    ``on_line`` raises, every process it started, daemons included, gets TERM and, ``grace``
    seconds later, KILL. A command that can't be started ends with code 127 and a line saying why.
    """
    _close_proc_to_others()
    tail: deque[str] = deque(maxlen=tail_lines)
    deadline = time.monotonic() + timeout
    supervisor = _start(command, cwd=cwd, env=env, grace=grace)
    _running.add(supervisor)
    try:
        for line in _lines(_output(supervisor, deadline, on_silence)):
            tail.append(line)
            on_line(line)
        returncode = supervisor.wait(timeout=max(deadline - time.monotonic(), _SUPERVISOR_TIMEOUT))
    except (TimeoutError, subprocess.TimeoutExpired) as cause:
        raise ProcessTimeout(command, timeout, tuple(tail)) from cause
    finally:
        _stop(supervisor, grace)
        _running.discard(supervisor)
    return Completed(returncode, tuple(tail))


def stop_running() -> None:
    """Terminate every command that this process runs; each ends with code 143."""
    for supervisor in tuple(_running):
        supervisor.terminate()


def _close_proc_to_others() -> None:
    """Keep our environment, which holds secrets, from a command that runs as the same user.

    A process that isn't dumpable (prctl(2)) has a /proc folder that only a process with
    CAP_SYS_PTRACE, CAP_PERFMON or CAP_SYS_ADMIN can look into; containers have none of them.
    """
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _is_allowed(name: str) -> bool:
    if _SIGNING_SECRET.search(name):
        return False
    if name.startswith(_PROJECT_PROPERTY) or name in _ALLOWED:
        return True
    return name.upper().startswith(_ALLOWED_PREFIXES) and not _SECRET.search(name)


def _start(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], grace: float
) -> subprocess.Popen[bytes]:
    supervisor = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(grace)]
    return subprocess.Popen(
        [*supervisor, *command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for us; we end the command ourselves.
        start_new_session=True,
        umask=0o022,
    )


def _output(
    supervisor: subprocess.Popen[bytes], deadline: float, on_silence: Callable[[], None] | None
) -> Iterator[bytes]:
    """Yield the output in blocks until its end; raises TimeoutError at the deadline."""
    import selectors

    if supervisor.stdout is None:
        return
    descriptor = supervisor.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(min(left, 1.0)):
                block = os.read(descriptor, _READ_SIZE)
                if not block:
                    return
                yield block
            elif supervisor.poll() is not None:
                return  # a process that even the supervisor couldn't end holds the pipe
            elif on_silence is not None:
                on_silence()
    raise TimeoutError


def _lines(blocks: Iterator[bytes]) -> Iterator[str]:
    """Split blocks into lines; of a line that is too long, only the start is kept."""
    pending = b""
    skipping = False
    for block in blocks:
        *complete, pending = (pending + block).split(b"\n")
        for line in complete:
            if not skipping:
                yield _text(line)
            skipping = False
        if skipping:
            pending = b""
        elif len(pending) > MAX_LINE:
            yield _text(pending)
            pending, skipping = b"", True
    if pending:
        yield _text(pending)


def _text(line: bytes) -> str:
    text = line[:MAX_LINE].removesuffix(b"\r").decode("utf-8", "replace")
    return text + CUT_MARK if len(line) > MAX_LINE else text


def _stop(supervisor: subprocess.Popen[bytes], grace: float) -> None:
    """End the supervisor, which first ends everything below it."""
    try:
        if supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(timeout=grace + _SUPERVISOR_TIMEOUT)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    finally:
        if supervisor.stdout is not None:
            supervisor.stdout.close()
