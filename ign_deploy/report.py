"""Reporter: how the stages tell a person or a CI host what happens. Implementations: ``ci/``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ign_deploy.module.findings import Finding


class Progress(Protocol):
    """Advances a progress display."""

    def __call__(self, advance: int) -> None:
        """Say that ``advance`` more units (mostly bytes) are done."""


class Reporter(Protocol):
    """Receives everything a run has to say; nothing else prints."""

    def mask(self, secret: str) -> None:
        """Hide ``secret`` in everything written from now on; say it before anything else."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Enclose a stage's lines: a log group on a CI host."""

    def info(self, message: str) -> None:
        """Say something that a reader may want to know."""

    def warning(self, message: str) -> None:
        """Say something that needs a look but stops nothing."""

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Report a finding; ``file`` is the workspace-relative file it belongs to, if any."""

    def foreign(self, lines: Sequence[str]) -> None:
        """Show text of a build or a server, made harmless for the host that reads our log."""

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show progress towards ``total`` units while the context is open."""


def _no_progress(advance: int) -> None:
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

    def foreign(self, lines: Sequence[str]) -> None:
        """Say nothing."""

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show nothing."""
        yield _no_progress
