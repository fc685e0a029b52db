"""Java Properties, by the full rules of java.util.Properties.load and store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_WHITE_SPACE = " \t\f"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9/._-]*")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9/._+=-]*")
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


class PropertiesSyntaxError(ValueError):
    r"""A ``\u`` escape without four hexadecimal digits: Java rejects the whole file."""


def parse_properties(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return every (key, value) in file order; a repeated key appears as often as it is written.

    Read as ISO 8859-1, as ``Properties.load(InputStream)`` does. Raises PropertiesSyntaxError.
    """
    return tuple(iterate_properties(data))


def iterate_properties(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield what ``parse_properties`` returns, so that whoever has seen enough can stop."""
    return (_split(line) for line in _logical_lines(data.decode("latin-1")))


def format_properties(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Write pairs in the given order, LF line ends, ASCII only, without a date comment."""
    lines = [f"{escape_key(key)}={_escape(value, first_only=True)}\n" for key, value in pairs]
    return "".join(lines).encode("ascii")


def escape_key(key: str) -> str:
    """Escape a key so that it loads the same as a stream of bytes and as text."""
    return _escape(key, first_only=False)


def _escape(text: str, *, first_only: bool) -> str:
    if (_PLAIN_VALUE if first_only else _PLAIN_KEY).fullmatch(text):
        return text
    named = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
    escaped: list[str] = []
    for index, character in enumerate(text):
        if character in named:
            escaped.append(named[character])
        elif character == "\\" or (character in "=:#!" and not first_only):
            escaped.append("\\" + character)
        elif character == " " and (index == 0 or not first_only):
            escaped.append("\\ ")
        elif " " <= character <= "~":
            escaped.append(character)
        else:
            escaped.extend(_utf16_escapes(character))
    return "".join(escaped)


def _utf16_escapes(character: str) -> Iterator[str]:
    units = character.encode("utf-16-be", "surrogatepass")
    return (f"\\u{units[i]:02X}{units[i + 1]:02X}" for i in range(0, len(units), 2))


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines without comments and blanks, continuation lines joined, escapes untouched."""
    joined: list[str] = []
    is_open = False
    if text.endswith(("\n", "\r")) and not text.endswith("\r\n"):
        text = text[:-1]  # a backslash before it then ends the file, as it does in Java
    for line in _natural_lines(text):
        part = line.lstrip(_WHITE_SPACE)
        # Java takes what follows a lone backslash for a new line, which may be a comment.
        if not joined and part[:1] in ("", "#", "!"):
            is_open = False
            continue
        is_open = _ends_in_odd_backslashes(part)
        content = part[:-1] if is_open else part
        if content:
            joined.append(content)
        if not is_open:
            yield "".join(joined)
            joined = []
    if is_open:
        yield "".join(joined)


def _natural_lines(text: str) -> Iterator[str]:
    """Yield the lines one at a time: a list of them takes 25 times the memory of the text."""
    for match in _LINE.finditer(text):
        yield match[1]
        if not match[2]:
            return


def _ends_in_odd_backslashes(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _split(line: str) -> tuple[str, str]:
    end = 0
    while end < len(line) and line[end] not in "=:" + _WHITE_SPACE:
        end += 2 if line[end] == "\\" else 1
    end = min(end, len(line))
    rest = line[end:].lstrip(_WHITE_SPACE)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_WHITE_SPACE)
    return _unescape(line[:end]), _unescape(rest)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\":
            out.append(character)
        elif position < len(text):
            escaped = text[position]
            position += 1
            if escaped == "u":
                out.append(_code_unit(text[position : position + 4]))
                position += 4
            else:
                out.append(_ESCAPES.get(escaped, escaped))
    return _join_surrogates("".join(out))


def _code_unit(digits: str) -> str:
    if len(digits) != 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        raise PropertiesSyntaxError(f"malformed \\u escape: \\u{digits}")
    return chr(int(digits, 16))


def _join_surrogates(text: str) -> str:
    """Join surrogate pairs into characters; a lone surrogate stays as it is, as in Java."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
