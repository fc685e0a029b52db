"""Progress bars on a terminal (rich); imported only when the first bar is shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from ign_deploy import report


class Bars:
    """Bars of several threads on one live display, which ends with the last of them."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._console = Console(
            file=stream, force_terminal=True, no_color=not color, markup=False, highlight=False
        )
        self._lock = threading.RLock()
        self._display: Progress | None = None
        self._open = 0

    @contextmanager
    def bar(self, title: str, *, total: int) -> Iterator[report.Progress]:
        """Show a bar of ``total`` bytes while the context is open."""
        display = self._opened()
        task = display.add_task(title, total=total)
        try:
            yield lambda advance: display.advance(task, advance)
        finally:
            self._closed(display)

    def write_above(self, lines: Sequence[str]) -> bool:
        """Write lines above the bars; False when no bar is shown."""
        with self._lock:
            if self._display is None:
                return False
            for line in lines:
                self._console.print(Text.from_ansi(line), soft_wrap=True)
            return True

    def _opened(self) -> Progress:
        """Return the live display, started when this is its first bar."""
        with self._lock:
            if self._display is None:
                self._display = Progress(
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    DownloadColumn(binary_units=True),
                    TimeRemainingColumn(),
                    console=self._console,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._display.start()
            self._open += 1
            return self._display

    def _closed(self, display: Progress) -> None:
        """Stop the display when its last bar ends."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._display = None
                display.stop()
