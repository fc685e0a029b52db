"""Errors in sources and build scripts, as compilers, Gradle and Maven write them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

_NUMBER = r"\d{1,7}"
# javac: "/p/A.java:3: error: …"; Maven: "[ERROR] /p/A.java:[3,12] …"; Kotlin: "e: file:///p/A.kt:3:5
# …", before 1.8 "e: /p/A.kt: (3, 5): …"; Groovy: "/p/A.groovy: 3: …".
_MISTAKE = re.compile(
    rf"^(?P<mark>\[ERROR\] |e: )?(?P<url>file://)?"
    rf"(?P<file>[^:]{{0,1000}}?[^:/\s][^:/]{{0,200}}\.(?:java|kts?|groovy|scala)): ?"
    rf"[\[(]?(?P<line>{_NUMBER})(?:, ?(?P<pair>{_NUMBER})[\])]|:(?P<column>{_NUMBER})(?=[: ]))?"
    rf":? ?(?P<error>error: )?(?P<text>\S.{{0,300}})"
)
# Of a script, the report has the place, and in another line what is wrong.
_WHERE = re.compile(rf"^[A-Z][a-z ]{{2,40}} '(?P<file>[^']{{1,1000}})' line: (?P<line>{_NUMBER})$")
_SCRIPT = re.compile(
    rf"^[a-z]+ (?:file|script) '(?P<file>[^']{{1,1000}})': (?P<line>{_NUMBER}): "
    r"(?P<text>.{1,300})"
)
_KOTLIN_SCRIPT = re.compile(r"^\^ (?P<text>.{1,300})")
_GROOVY_PLACE = re.compile(rf" ?@ line {_NUMBER}, column {_NUMBER}\.?$")


@dataclass(frozen=True, slots=True)
class Mistake:
    """An error in a file, as it was written: untrusted. ``column`` is 0 if it isn't known."""

    file: str
    line: int
    text: str
    column: int = 0

    @property
    def quoted(self) -> str:
        """The error as a compiler says it: ``Pump.java:3: error: reached end of file``."""
        name = shown_text(self.file.rpartition("/")[2])
        return f"{name}:{self.line}: error: {shown_text(self.text)}".rstrip(" .:")

    def path_in(self, root: Path) -> Path | None:
        """Return the path of a file that exists below the project; None for any other text."""
        path = Path(os.path.normpath(root.absolute() / self.file))
        is_named = self.file.isprintable() and path.is_relative_to(root.absolute())
        try:
            return path if is_named and path.is_file() else None
        except OSError:
            return None  # such as a name that is too long


def compiler_mistake(line: str) -> Mistake | None:
    """Return a compiler's error, None if the line is anything else, such as a warning."""
    match = _MISTAKE.match(line)
    if match is None:
        return None
    file = match["file"]
    if not (match["error"] or match["mark"] or file.endswith(".groovy")):
        return None
    return Mistake(
        unquote(file) if match["url"] else file,
        int(match["line"]),
        _GROOVY_PLACE.sub("", match["text"]),
        int(match["pair"] or match["column"] or 0),
    )


@dataclass(slots=True)
class ScriptWatch:
    """Watches Gradle's report for the first place in a build script, and what is wrong there."""

    _file: str = ""
    _line: int = 0
    _text: str = ""

    def see(self, text: str) -> None:
        """Look at one more line of the report, stripped."""
        if match := _WHERE.match(text):
            if not self._file:
                self._file, self._line = match["file"], int(match["line"])
        elif self._text:
            return
        elif match := _SCRIPT.match(text):
            self._file, self._line = match["file"], int(match["line"])
            self._text = _GROOVY_PLACE.sub("", match["text"])
        elif self._file and (match := _KOTLIN_SCRIPT.match(text)):
            self._text = match["text"]

    def mistake(self, reason: str) -> Mistake | None:
        """Return the mistake; ``reason`` is what Gradle says where the script has no more."""
        text = self._text or reason
        return Mistake(self._file, self._line, text) if self._file and text else None


def shown_text(text: str) -> str:
    """Make untrusted text safe for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
