"""What moves on a terminal (rich): bars of transfers, and spinners of what is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from ign_deploy.report import Progress


class _OfTransfers(ProgressColumn):
    """A column that is empty for what has no size."""

    def __init__(self, inner: ProgressColumn) -> None:
        super().__init__()
        self._inner = inner

    def render(self, task: Task) -> RenderableType:
        return self._inner.render(task) if task.total is not None else Text()


class _Elapsed(ProgressColumn):
    """The time that was waited, and the limit, such as ``0:42 of at most 5:00``."""

    def render(self, task: Task) -> Text:
        if task.total is not None:
            return Text()
        limit = task.fields["limit"]
        most = f" of at most {_clock(limit)}" if limit else ""
        return Text(f"{_clock(task.elapsed or 0)}{most}", style="progress.elapsed")


class Display:
    """A live display for several threads, which begins with its first row and ends with the last.

    ``clock`` gives seconds. Lines are written above it, so that nothing overwrites them.
    """

    def __init__(
        self, stream: TextIO, *, color: bool, clock: Callable[[], float] | None = None
    ) -> None:
        self._console = Console(
            file=stream,
            force_terminal=True,
            no_color=not color,
            markup=False,
            highlight=False,
            get_time=clock,
        )
        self._lock = threading.RLock()
        self._live: RichProgress | None = None
        self._open = 0

    @contextmanager
    def bar(self, title: str, *, total: int) -> Iterator[Progress]:
        """Show a bar of ``total`` bytes while the context is open."""
        with self._row(title, total=total, limit=0) as (live, task):
            yield lambda advance: live.advance(task, advance)

    @contextmanager
    def spinner(self, title: str, *, limit: float) -> Iterator[None]:
        """Show a spinner, and how long it has been there, while the context is open."""
        with self._row(title, total=None, limit=limit):
            yield

    @contextmanager
    def _row(
        self, title: str, *, total: int | None, limit: float
    ) -> Iterator[tuple[RichProgress, TaskID]]:
        live = self._opened()
        task = live.add_task(title, total=total, limit=limit)
        try:
            yield live, task
        finally:
            self._closed(live, task)

    def write_above(self, lines: Sequence[str]) -> bool:
        """Write lines above the rows; False when none is shown."""
        with self._lock:
            if self._live is None:
                return False
            for line in lines:
                self._console.print(Text.from_ansi(line), soft_wrap=True)
            return True

    def end(self) -> None:
        """Remove all rows, and show the cursor again, whoever still works."""
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()

    def _opened(self) -> RichProgress:
        """Return the live display, started when this is its first row."""
        with self._lock:
            if self._live is None:
                self._open = 0
                self._live = RichProgress(
                    SpinnerColumn(),
                    TextColumn("{task.description}", markup=False),
                    _OfTransfers(BarColumn()),
                    _OfTransfers(DownloadColumn(binary_units=True)),
                    _OfTransfers(TimeRemainingColumn()),
                    _Elapsed(),
                    console=self._console,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()
            self._open += 1
            return self._live

    def _closed(self, live: RichProgress, task: TaskID) -> None:
        """Remove the row; stop the display with its last one."""
        with self._lock:
            if live is not self._live:
                return  # it was ended before
            self._open -= 1
            if self._open == 0:
                self.end()
            else:
                live.remove_task(task)


def _clock(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
