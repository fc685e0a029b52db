"""The buffered reporter: everything later, in order and in one piece; masks at once."""

from __future__ import annotations

import io

import pytest

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.terminal import TerminalReporter
from ign_deploy.module.findings import error, warning
from ign_deploy.report import BufferedReporter


def pair(*, room: int = 1 << 20) -> tuple[BufferedReporter, io.StringIO]:
    stream = io.StringIO()
    return BufferedReporter(TerminalReporter(stream, masker=Masker()), room=room), stream


def tell_everything(reporter: BufferedReporter | TerminalReporter) -> None:
    with reporter.group("outer"):
        reporter.info("one")
        with reporter.group("inner"), reporter.progress("moving", 10) as advance:
            reporter.warning("two")
            advance(10)
        reporter.untrusted(["three", "four"])
    reporter.finding(warning("five", "message", hint="do it."), file="x.modl")


def test_nothing_is_reported_before_it_is_played_back_and_then_all_of_it() -> None:
    buffered, stream = pair()
    tell_everything(buffered)
    assert stream.getvalue() == ""
    buffered.play_back()
    direct = io.StringIO()
    tell_everything(TerminalReporter(direct))
    assert stream.getvalue() == direct.getvalue()


def test_it_is_reported_once() -> None:
    buffered, stream = pair()
    buffered.info("one")
    buffered.play_back()
    buffered.play_back()
    assert stream.getvalue() == "one\n"


def test_a_secret_that_appears_late_is_redacted_in_what_was_kept() -> None:
    buffered, stream = pair()
    buffered.untrusted(["the password is hunter22"])
    buffered.mask("hunter22")
    buffered.play_back()
    assert stream.getvalue() == "| the password is ***\n"


def test_of_a_long_output_beginning_and_end_are_kept_in_their_place() -> None:
    buffered, stream = pair(room=100)
    buffered.info("before")
    for number in range(10_000):
        buffered.untrusted([f"line {number}"])
    buffered.info("after")
    buffered.play_back()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["before", "| line 0"]
    assert lines[-2:] == ["| line 9999", "after"]
    assert any("lines skipped" in line for line in lines)
    assert len(lines) < 300


def test_only_remarks_are_played_back_of_a_success() -> None:
    buffered, stream = pair()
    with buffered.group("stage"):
        buffered.info("it is valid")
        buffered.warning("odd")
        before = buffered.has_output
        buffered.untrusted(["a build"])
        buffered.finding(error("e1", "bad"))
    assert (before, buffered.has_output) == (False, True)
    buffered.play_back_remarks()
    assert stream.getvalue() == "warning: odd\nerror[e1]: bad\n"
    buffered.play_back()
    assert stream.getvalue().count("odd") == 1


def test_a_group_that_an_error_ends_is_closed() -> None:
    buffered, stream = pair()
    with pytest.raises(ZeroDivisionError), buffered.group("stage"):
        raise ZeroDivisionError
    buffered.info("after")
    buffered.play_back()
    assert stream.getvalue() == "stage\nafter\n"
