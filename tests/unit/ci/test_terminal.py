"""The terminal reporter: plain lines, colour and bars only where a person watches."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TextIO

import pytest

from ign_deploy.ci.host import Host, reporter_for
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.terminal import TerminalReporter
from ign_deploy.module.findings import error, warning

XTERM = {"TERM": "xterm-256color"}


@contextmanager
def terminal() -> Iterator[tuple[TextIO, list[str]]]:
    """Give a real pseudo-terminal; what was written to it is in the list afterwards."""
    reading, writing = pty.openpty()
    said: list[str] = []
    collector = threading.Thread(target=_collect, args=(reading, said))
    collector.start()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield stream, said
    collector.join(timeout=30)
    os.close(reading)


def _collect(reading: int, said: list[str]) -> None:
    data = b""
    with suppress(OSError):  # EIO: the other side was closed
        while chunk := os.read(reading, 65536):
            data += chunk
    said.append(data.decode())


def test_lines_are_plain_and_indented_within_a_group() -> None:
    stream = io.StringIO()
    reporter = TerminalReporter(stream, env=XTERM)
    with reporter.group("sign"):
        reporter.info("one\ntwo")
        reporter.warning("old key")
        reporter.finding(error("e1", "no line", location="lib.jar", hint="sign it."), file="a.modl")
        reporter.finding(warning("w1", "odd"))
        reporter.untrusted(["build says"])
        with reporter.progress("hash", 10) as advance:
            advance(10)
    reporter.info("done")
    assert stream.getvalue() == (
        "sign\n"
        "  one\n"
        "  two\n"
        "  warning: old key\n"
        "  error[e1]: a.modl: lib.jar: no line\n"
        "    hint: sign it.\n"
        "  warning[w1]: odd\n"
        "  | build says\n"
        "done\n"
    )


def test_a_terminal_gets_colour() -> None:
    with terminal() as (stream, said):
        TerminalReporter(stream, env=XTERM).warning("old key")
    assert said[0].startswith("\x1b[1;33mwarning\x1b[0m: old key")


@pytest.mark.parametrize(
    ("env", "color"),
    [({**XTERM, "NO_COLOR": "1"}, True), ({"TERM": "dumb"}, True), (XTERM, False), (None, True)],
)
def test_a_terminal_without_colour_gets_none(env: dict[str, str] | None, color: bool) -> None:
    with terminal() as (stream, said):
        TerminalReporter(stream, env=env, color=color).warning("old key")
    assert said[0] == "warning: old key\r\n"


def test_a_progress_bar_is_shown_on_a_terminal_and_lines_go_above_it() -> None:
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env=XTERM)
        with reporter.progress("upload [bold]", 2_000_000) as advance:
            advance(1_000_000)
            reporter.info("[red]half[/red] way")
            with reporter.progress("second", 10) as other:
                other(10)
        reporter.info("end")
    assert "upload [bold]" in said[0]
    assert "[red]half[/red] way" in said[0]
    assert said[0].rstrip().endswith("end")


def test_untrusted_text_can_neither_move_the_cursor_nor_show_a_secret() -> None:
    stream = io.StringIO()
    reporter = TerminalReporter(stream)
    reporter.mask("hunter22")
    reporter.untrusted(["\x1b[2Jcleared hun\x1b[0mter22", "a\rb"])
    assert stream.getvalue() == "| cleared ***\n| a\n| b\n"


def test_a_stream_that_cannot_encode_shows_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    TerminalReporter(stream).info("größe \udcff")
    assert raw.getvalue() == b"gr\\xf6\\xdfe \\udcff\n"


def test_each_host_gets_its_reporter() -> None:
    for host in (Host.TERMINAL, Host.PLAIN, Host.JENKINS):
        stream = io.StringIO()
        reporter = reporter_for(host, stream, env={}, masker=Masker())
        with reporter.group("sign"):
            reporter.info("x")
        assert stream.getvalue() == "sign\n  x\n"


def test_plain_lines_need_no_rich() -> None:
    program = (
        "import io, sys\n"
        "from ign_deploy.ci.terminal import TerminalReporter\n"
        "from ign_deploy.ci.github import GitHubReporter\n"
        "for r in (TerminalReporter(io.StringIO()), GitHubReporter(io.StringIO())):\n"
        "    with r.progress('x', 1) as advance: advance(1)\n"
        "print(sorted({'rich', 'requests', 'click', 'pydantic'} & set(sys.modules)))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stdout == "[]\n"


def test_the_line_of_a_finding_is_below_its_message() -> None:
    stream = io.StringIO()
    finding = replace(error("packaging", "Hook.java:13: error: x", hint="fix it."), line=13)
    TerminalReporter(stream).finding(finding, file="src/Hook\x07.java")
    assert stream.getvalue() == (
        "error[packaging]: Hook.java:13: error: x\n  at src/Hook\\x07.java:13\n  hint: fix it.\n"
    )
