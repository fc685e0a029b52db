"""The terminal reporter: plain lines, colour and bars only where a person watches."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TextIO

import pytest

from ign_deploy.ci.display import Display
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


class Clock:
    """A time that only the test changes."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_spinner_shows_the_time_and_the_limit() -> None:
    clock = Clock()
    with terminal() as (stream, said):
        display = Display(stream, color=False, clock=clock)
        with display.spinner("line-1: restarting", limit=300):
            clock.now = 42.0
            display.write_above(["a line"])
    assert "line-1: restarting" in said[0]
    assert "0:42 of at most 5:00" in said[0]


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_an_error_below_a_spinner_stays_and_the_terminal_is_clean() -> None:
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env=XTERM)
        with suppress(ZeroDivisionError), reporter.waiting("restarting", limit=300):
            reporter.finding(error("e1", "it is down"))
            raise ZeroDivisionError
        reporter.info("end")
    head, _, tail = said[0].rpartition(SHOW)
    assert "it is down\r\n" in head
    assert head.count(HIDE) == 1
    assert tail.endswith("end\r\n")
    # Nothing below the last line was left: what follows the error only erases the spinner's row.
    assert "restarting" not in said[0][said[0].rindex("\x1b[2K") :]


def test_the_end_of_a_run_ends_what_others_still_show() -> None:
    """Threads that an interruption abandons must not write over what is said last."""
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env=XTERM)
        abandoned = reporter.waiting("restarting")
        abandoned.__enter__()
        reporter.end_progress()
        with reporter.waiting("another"), reporter.progress("transfer", 10) as advance:
            advance(10)
        reporter.info("stopped by the user")
        abandoned.__exit__(None, None, None)
    assert said[0].count(HIDE) == said[0].count(SHOW) == 1
    assert said[0].endswith("stopped by the user\r\n")
    assert "another" not in said[0]


@pytest.mark.parametrize(
    ("env", "is_live"), [({"TERM": "dumb"}, True), (None, True), (XTERM, False)]
)
def test_nothing_moves_where_it_would_be_in_the_way(
    env: dict[str, str] | None, is_live: bool
) -> None:
    """A dumb terminal, a pipe or a CI host, and --json."""
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env=env, is_live=is_live)
        with reporter.waiting("restarting"), reporter.progress("transfer", 10) as advance:
            advance(10)
        reporter.info("end")
    assert said[0] == "end\r\n"


def test_no_color_leaves_the_spinner_its_motion() -> None:
    """As rich has it: NO_COLOR is about colours."""
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env={**XTERM, "NO_COLOR": "1"})
        with reporter.waiting("restarting"):
            reporter.info("a line")
    assert "restarting" in said[0]
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", said[0])


def test_a_hostile_title_moves_nothing_on_a_terminal() -> None:
    with terminal() as (stream, said):
        reporter = TerminalReporter(stream, env=XTERM)
        with reporter.waiting("[red]a\x1b[2Jb\u202e\nc" + "d" * 100_000):
            reporter.info("a line")
    assert "\x1b[2J" not in said[0]
    assert "\u202e" not in said[0]
    assert "[red]ab" in said[0]
