"""External commands: a filtered environment, a timeout, and no process left running."""

from __future__ import annotations

import os
import re
import signal
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


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine that foreign commands run as."""

    name: str
    uid: int
    gid: int


class ProcessesLeft(Exception):
    """Something that a command started may still be running, whatever was done to end it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not every process of {what} could be ended")


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
    account: Account | None = None,
    may_gain_privileges: bool = False,
) -> Completed:
    """Run ``command``, pass each line of its output to ``on_line``, and leave nothing running.

    Standard input is empty; standard error is merged into the output. Lines come without their
    ending, decoded as UTF-8 with replacements, cut at 32 KiB; control sequences are still in them.
    ``on_silence`` is called after each second without output.
    When the command has ended, when ``timeout`` (seconds) is over (ProcessTimeout), or when
    ``on_line`` raises, every process it started, daemons included, gets TERM and, ``grace``
    seconds later, KILL; raises ProcessesLeft when one may be left. A command that can't be started
    ends with code 127 and a line saying why. With an ``account`` (as root) it runs as that user,
    without any capability. Its programs gain no privileges (sudo), unless they may.
    """
    protect_memory()
    tail: deque[str] = deque(maxlen=tail_lines)
    deadline = time.monotonic() + timeout
    rights = f"{account.uid}:{account.gid}" if account else "any" if may_gain_privileges else "same"
    supervisor = _start(command, cwd=cwd, env=env, grace=grace, rights=rights)
    _running.add(supervisor)
    try:
        for line in _lines(_output(supervisor, deadline, on_silence)):
            tail.append(line)
            on_line(line)
        supervisor.wait(timeout=max(deadline - time.monotonic(), _SUPERVISOR_TIMEOUT))
    except (TimeoutError, subprocess.TimeoutExpired) as cause:
        _stop(supervisor, grace)
        _require_ended(supervisor, command)
        raise ProcessTimeout(command, timeout, tuple(tail)) from cause
    finally:
        _stop(supervisor, grace)
        _running.discard(supervisor)
    _require_ended(supervisor, command)
    code = supervisor.returncode
    return Completed(code if code >= 0 else 128 - code, tuple(tail))


def end_processes_of(account: Account) -> None:
    """Kill every process of a user, whoever started it; raises ProcessesLeft if one is left."""
    deadline = time.monotonic() + _SUPERVISOR_TIMEOUT
    while True:
        # kill(2): -1 is every process of that user at once, which none can outrun by forking.
        subprocess.run(
            ["/bin/sh", "-c", "kill -KILL -1"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if not processes_of(account):
            return
        if time.monotonic() > deadline:
            raise ProcessesLeft(f"the user {account.name}")
        time.sleep(0.02)


def processes_of(account: Account) -> list[int]:
    """Return the living processes of a user."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _is_of(name, account)]


def stop_running() -> None:
    """Terminate every command that this process runs; each ends with code 143."""
    for supervisor in tuple(_running):
        supervisor.terminate()


def protect_memory() -> None:
    """Keep our memory and environment, which hold secrets, from commands of the same user.

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


def _is_of(process: str, account: Account) -> bool:
    try:
        status = Path("/proc", process, "status").read_text(errors="replace")
    except OSError:
        return False
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    is_dead = fields.get("State", "")[:1] in ("Z", "X")
    return not is_dead and str(account.uid) in fields.get("Uid", "").split()


def _start(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], grace: float, rights: str
) -> subprocess.Popen[bytes]:
    supervisor = [sys.executable, "-I", "-S", str(_SUPERVISOR)]
    return subprocess.Popen(
        [*supervisor, str(os.getpid()), str(grace), rights, *command],
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


def _require_ended(supervisor: subprocess.Popen[bytes], command: Sequence[str]) -> None:
    """Raise ProcessesLeft when the supervisor was killed, or gave up.

    Of SIGTERM it dies only while it starts, before the command.
    """
    if supervisor.returncode < 0 and supervisor.returncode != -signal.SIGTERM:
        raise ProcessesLeft(command[0])


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
