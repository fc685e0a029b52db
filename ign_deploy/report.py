"""Reporter: how the stages tell a person or a CI host what happens. Implementations: ``ci/``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from ign_deploy.module.findings import Finding


class Progress(Protocol):
    """Advances a progress display."""

    def __call__(self, advance: int) -> None:
        """Say that ``advance`` more units (mostly bytes) are done."""


class Reporter(Protocol):
    """Receives everything a run has to say; nothing else prints."""

    def mask(self, secret: str) -> None:
        """Redact ``secret`` in everything written from now on; say it before anything else."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Enclose a stage's lines: a log group on a CI host."""

    def info(self, message: str) -> None:
        """Say something that a reader may want to know."""

    def warning(self, message: str) -> None:
        """Say something that needs a look but stops nothing."""

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Report a finding; ``file`` is the workspace-relative file it belongs to, if any."""

    def untrusted(self, lines: Sequence[str]) -> None:
        """Show text of a build or a server, made harmless for the host that reads our log."""

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show progress towards ``total`` units while the context is open."""


def no_progress(advance: int) -> None:
    """Ignore progress."""


class SilentReporter:
    """Says nothing: the default for library use and tests."""

    def mask(self, secret: str) -> None:
        """Have nothing to hide it in."""

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Do nothing around the stage."""
        yield

    def info(self, message: str) -> None:
        """Say nothing."""

    def warning(self, message: str) -> None:
        """Say nothing."""

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Say nothing."""

    def untrusted(self, lines: Sequence[str]) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show nothing."""
        yield no_progress


class BufferedReporter:
    """Keeps what it is told and tells it to another reporter later, in one piece.

    For work that runs beside other work: their lines don't mix. Secrets are masked at once. Of a
    build's output, ``room`` characters and the last lines are kept.
    """

    def __init__(self, target: Reporter, *, room: int = 16 << 20) -> None:
        self._target = target
        self._room = room
        self._kept: list[Callable[[Reporter, list[ExitStack]], None]] = []
        self._last: deque[str] = deque(maxlen=200)
        self._dropped = 0

    def mask(self, secret: str) -> None:
        """Redact ``secret``, also in what was told before."""
        self._target.mask(secret)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Keep where a group begins and ends."""

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

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Keep the finding."""
        self._keep(lambda reporter, _: reporter.finding(finding, file=file))

    def untrusted(self, lines: Sequence[str]) -> None:
        """Keep the lines while there is room, then only the last ones."""
        if self._room <= 0:
            self._dropped += len(lines)
            self._last.extend(lines)
            return
        self._room -= sum(map(len, lines))
        kept = tuple(lines)
        self._keep(lambda reporter, _: reporter.untrusted(kept))

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show nothing: what is told later makes no progress."""
        yield no_progress

    def play_back(self) -> None:
        """Tell everything, in its order, and forget it."""
        self._settle()
        kept, self._kept = self._kept, []
        groups: list[ExitStack] = []
        try:
            for tell in kept:
                tell(self._target, groups)
        finally:
            while groups:
                groups.pop().close()

    def _keep(self, tell: Callable[[Reporter, list[ExitStack]], None]) -> None:
        self._settle()
        self._kept.append(tell)

    def _settle(self) -> None:
        """Put the last lines of a long output where they belong."""
        if not self._dropped:
            return
        last, left_out = tuple(self._last), self._dropped - len(self._last)
        self._last.clear()
        self._dropped = 0
        self._kept.append(lambda reporter, _: reporter.info(f"… {left_out} lines left out …"))
        self._kept.append(lambda reporter, _: reporter.untrusted(last))
