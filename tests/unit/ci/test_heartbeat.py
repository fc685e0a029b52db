"""Signs of life: a line when it is time for one, none after the end, times as people say them."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator

import pytest

from ign_deploy.ci.github import GitHubReporter
from ign_deploy.ci.gitlab import GitLabReporter
from ign_deploy.ci.heartbeat import Beats, heartbeat, shown_duration, transfer_line, waiting_line
from ign_deploy.ci.terminal import TerminalReporter
from ign_deploy.report import BufferedReporter, Reporter


def beating(*times: float) -> tuple[Beats, Callable[[], object]]:
    """Return beats at these times, and a function that waits until there was a line for each."""
    done = threading.Event()

    def beats(ended: threading.Event) -> Iterator[float]:
        yield from times
        done.set()
        ended.wait()
        yield 999.0

    return beats, lambda: done.wait(timeout=30)


@pytest.mark.parametrize(
    "reporter", [GitHubReporter, TerminalReporter, lambda *a, **b: BufferedReporter(plain(*a, **b))]
)
def test_a_log_says_once_a_minute_that_something_is_waited_for(
    reporter: Callable[..., Reporter],
) -> None:
    stream = io.StringIO()
    beats, said = beating(60.0, 120.2)
    with reporter(stream, beats=beats).waiting("line-1: restarting\n::error::x", limit=300):
        said()
    assert stream.getvalue() == (
        "line-1: restarting: 1 min so far, at most 5 min\n"
        "line-1: restarting: 2 min so far, at most 5 min\n"
    )


def plain(stream: io.StringIO, *, beats: Beats) -> TerminalReporter:
    return TerminalReporter(stream, beats=beats)


@pytest.mark.parametrize("reporter", [GitHubReporter, TerminalReporter])
def test_a_log_says_once_a_minute_how_far_a_transfer_is(reporter: Callable[..., Reporter]) -> None:
    stream = io.StringIO()
    beats, said = beating()
    with reporter(stream, beats=beats).progress("uploading a 1.0", 48_000_000) as advance:
        advance(12_000_000)
        said()
    assert stream.getvalue() == ""
    beats, said = beating(150.0)
    late = threading.Event()

    def after_advance(ended: threading.Event) -> Iterator[float]:
        late.wait(timeout=30)
        yield from beats(ended)

    with reporter(stream, beats=after_advance).progress("uploading a 1.0", 48_000_000) as advance:
        advance(12_000_000)
        late.set()
        said()
    assert stream.getvalue() == "uploading a 1.0: 12.0 of 48.0 MB, 2 min 30 s so far\n"


def test_what_ends_within_a_minute_leaves_no_line() -> None:
    for reporter in (GitHubReporter, GitLabReporter, TerminalReporter):
        stream = io.StringIO()
        with reporter(stream).waiting("x"), reporter(stream).progress("y", 1) as advance:
            advance(1)
        assert stream.getvalue() == ""


def test_a_sign_of_life_leaves_a_build_s_output_between_one_pair_of_commands() -> None:
    stream = io.StringIO()
    beats, said = beating(60.0)
    reporter = GitHubReporter(stream, beats=beats)
    with reporter.group("package"):
        reporter.untrusted(["one"])
        with reporter.waiting("building a"):
            said()
        reporter.untrusted(["two"])
    lines = stream.getvalue().splitlines()
    assert sum("stop-commands" in line for line in lines) == 1
    assert lines[2:5] == ["one", "building a: 1 min so far", "two"]


def test_a_reader_that_has_gone_stops_no_work() -> None:
    def say(seconds: float) -> None:
        raise BrokenPipeError

    beats, _ = beating(60.0)
    with heartbeat(say, beats=beats):
        pass


def test_without_a_thread_to_spare_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with heartbeat(print, beats=beating(60.0)[0]):
        pass


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (150, "2 min 30 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert shown_duration(seconds) == text
    assert waiting_line("a", seconds, limit=0) == f"a: {text} so far"
    assert transfer_line("a", seconds, done=0, total=10**7) == f"a: 0.0 of 10.0 MB, {text} so far"
