"""GitHub: log commands and file commands; the only module that knows actions-toolkit.

The toolkit's primitives build and escape the commands. What it lacks is added here: everything is
flushed (a secret must not be printed before its mask), names are validated (a newline in a name
makes another output), text is neutralised and masked, groups don't need a coroutine, nothing exits
the process, and the environment is passed in as a Mapping. ``actions_toolkit.core`` is not used: it
imports requests and reads the process's environment.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from ign_deploy.ci.heartbeat import (
    Beats,
    every_minute,
    heartbeat,
    transfer_line,
    waiting_line,
)
from ign_deploy.ci.mask import Masker
from ign_deploy.ci.text import LineWriter, encodable, finding_headline, finding_message, neutralise
from ign_deploy.errors import ConfigurationError
from ign_deploy.files import open_regular, os_error_reason
from ign_deploy.module.findings import Finding, Severity

if TYPE_CHECKING:
    from ign_deploy.report import Progress

ANNOTATIONS_PER_TYPE = 10
"""The runner keeps this many annotations of each type per step and silently drops the rest."""
ANNOTATION_LENGTH = 4096
SUMMARY_SIZE = 1024 * 1024
"""Bytes; a larger summary file is rejected."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}")
_TYPES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


class GitHubReporter:
    """Writes log commands for the runner that reads ``stream`` (stdout or stderr alike)."""

    def __init__(
        self,
        stream: TextIO,
        *,
        masker: Masker | None = None,
        wording: Callable[[str], str] = str,
        beats: Beats = every_minute,
    ) -> None:
        self._masker = masker if masker is not None else Masker()
        self._out = LineWriter(stream, self._masker)
        self._wording = wording
        self._beats = beats
        self._depth = 0
        self._annotations: Counter[str] = Counter()
        self._stopped = ""
        """The word that lets the runner obey commands again; empty while it does."""

    def mask(self, secret: str) -> None:
        """Make the runner redact ``secret`` at once; we redact it ourselves, too."""
        with self._out.lock:
            forms = self._masker.add(secret)
            self._write([_command("add-mask", message=form) for form in forms])

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold the stage's lines; the runner has one level, so inner groups are just titles."""
        heading = " ".join(self._out.clean(title))
        outermost = self._depth == 0
        self._write([_command("group", message=heading) if outermost else heading])
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._write([_command("endgroup")] if outermost else [])

    def info(self, message: str) -> None:
        """Write the message's lines."""
        self._write(self._out.clean(self._wording(message)))

    def warning(self, message: str) -> None:
        """Annotate the run with a warning."""
        message = self._wording(message)
        self._annotate("warning", message, plain=f"warning: {message}")

    def finding(self, finding: Finding, *, file: str = "") -> None:
        """Annotate the run; ``file`` is relative to the workspace and makes it show in the diff."""
        finding = finding.worded(self._wording)
        properties = {"file": file, "title": finding.code}
        if file and finding.line:
            place = {"line": str(finding.line), "col": str(finding.column or "")}
            properties = {"file": file, **place, "title": finding.code}
        plain = finding_headline(finding, file=file)
        self._annotate(_TYPES[finding.severity], finding_message(finding), plain, **properties)

    def untrusted(self, lines: Sequence[str]) -> None:
        """Write the lines while the runner ignores commands, and neutralised all the same.

        In a group, it goes on ignoring them until we say something ourselves or the group ends: a
        build's output, which comes in parts, is between one pair of commands.
        """
        cleaned = [text for line in lines for text in self._out.clean(line)]
        with self._out.lock:
            if not self._stopped:
                self._stopped = secrets.token_hex(16)
                cleaned.insert(0, _command("stop-commands", message=self._stopped))
            self._out.write(cleaned)
            if self._depth == 0:
                self._write([])

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """Write a line a minute: a log has no use for a moving bar."""
        shown, done = self._out.clean(title)[0], [0]

        def count(advance: int) -> None:
            done[0] += advance

        def say(passed: float) -> None:
            # Not through _write: a plain line needs no runner that obeys commands.
            self._out.write([transfer_line(shown, passed, done=done[0], total=total)])

        with heartbeat(say, beats=self._beats):
            yield count

    @contextmanager
    def waiting(self, title: str, *, limit: float = 0) -> Iterator[None]:
        """Write a line a minute."""
        shown = self._out.clean(title)[0]

        def say(passed: float) -> None:
            self._out.write([waiting_line(shown, passed, limit=limit)])

        with heartbeat(say, beats=self._beats):
            yield

    def end_progress(self) -> None:
        """Do nothing: a line that was written stays."""

    @property
    def folds(self) -> bool:
        """True: the runner folds them."""
        return True

    def _write(self, lines: Sequence[str]) -> None:
        """Write lines of our own, after which the runner obeys commands again."""
        with self._out.lock:
            if self._stopped:
                lines = [f"::{self._stopped}::", *lines]
                self._stopped = ""
            if lines:
                self._out.write(lines)

    def _annotate(self, kind: str, message: str, plain: str, **properties: str) -> None:
        """Write an annotation, or a plain line when the runner would drop the annotation."""
        with self._out.lock:
            self._annotations[kind] += 1
            if self._annotations[kind] > ANNOTATIONS_PER_TYPE:
                self._write(self._out.clean(plain))
                return
            text = "\n".join(self._out.clean(message))
            cleaned = {
                name: " ".join(self._out.clean(value))
                for name, value in properties.items()
                if value
            }
            self._write([_command(kind, message=text[:ANNOTATION_LENGTH], **cleaned)])


