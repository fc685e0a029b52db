"""Reporter: how stages report to a person or a CI host. Implementations: ``ci/``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from typing import Protocol

from ign_deploy.module.findings import Finding

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Progress(Protocol):
    """Advances a progress display."""

    def __call__(self, advance: int) -> None:
        """Report that ``advance`` more units (usually bytes) are done."""


class Reporter(Protocol):
    """Receives everything that a run reports; nothing else prints."""

    def mask(self, secret: str) -> None:
        """Redact ``secret`` in everything written from now on; call it before anything else."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Enclose a stage's lines: a log group on a CI host."""

    def info(self, message: str) -> None:
        """Report something that a reader may want to know."""

    def warning(self, message: str) -> None:
        """Report something that needs a look but stops nothing."""

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Report a finding; ``file`` is the workspace-relative file it belongs to, if any."""

    def untrusted(self, lines: Sequence[str]) -> None:
        """Show text from a build or a server, neutralised for the host that reads our log."""

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show progress towards ``total`` units while the context is open."""

    def waiting(self, title: str, *, limit: float = 0) -> AbstractContextManager[None]:
        """Show that something is waited for, at most ``limit`` seconds (0: without a limit)."""

    def end_progress(self) -> None:
        """Stop showing progress, at once and for good: the run ends, or was interrupted."""

    @property
    def folds(self) -> bool:
        """Whether groups are folded away, so that a long one costs its reader one line."""


def no_progress(advance: int) -> None:
    """Ignore progress."""


class SilentReporter:
    """Reports nothing: the default for library use and tests."""

    def mask(self, secret: str) -> None:
        """Do nothing: there is no output."""

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Do nothing around the stage."""
        yield

    def info(self, message: str) -> None:
        """Do nothing."""

    def warning(self, message: str) -> None:
        """Do nothing."""

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Do nothing."""

    def untrusted(self, lines: Sequence[str]) -> None:
        """Do nothing."""

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show nothing."""
        yield no_progress

    @contextmanager
    def waiting(self, title: str, *, limit: float = 0) -> Iterator[None]:
        """Show nothing."""
        yield

    def end_progress(self) -> None:
        """Do nothing: there is no progress."""

    @property
    def folds(self) -> bool:
        """False: there are no groups."""
        return False


class BufferedReporter:
    """Keeps what is reported, and passes it to another reporter later, in one piece.

    For parallel work, whose lines must not mix. Secrets are masked, and progress is shown, at once.
    Of a build's output, ``room`` characters and the last lines are kept.
    """

    def __init__(self, target: Reporter, *, room: int = 16 << 20) -> None:
        self._target = target
        self._room = room
        self._kept: list[Callable[[Reporter, list[ExitStack]], None]] = []
        self._last: deque[str] = deque(maxlen=200)
        self._dropped = 0
        self._remarks: list[Callable[[Reporter], None]] = []
        self.has_output = False
        """Whether there is anything from a build."""

    def mask(self, secret: str) -> None:
        """Redact ``secret``, also in what was reported before."""
        self._target.mask(secret)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Keep the beginning and the end of a group."""

        def begin(reporter: Reporter, groups: list[ExitStack]) -> None:
            groups.append(ExitStack())
            groups[-1].enter_context(reporter.group(title))

        self._keep(begin)
        try:
            yield
        finally:
            self._keep(lambda _, groups: groups.pop().close())

    def info(self, message: str) -> None:
        """Keep the message."""
        self._keep(lambda reporter, _: reporter.info(message))

    def warning(self, message: str) -> None:
        """Keep the warning."""
        self._keep(lambda reporter, _: reporter.warning(message))
        self._remarks.append(lambda reporter: reporter.warning(message))

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Keep the finding."""
        self._keep(lambda reporter, _: reporter.finding(finding, file=file))
        self._remarks.append(lambda reporter: reporter.finding(finding, file=file))

    def untrusted(self, lines: Sequence[str]) -> None:
        """Keep the lines while there is room, then only the last ones."""
        self.has_output = True
        if self._room <= 0:
            self._dropped += len(lines)
            self._last.extend(lines)
            return
        self._room -= sum(map(len, lines))
        kept = tuple(lines)
        self._keep(lambda reporter, _: reporter.untrusted(kept))

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show progress at once."""
        return self._target.progress(title, total)

    def waiting(self, title: str, *, limit: float = 0) -> AbstractContextManager[None]:
        """Show at once that something is waited for."""
        return self._target.waiting(title, limit=limit)

    def end_progress(self) -> None:
        """Stop showing progress."""
        self._target.end_progress()

    @property
    def folds(self) -> bool:
        """As the other reporter has it."""
        return self._target.folds

    def play_back_remarks(self) -> None:
        """Report only warnings and findings, and forget everything."""
        self._kept, remarks, self._remarks = [], self._remarks, []
        self._last.clear()
        self._dropped = 0
        for remark in remarks:
            remark(self._target)

    def play_back(self) -> None:
        """Report everything in order, and forget it."""
        self._flush_tail()
        kept, self._kept, self._remarks = self._kept, [], []
        groups: list[ExitStack] = []
        try:
            for report in kept:
                report(self._target, groups)
        finally:
            while groups:
                groups.pop().close()

    def _keep(self, report: Callable[[Reporter, list[ExitStack]], None]) -> None:
        self._flush_tail()
        self._kept.append(report)

    def _flush_tail(self) -> None:
        """Put the last lines of a long output in their place."""
        if not self._dropped:
            return
        last, left_out = tuple(self._last), self._dropped - len(self._last)
        self._last.clear()
        self._dropped = 0
        self._kept.append(lambda reporter, _: reporter.info(f"… {left_out} lines skipped …"))
        self._kept.append(lambda reporter, _: reporter.untrusted(last))


def shown_age(text: str, now: datetime) -> str:
    """Return how long ago a time of a record was."""
    try:
        seconds = (now - datetime.fromisoformat(text)).total_seconds()
    except (ValueError, TypeError):
        return "at an unknown time"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"
