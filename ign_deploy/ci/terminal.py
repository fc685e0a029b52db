"""The reporter for terminals, files and CI hosts without their own commands: plain lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import LineWriter, finding_headline, finding_place
from ign_deploy.module.findings import Finding, Severity

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from ign_deploy.report import Progress

_BOLD, _RED, _YELLOW, _CYAN = "1", "1;31", "1;33", "1;36"
_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _CYAN}


class TerminalReporter:
    """Writes plain lines to ``stream``; colours and progress bars only on a real terminal.

    ``color=False`` is the user's ``--no-color``; ``NO_COLOR`` and ``TERM=dumb`` of ``env`` do the
    same. ``env=None`` means that the reader isn't a terminal, whatever the stream says.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        env: Mapping[str, str] | None = None,
        color: bool = True,
        masker: Masker | None = None,
    ) -> None:
        self._stream = stream
        self._masker = masker if masker is not None else Masker()
        self._out = LineWriter(stream, self._masker)
        self._is_terminal = is_terminal(stream, env)
        self._color = color and self._is_terminal and not (env or {}).get("NO_COLOR")
        self._depth = 0
        self._bars: _Bars | None = None

    def mask(self, secret: str) -> None:
        """Replace ``secret`` by ``***`` in everything written from now on."""
        self._masker.add(secret)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Write the title, and the stage's lines indented."""
        self._write([self._heading(line) for line in self._out.clean(title)])
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def info(self, message: str) -> None:
        """Write the message's lines."""
        self._write(self._out.clean(message))

    def warning(self, message: str) -> None:
        """Write the message after the word ``warning``."""
        self._write_headline("warning", f": {message}", _YELLOW)

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Write severity, code, location and message on one line, below it the place and hint."""
        word, _, rest = finding_headline(finding, file=file).partition("[")
        self._write_headline(word, f"[{rest}", _COLOURS[finding.severity])
        if finding.line:
            place = finding_place(finding, file=file)
            self._write([f"  at {line}" for line in self._out.clean(place)])
        if finding.hint:
            self._write([f"  {line}" for line in self._out.clean(f"hint: {finding.hint}")])

    def untrusted(self, lines: Sequence[str]) -> None:
        """Write the lines after a bar, so that they can't be mistaken for ours."""
        self._write([f"| {text}" for line in lines for text in self._out.clean(line)])

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show a progress bar on a terminal, and nothing elsewhere."""
        if not self._is_terminal:
            yield _ignore
            return
        with self._out.lock:
            self._bars = self._bars or _Bars(self._stream, color=self._color)
        with self._bars.bar(self._out.clean(title)[0], total=total) as advance:
            yield advance

    def _heading(self, title: str) -> str:
        """Return a stage's title, bold if colours are on."""
        return self._paint(title, _BOLD)

    def _write_headline(self, word: str, rest: str, colour: str) -> None:
        """Write ``word`` in colour and ``rest`` after it."""
        first, *more = self._out.clean(f"{word}{rest}")
        painted = self._paint(first[: len(word)], colour) + first[len(word) :]
        self._write([painted, *(f"  {line}" for line in more)])

    def _write(self, lines: Sequence[str]) -> None:
        """Write lines at the group's indentation, above any progress bars."""
        indented = [f"{'  ' * self._depth}{line}".rstrip() for line in lines]
        with self._out.lock:
            if self._bars is None or not self._bars.write_above(indented):
                self._out.write(indented)

    def _paint(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, if colours are on."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._color else text


def is_terminal(stream: TextIO, env: Mapping[str, str] | None) -> bool:
    """Return whether ``stream`` is a terminal that understands more than plain lines."""
    return env is not None and env.get("TERM") != "dumb" and stream.isatty()


def _ignore(advance: int) -> None:
    """Ignore progress."""


class _Bars:
    """Progress bars of several threads (rich) on one live display, which ends with the last."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        from rich.console import Console

        self._console = Console(
            file=stream, force_terminal=True, no_color=not color, markup=False, highlight=False
        )
        self._lock = threading.RLock()
        self._display: RichProgress | None = None
        self._open = 0

    @contextmanager
    def bar(self, title: str, *, total: int) -> Iterator[Progress]:
        """Show a bar of ``total`` bytes while the context is open."""
        display = self._opened()
        task = display.add_task(title, total=total)
        try:
            yield lambda advance: display.advance(task, advance)
        finally:
            self._closed(display)

    def write_above(self, lines: Sequence[str]) -> bool:
        """Write lines above the bars; False when no bar is shown."""
        from rich.text import Text

        with self._lock:
            if self._display is None:
                return False
            for line in lines:
                self._console.print(Text.from_ansi(line), soft_wrap=True)
            return True

    def _opened(self) -> RichProgress:
        """Return the live display, started when this is its first bar."""
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        with self._lock:
            if self._display is None:
                self._display = RichProgress(
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

    def _closed(self, display: RichProgress) -> None:
        """Stop the display when its last bar ends."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._display = None
                display.stop()
