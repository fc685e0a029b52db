"""Text for a log: untrusted text neutralised, secrets redacted, lines written whole.

Builds, servers, file names and tags may contain anything. A log is read by a terminal (control
characters, ANSI sequences, bidirectional overrides) and by CI hosts, which execute what looks like
a command: ``::name::`` at the start of a trimmed line, ``##[name]`` or ``##vso[name]`` anywhere.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from typing import TextIO

from ign_deploy.ci.mask import Masker
from ign_deploy.errors import numbered_lines, with_subject
from ign_deploy.module.findings import Finding, Severity

MAX_SHOWN = 8192
"""Characters of a line that are shown; the rest is only counted."""

# ECMA-48: CSI, OSC/DCS/SOS/PM/APC strings (ended by BEL or ST, or unfinished), two-byte escapes.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# C0 without tab, DEL, C1, bidirectional controls, invisible characters, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"
    "\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_LEGACY_COMMAND = re.compile(r"##(\w*)\[")
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def neutralise(text: str) -> str:
    r"""Return ``text`` as one line that no terminal interprets and no CI host executes.

    Escape sequences vanish, other invisible characters become visible escapes (``\x07``), and
    command markers get a space or a backslash that the hosts' parsers don't accept.
    """
    line = _UNSAFE.sub(_visible, _ANSI.sub("", text))
    line = _LEGACY_COMMAND.sub(r"## \1[", line)
    if line.lstrip().startswith("::"):
        line = line.replace("::", "\\::", 1)
    return line


def neutral_lines(text: str) -> Iterator[str]:
    """Yield every line of ``text`` neutralised; every kind of line break counts."""
    for line in _LINE_BREAK.split(text):
        yield neutralise(line)


def shorten(text: str, length: int = MAX_SHOWN) -> str:
    """Cut ``text`` to ``length`` characters and say how many are not shown."""
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length} more characters)"


def encodable(text: str) -> str:
    """Return ``text`` with lone surrogates (names that are not UTF-8) as visible escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def safe_lines(text: str, *, masker: Masker) -> list[str]:
    """Return the lines of ``text``, redacted and neutralised.

    Redacted before and after: neutralising may change a secret, or join its parts.
    """
    redacted = masker.redact(text)
    lines = neutral_lines(redacted)
    return [shorten(line if line == redacted else masker.redact(line)) for line in lines]


def finding_headline(finding: Finding, *, file: str = "") -> str:
    """Return ``error[code]: file: location: message``, and nothing of it twice.

    A file with a line has a line of its own; see ``finding_place``.
    """
    subject = "" if finding.line else file
    about = with_subject(subject, with_subject(finding.location, finding.message))
    return f"{_WORDS[finding.severity]}[{finding.code}]: {about}"


def finding_place(finding: Finding, *, file: str) -> str:
    """Return where a finding is: ``file: location``, or ``file:13:5`` with line and column."""
    if file and finding.line:
        return ":".join(map(str, filter(None, (file, finding.line, finding.column))))
    return ": ".join(filter(None, (file, finding.location)))


def finding_message(finding: Finding) -> str:
    """Return the text of an annotation: location, message, and the hint below it."""
    message = with_subject(finding.location, finding.message)
    return "\n".join((message, *hint_lines(finding.hint)))


def hint_lines(hint: str) -> list[str]:
    """Return ``hint: do it.``, or a heading and the steps, each in a line; empty without a hint."""
    steps = numbered_lines(hint)
    return (
        ["to do:", *(f"  {step}" for step in steps)]
        if len(steps) > 1
        else [f"hint: {step}" for step in steps]
    )


class LineWriter:
    """The only thing that writes to the log's stream."""

    def __init__(self, stream: TextIO, masker: Masker) -> None:
        self._stream = stream
        self._masker = masker
        self.lock = threading.RLock()

    def clean(self, text: str) -> list[str]:
        """Return the lines of ``text``; see ``safe_lines``."""
        return safe_lines(text, masker=self._masker)

    def write(self, lines: Iterable[str]) -> None:
        """Write ``lines`` as they are (already cleaned, or ours), together, and flush."""
        block = encodable("".join(f"{line}\n" for line in lines))
        with self.lock:
            try:
                self._stream.write(block)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(block.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()


def _visible(match: re.Match[str]) -> str:
    """Return the escape of one character, as Python would write it."""
    code = ord(match[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def variable_name(output: str) -> str:
    """Return an output's name as a variable: ``module-version`` is ``MODULE_VERSION``."""
    return re.sub(r"[^A-Z0-9_]", "_", output.upper())