def append_outputs(outputs: Mapping[str, str], *, env: Mapping[str, str], masker: Masker) -> None:
    """Append step outputs to the runner's file; secrets in values are redacted.

    Raises ConfigurationError for a name that is not ``[A-Za-z_][A-Za-z0-9_-]*`` (nothing is
    written then) or when the file is missing.
    """
    from actions_toolkit.file_command import (
        prepare_key_value_message,
    )

    records: list[str] = []
    for name, value in outputs.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{neutralise(name)!r} is not a valid output name",
                hint="use only letters, digits, '-' and '_', and begin with a letter or '_'.",
            )
        text = masker.redact(encodable(value))
        # An empty heredoc has a blank line, which some runners reject.
        records.append(str(prepare_key_value_message(name, text)) if text else f"{name}=")
    _append(env, "GITHUB_OUTPUT", "".join(f"{record}\n" for record in records))


def append_summary(markdown: str, *, env: Mapping[str, str], masker: Masker) -> None:
    """Append to the step's summary; cut at a line's end if it is too large for the runner."""
    path = _command_file(env, "GITHUB_STEP_SUMMARY")
    used = path.stat().st_size if path.exists() else 0
    text = masker.redact(encodable(markdown))
    _append(env, "GITHUB_STEP_SUMMARY", _cut(f"{text.rstrip()}\n", SUMMARY_SIZE - used))


def _cut(text: str, room: int) -> str:
    """Return ``text`` in at most ``room`` bytes, without half a line."""
    data = text.encode("utf-8")
    if len(data) <= room:
        return text
    notice = "\n\n*The summary was too long and was cut here; the result file has everything.*\n"
    kept = data[: max(0, room - len(notice))].rpartition(b"\n")[0]
    return kept.decode("utf-8") + notice if kept else ""


def _command_file(env: Mapping[str, str], variable: str) -> Path:
    """Return the path of the runner's file that ``variable`` names."""
    value = env.get(variable, "")
    if not value:
        raise ConfigurationError(
            f"{variable} is not set, but GITHUB_ACTIONS=true",
            hint="run the container as an action, or pass on the runner's GITHUB_* variables.",
        )
    return Path(value)


def _append(env: Mapping[str, str], variable: str, text: str) -> None:
    """Append ``text`` to the runner's file that ``variable`` names, in one write."""
    with _opened(env, variable) as stream:
        stream.write(text.encode("utf-8"))


def check_command_file(env: Mapping[str, str], variable: str) -> None:
    """Raise ConfigurationError unless the runner's file can be appended to."""
    with _opened(env, variable) as stream:
        # Only a write finds a full disk; the runner ignores empty lines, should we be killed here.
        size = stream.seek(0, os.SEEK_END)
        stream.write(b"\n")
        stream.flush()
        stream.truncate(size)


@contextmanager
def _opened(env: Mapping[str, str], variable: str) -> Iterator[BinaryIO]:
    """Open the runner's file to append to it; raises ConfigurationError, also for what follows."""
    path = _command_file(env, variable)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        with os.fdopen(open_regular(path, flags, follow_links=True), "ab") as stream:
            yield stream
    except OSError as cause:
        raise ConfigurationError(
            f"cannot write {path} ({variable}): {os_error_reason(cause)}",
            hint="mount the runner's file_commands folder into the container as writable, and free "
            "space on its disk.",
        ) from cause


def _command(name: str, *, message: str = "", **properties: str) -> str:
    """Return the runner's command line, escaped by the toolkit."""
    from actions_toolkit.command import Command

    return str(Command(name, properties, message))
