"""Where the keys of a TOML text are, so that an error can show its line; values are never shown.

``tomllib`` reads the text and decides what is valid; it keeps no positions, so they are looked up
here once something is wrong. A value may be a secret in the wrong place: only keys are quoted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

KeyPath = tuple[str | int, ...]
"""The keys that lead to a value, with the indexes of lists: ``("gateways", 0, "url")``."""

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)*")
_PART = re.compile(r"[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]\[{}\"'#=]+")
# What may be quoted of a line that can't be read: a header, a key, or a word that looks like one.
_STRUCTURE = re.compile(
    r"\[{1,2}[A-Za-z0-9_. -]*\]{0,2}|[A-Za-z0-9_.-]+[ \t]*=|[a-z][a-z._-]*(?![^\s])|[\]}=,]"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the text: a key with its length, and where its value begins; all are offsets."""

    key: int
    length: int
    value: int


class _Unreadable(Exception):
    """The text ends here, or isn't TOML from here on."""


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    begun: int = 0
    """Where the statement that is being read begins."""
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    arrays: dict[KeyPath, int] = field(default_factory=dict)

    def scan(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_GAP)
            if self.at >= len(self.text):
                return
            self.begun = self.at
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        begin, is_array = self.at, self.text.startswith("[[", self.at)
        self.at += 1 + is_array
        path = self._resolved(self._keys(), is_array=is_array)
        self._expect("]]" if is_array else "]")
        self.marks.setdefault(path, Mark(begin, self.at - begin, begin))
        return path

    def _resolved(self, keys: list[str], *, is_array: bool) -> KeyPath:
        """Return the path with the index of the newest table of each array."""
        path: KeyPath = ()
        for number, key in enumerate(keys, start=1):
            path += (key,)
            if is_array and number == len(keys):
                self.arrays[path] = self.arrays.get(path, -1) + 1
            if path in self.arrays:
                path += (self.arrays[path],)
        return path

    def _pair(self, table: KeyPath) -> None:
        begin = self.at
        path = (*table, *self._keys())
        length = len(self.text[begin : self.at].rstrip())
        self._expect("=")
        self._skip(_SPACE)
        for depth in range(len(table) + 1, len(path) + 1):
            self.marks.setdefault(path[:depth], Mark(begin, length, self.at))
        self._value(path)

    def _keys(self) -> list[str]:
        found: list[str] = []
        while True:
            self._skip(_SPACE)
            part = self._take(_PART)
            found.append(next(iter(tomllib.loads(f"{part}=1"))))
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return found
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        first = self.text[self.at : self.at + 1]
        if first == "[":
            self._list(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._take(_TEXT if first in ("'", '"') else _BARE)

    def _list(self, path: KeyPath) -> None:
        self.at += 1
        for number in range(len(self.text)):
            self._skip(_GAP)
            if self.text.startswith("]", self.at):
                break
            inner = (*path, number)
            self.marks.setdefault(inner, Mark(self.at, 0, self.at))
            self._value(inner)
            self._skip(_GAP)
            if self.text.startswith(",", self.at):
                self.at += 1
        self._expect("]")

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self._skip(_GAP)
            if self.text.startswith("}", self.at):
                break
            self._pair(path)
            self._skip(_GAP)
            if self.text.startswith(",", self.at):
                self.at += 1
        self._expect("}")

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at) or self._stop()
        self.at = match.end()
        return match[0]

    def _expect(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            self._stop()
        self.at += len(text)

    def _stop(self) -> NoReturn:
        raise _Unreadable


def find_marks(text: str) -> tuple[Mapping[KeyPath, Mark], int]:
    """Return the marks of all keys and items, and where the last statement begins.

    Of a text that isn't valid, up to where it can't be read.
    """
    scanner = _Scanner(text)
    with suppress(_Unreadable, RecursionError, tomllib.TOMLDecodeError):
        scanner.scan()
    return scanner.marks, scanner.begun


def excerpt(text: str, mark: Mark, *, is_value: bool = False) -> str:
    """Return the key's line with its number, and a caret below the key or its value (``…``)."""
    start, end, line = _line_at(text, mark.value if is_value else mark.key)
    has_key = start <= mark.key and mark.length > 0
    key = text[mark.key : min(mark.key + mark.length, end)] if has_key else ""
    before = "… " if has_key and text[start : mark.key].strip() else ""
    is_header = mark.key == mark.value and has_key
    shown = f"{before}{key}" if is_header else f"{before}{key} = …" if key else "…"
    if is_value and not is_header:
        return _lines(shown, line, len(shown) - 1, 1)
    return _lines(shown, line, len(before), len(key) or 1)


def excerpt_at(text: str, offset: int) -> str:
    """Return the line of ``offset`` in a text that can't be read, with a caret."""
    start, end, line = _line_at(text, min(offset, len(text)))
    content = text[start:end].rstrip()
    indent = len(content) - len(content.lstrip())
    match = _STRUCTURE.match(content, indent)
    known = match[0] if match else ""
    is_all = indent + len(known) >= len(content)
    shown = known if is_all else f"{known} …".lstrip()
    column = min(max(offset - start - indent, 0), len(shown) if is_all else len(shown) - 1)
    return _lines(shown, line, column, 1)


def line_of(text: str, offset: int) -> int:
    """Return the number of the line, from 1."""
    return text.count("\n", 0, offset) + 1


def offset_of(text: str, line: int, column: int) -> int:
    """Return the offset of a line and a column, both from 1."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(start + column - 1, len(text))


def _line_at(text: str, offset: int) -> tuple[int, int, int]:
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return start, len(text) if end < 0 else end, line_of(text, offset)


def _lines(shown: str, line: int, column: int, length: int) -> str:
    """Return both lines; a tab is one column wide, as in the position."""
    margin = f"{line} | "
    blank = f"{' ' * len(str(line))} | "
    return f"{margin}{shown}".replace("\t", " ") + f"\n{blank}{' ' * column}{'^' * length}"
