"""Child processes: what they see, what we see of them, and that none stays alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ign_deploy.process import (
    MAX_LINE,
    Account,
    ProcessesLeft,
    ProcessTimeout,
    build_environment,
    processes_of,
    run_command,
)
from tests.support.build_user import as_root, own_account, reachable_folder

PLAIN = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
# Forks into a session of its own, loses its parent and ignores TERM: as stubborn as daemons get.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if sys.argv[2] == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.closerange(0, 3)
        with open(sys.argv[1] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(60)
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
if sys.argv[3] == "stay":
    time.sleep(60)
"""


# Each of so many processes forks, exits and leaves it to its child to do the same; none has a
# parent or a session for longer than a moment.
HOPPERS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fork, leave, end = os.fork, os._exit, time.monotonic() + 60
gate, opener = os.pipe()
for _ in range(160):
    if fork() == 0:
        os.close(opener)
        os.read(gate, 1)
        os.setsid()
        os.closerange(0, 3)
        while time.monotonic() < end:
            if fork():
                leave(0)
        leave(0)
os.close(opener)
"""


def ignore(line: str) -> None:
    """Throw a line away."""


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != b"Z"


def daemon_command(pid_file: Path, temper: str, client: str) -> list[str]:
    return [sys.executable, "-I", "-c", DAEMON, str(pid_file), temper, client]


def collect(command: list[str], cwd: Path, timeout: float = 20) -> tuple[int, list[str]]:
    lines: list[str] = []
    completed = run_command(command, cwd=cwd, env=PLAIN, timeout=timeout, on_line=lines.append)
    return completed.returncode, lines


def test_output_arrives_by_line_with_errors_merged(tmp_path: Path) -> None:
    script = "echo one; echo two >&2; printf 'three\\r\\nfour'; exit 7"
    assert collect(["sh", "-c", script], tmp_path) == (7, ["one", "two", "three", "four"])


def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    completed = run_command(
        ["seq", "1000"], cwd=tmp_path, env=PLAIN, timeout=20, on_line=ignore, tail_lines=3
    )
    assert completed.tail == ("998", "999", "1000")


def test_a_very_long_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    script = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo next"
    _, lines = collect(["sh", "-c", script], tmp_path)
    assert [len(line) < MAX_LINE + 20 for line in lines] == [True, True]
    assert lines[0].endswith("[line cut]")
    assert lines[1] == "next"


def test_bytes_that_are_not_text_become_replacements(tmp_path: Path) -> None:
    _, lines = collect(["printf", r"a\377b\033[31mc\n"], tmp_path)
    assert lines == ["a�b\x1b[31mc"]


def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert collect(["cat"], tmp_path) == (0, [])


def test_a_command_that_dies_of_a_signal_has_the_shell_s_code(tmp_path: Path) -> None:
    assert collect(["sh", "-c", "kill -KILL $$"], tmp_path) == (137, [])


def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    code, lines = collect([str(tmp_path / "missing")], tmp_path)
    assert code == 127
    assert "No such file" in lines[0]


def test_files_are_made_with_a_fixed_umask(tmp_path: Path) -> None:
    collect(["touch", "made"], tmp_path)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("temper", ["polite", "stubborn"])
def test_a_daemon_is_dead_after_the_time_out(tmp_path: Path, temper: str) -> None:
    pid_file = tmp_path / "daemon.pid"
    with pytest.raises(ProcessTimeout) as caught:
        run_command(
            daemon_command(pid_file, temper, "stay"),
            cwd=tmp_path,
            env=PLAIN,
            timeout=1,
            on_line=ignore,
            grace=0.3,
        )
    assert caught.value.timeout == 1
    assert not is_alive(int(pid_file.read_text()))


def test_a_daemon_left_by_a_command_that_ended_well_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "daemon.pid"
    completed = run_command(
        daemon_command(pid_file, "polite", "leave"),
        cwd=tmp_path,
        env=PLAIN,
        timeout=20,
        on_line=ignore,
    )
    assert completed.returncode == 0
    assert not is_alive(int(pid_file.read_text()))


def test_a_process_that_keeps_the_output_open_delays_nothing(tmp_path: Path) -> None:
    start = time.monotonic()
    assert collect(["sh", "-c", "sleep 30 & echo $!"], tmp_path)[0] == 0
    assert time.monotonic() - start < 5


def test_our_own_exception_ends_everything(tmp_path: Path) -> None:
    seen: list[int] = []

    def fail(line: str) -> None:
        seen.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_command(
            ["sh", "-c", "sleep 30 & echo $!; wait"],
            cwd=tmp_path,
            env=PLAIN,
            timeout=20,
            on_line=fail,
        )
    assert not is_alive(seen[0])


def test_a_killed_caller_takes_the_command_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "daemon.pid"
    program = (
        "import sys, pathlib\n"
        "from ign_deploy.process import run_command\n"
        "run_command(sys.argv[1:], cwd=pathlib.Path('/'), env={}, timeout=60, on_line=len)\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program, *daemon_command(pid_file, "polite", "stay")],
        cwd=Path(__file__).parents[2],
    )
    try:
        wait_until(pid_file.exists)
    finally:
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    daemon = int(pid_file.read_text())
    wait_until(lambda: not is_alive(daemon))


def wait_until(condition: object, limit: float = 15) -> None:
    assert callable(condition)
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_commands_at_once_do_not_end_each_other(tmp_path: Path) -> None:
    results: list[tuple[int, list[str]]] = []
    slow = threading.Thread(
        target=lambda: results.append(
            collect(["sh", "-c", "(sleep 0.7; echo done) & wait"], tmp_path)
        )
    )
    slow.start()
    for _ in range(3):
        collect(["sh", "-c", "sleep 30 &"], tmp_path)
    slow.join()
    assert results == [(0, ["done"])]


def test_a_build_sees_an_allow_list_only() -> None:
    env = {
        "PATH": "/bin",
        "JAVA_HOME": "/jdk",
        "HTTPS_PROXY": "http://proxy",
        "GRADLE_OPTS": "-Xmx1g",
        "MAVEN_OPTS": "-Xmx1g",
        "ORG_GRADLE_PROJECT_mcpVersion": "1",
        "ORG_GRADLE_PROJECT_storePassword": "for the library store",
        "ORG_GRADLE_PROJECT_skipModlSigning": "true",
        "npm_config_cache": "/cache",
        "NODE_OPTIONS": "--max-old-space-size=1",
        "SOURCE_DATE_EPOCH": "1",
        "CI": "true",
        "TZ": "Asia/Tokyo",
    }
    assert env.items() <= build_environment(env).items()


@pytest.mark.parametrize(
    "name",
    [
        "MODULE_SIGNING_PASSWORD",
        "MODULE_SIGNING_KEY_PATH",
        "MODULE_SIGNING_KEY",
        "MODULE_SIGNING_PIN",
        "IGN_DEPLOY_SIGNING_PIN",
        "INPUT_SIGNING-PIN",
        "SOFTHSM2_CONF",
        *("VAULT_TOKEN", "VAULT_SECRET_ID", "VAULT_ID_TOKEN", "BAO_TOKEN", "VAULT_ADDR"),
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "IGN_DEPLOY_KEYSTORE",
        "REPOSITORY_API_TOKEN",
        "INPUT_SIGNING-PASSWORD",
        "GITHUB_TOKEN",
        "GITHUB_OUTPUT",
        "ACTIONS_RUNTIME_TOKEN",
        "RUNNER_TEMP",
        "CI_JOB_TOKEN",
        "NODE_AUTH_TOKEN",
        "npm_config__authToken",
        "GRADLE_ENCRYPTION_KEY",
        "GRADLE_PUBLISH_SECRET",
        "MAVEN_GPG_PASSPHRASE",
        "ORG_GRADLE_PROJECT_ignition.signing.keystorePassword",
        "ORG_GRADLE_PROJECT_signingKey",
        *("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"),
        *("AZURE_CLIENT_SECRET", "AZURE_ID_TOKEN", "AZURE_FEDERATED_TOKEN_FILE"),
        *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ID_TOKEN", "AWS_ROLE_ARN"),
        "PYTHONPATH",
        "LD_PRELOAD",
    ],
)
def test_a_build_never_sees(name: str) -> None:
    assert name not in build_environment({name: "value", "PATH": os.defpath})


def test_the_locale_is_utf_8_whatever_the_caller_s() -> None:
    built = build_environment({"LANG": "C", "LC_ALL": "C", "LC_TIME": "de_DE"}, extra={"X": "y"})
    assert built == {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "X": "y"}


def test_a_command_cannot_read_our_environment(tmp_path: Path) -> None:
    """As in a container: root, or the same user, but without the powers to look into others."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, pathlib, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from ign_deploy.process import run_command\n"
        "lines = []\n"
        "command = ['cat', f'/proc/{os.getpid()}/environ']\n"
        "done = run_command(command, cwd=pathlib.Path('/'), env={'PATH': os.environ['PATH']},\n"
        "           timeout=30, on_line=lines.append)\n"
        "print(done.returncode, *lines)\n"
    )
    powers = "-sys_ptrace,-perfmon,-sys_admin"
    without_ptrace = ["setpriv", "--bounding-set", powers, "--inh-caps", powers]
    done = subprocess.run(
        [*(without_ptrace if os.getuid() == 0 else []), sys.executable, str(script)],
        env={"PATH": os.environ["PATH"], "MODULE_SIGNING_PASSWORD": "test-secret"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "test-secret" not in done.stdout
    assert "ermission denied" in done.stdout


def test_nothing_of_160_hopping_processes_is_left(tmp_path: Path) -> None:
    marker = f"hoppers-{os.getpid()}"
    completed = run_command(
        [sys.executable, "-I", "-S", "-c", HOPPERS, marker],
        cwd=tmp_path,
        env=PLAIN,
        timeout=60,
        on_line=ignore,
        grace=0.2,
    )
    assert completed.returncode == 0
    commands = [read_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(marker in command for command in commands)


def read_command(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


@as_root
def test_nothing_of_160_hopping_processes_of_another_user_is_left() -> None:
    account = own_account()
    with reachable_folder() as folder:
        completed = run_command(
            ["/usr/bin/python3", "-I", "-S", "-c", HOPPERS],
            cwd=folder,
            env=PLAIN,
            timeout=60,
            on_line=ignore,
            grace=0.2,
            account=account,
        )
    assert completed.returncode == 0
    assert processes_of(account) == []


def test_a_supervisor_that_was_killed_proves_nothing(tmp_path: Path) -> None:
    """A build of the same user can kill it; what it then leaves is unknown."""
    with pytest.raises(ProcessesLeft):
        collect(["sh", "-c", "kill -KILL $PPID; sleep 0.2"], tmp_path)


@as_root
def test_a_build_of_another_user_cannot_end_its_supervisor() -> None:
    with reachable_folder() as folder:
        completed = run_command(
            ["sh", "-c", "kill -KILL $PPID || exit 7"],
            cwd=folder,
            env=PLAIN,
            timeout=20,
            on_line=ignore,
            account=own_account(),
        )
    assert completed.returncode == 7


def test_privileges_are_gained_only_where_they_may(tmp_path: Path) -> None:
    for may, expected in ((False, "1"), (True, "0")):
        completed = run_command(
            ["grep", "NoNewPrivs", "/proc/self/status"],
            cwd=tmp_path,
            env=PLAIN,
            timeout=20,
            on_line=ignore,
            may_gain_privileges=may,
        )
        assert completed.tail[0].split() == ["NoNewPrivs:", expected]


def test_an_account_that_is_not_there_starts_nothing(tmp_path: Path) -> None:
    """As in a user namespace without that user, or without the capability to switch."""
    account = Account("nobody-here", 2**32 - 1, 2**32 - 1)
    done = run_command(
        ["true"], cwd=tmp_path, env=PLAIN, timeout=20, on_line=ignore, account=account
    )
    assert done.returncode == 127
    assert "cannot start" in done.tail[0]
