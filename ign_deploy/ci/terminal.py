"""The reporter for terminals, files and CI hosts without their own commands: plain lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, TextIO

from ign_deploy.ci.heartbeat import (
    Beats,
    every_minute,
    heartbeat,
    transfer_line,
    waiting_line,
)
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import LineWriter, finding_headline, finding_place, hint_lines
from ign_deploy.module.findings import Finding, Severity

if TYPE_CHECKING:
    from ign_deploy.ci.display import Display
    from ign_deploy.report import Progress

_BOLD, _RED, _YELLOW, _CYAN = "1", "1;31", "1;33", "1;36"
_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _CYAN}


class TerminalReporter:
    """Writes plain lines to ``stream``; colours and progress bars only on a real terminal.

    ``color=False`` is the user's ``--no-color``; ``NO_COLOR`` and ``TERM=dumb`` of ``env`` do the
    same. ``env=None`` means that the reader isn't a terminal, whatever the stream says. Without
    ``is_live``, nothing moves. ``beats`` says when a heartbeat is due, ``wording`` puts
    our messages in the reader's words.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        env: Mapping[str, str] | None = None,
        color: bool = True,
        masker: Masker | None = None,
        is_live: bool = True,
        beats: Beats = every_minute,
        wording: Callable[[str], str] = str,
    ) -> None:
        self._stream = stream
        self._masker = masker if masker is not None else Masker()
        self._out = LineWriter(stream, self._masker)
        self._is_terminal = is_terminal(stream, env)
        self._color = color and self._is_terminal and not (env or {}).get("NO_COLOR")
        self._wording = wording
        self._depth = 0
        self._is_live = is_live and self._is_terminal
        self._beats = beats
        self._shown: Display | None = None

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
        self._write(self._out.clean(self._wording(message)))

    def warning(self, message: str) -> None:
        """Write the message after the word ``warning``."""
        self._write_headline("warning", f": {self._wording(message)}", _YELLOW)

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Write severity, code, location and message on one line, below it the place and hint."""
        finding = finding.worded(self._wording)
        word, _, rest = finding_headline(finding, file=file).partition("[")
        self._write_headline(word, f"[{rest}", _COLOURS[finding.severity])
        if finding.line:
            place = finding_place(finding, file=file)
            self._write([f"  at {line}" for line in self._out.clean(place)])
        hint = "\n".join(hint_lines(finding.hint))
        if hint:
            self._write([f"  {line}" for line in self._out.clean(hint)])

    def untrusted(self, lines: Sequence[str]) -> None:
        """Write the lines after a bar, so that they can't be mistaken for ours."""
        self._write([f"| {text}" for line in lines for text in self._out.clean(line)])

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Show a progress bar on a terminal, elsewhere a line a minute."""
        shown = self._out.clean(title)[0]
        display = self._display()
        if display is not None:
            with display.bar(shown, total=total) as advance:
                yield advance
            return
        done = [0]

        def count(advance: int) -> None:
            done[0] += advance

        with self._heartbeat(
            lambda passed: transfer_line(shown, passed, done=done[0], total=total)
        ):
            yield count

    @contextmanager
    def waiting(self, title: str, *, limit: float = 0) -> Iterator[None]:
        """Show a spinner with the time on a terminal, elsewhere a line a minute."""
        shown = self._out.clean(title)[0]
        display = self._display()
        context = (
            self._heartbeat(lambda passed: waiting_line(shown, passed, limit=limit))
            if display is None
            else display.spinner(shown, limit=limit)
        )
        with context:
            yield

    def end_progress(self) -> None:
        """Leave a clean terminal, whatever is still at work."""
        with self._out.lock:
            self._is_live = False
            if self._shown is not None:
                self._shown.end()

    @property
    def folds(self) -> bool:
        """False: a title and what is below it are all shown."""
        return False

    def _display(self) -> Display | None:
        """Return what shows progress on a terminal; None elsewhere."""
        with self._out.lock:
            if not self._is_live:
                return None
            if self._shown is None:
                from ign_deploy.ci.display import Display

                self._shown = Display(self._stream, color=self._color)
            return self._shown

    def _heartbeat(self, line: Callable[[float], str]) -> AbstractContextManager[None]:
        return heartbeat(lambda passed: self._write([line(passed)]), beats=self._beats)

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
            if self._shown is None or not self._shown.write_above(indented):
                self._out.write(indented)

    def _paint(self, text: str, colour: str) -> str:
        """Return ``text`` in a colour, if colours are on."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._color else text


def is_terminal(stream: TextIO, env: Mapping[str, str] | None) -> bool:
    """Return whether ``stream`` is a terminal that understands more than plain lines."""
    return env is not None and env.get("TERM") != "dumb" and stream.isatty()
