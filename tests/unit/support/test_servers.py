"""Servers of the tests start on free ports, say why when they don't, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.servers.processes import ServerProblem, find_program, free_port, running
from tests.support.serving import unused_port


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ServerProblem, match=r"^no-such-program is missing; .*install some-package"):
        find_program("no-such-program", packages="some-package")


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no configuration')")
    with (
        pytest.raises(ServerProblem, match=r"(?s)broken ended with 1; .*no configuration"),
        running(command, name="broken", folder=tmp_path, ready=lambda: False),
    ):
        pass


def test_the_children_of_a_server_end_with_it(tmp_path: Path) -> None:
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    program += "; time.sleep(60)"
    log = tmp_path / "parent.log"
    with running(
        (sys.executable, "-c", program),
        name="parent",
        folder=tmp_path,
        ready=lambda: log.read_text().endswith("\n"),
        stop_signal=signal.SIGKILL,
    ):
        child = int(log.read_text())
        os.kill(child, 0)
    end = time.monotonic() + 10
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(child)


def is_running(number: int) -> bool:
    """Whether a process is there and not just waiting to be buried."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False
    )
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_a_free_port_is_none_that_a_client_gets() -> None:
    assert 15000 <= free_port() < 32000
    assert unused_port() != free_port()
