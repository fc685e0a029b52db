"""Redacting the encoded secrets that line breaks cut in two: ``base64``, mail and YAML do that."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

# As they are, and as JSON (also within JSON) and URLs write them.
_BREAK = re.compile(r"(\r?\n|\r|(?:\\{1,8}r)?\\{1,8}n|%0[aA])")
_MAY_BREAK = re.compile(r"[\r\n\\]|%0")
_FRAMES = " \t\"'\\,>|"
SHORTEST_PART = 5
"""Characters; fewer hold no more than three bytes of a secret, and occur in ordinary text."""
_SHORTEST_INSIDE = 16


class WrappedForms:
    """Finds the ends, beginnings and inner lines of long encoded forms of secrets.

    Each line is looked at by itself, because a log comes line by line.
    """

    def __init__(self, forms: Collection[str] = ()) -> None:
        self.forms = frozenset(form for form in forms if len(form) > SHORTEST_PART)
        self._parts = frozenset(
            form[start : start + SHORTEST_PART]
            for form in self.forms
            for start in range(len(form) - SHORTEST_PART + 1)
        )

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where those parts are in the text."""
        if not self._parts:
            return
        start = 0
        if _MAY_BREAK.search(text):
            for found in _BREAK.finditer(text):
                yield from self._spans_of_line(text[start : found.start()], start)
                start = found.end()
        yield from self._spans_of_line(text[start:], start)

    def _spans_of_line(self, line: str, offset: int) -> Iterator[tuple[int, int]]:
        bare = line.strip(_FRAMES).rstrip("=")
        if bare[:SHORTEST_PART] not in self._parts and bare[-SHORTEST_PART:] not in self._parts:
            return
        start = offset + line.index(bare)
        stop = start + len(bare)
        if len(bare) >= _SHORTEST_INSIDE and any(bare in form for form in self.forms):
            yield start, stop
        elif head := max(_overlap(form, bare) for form in self.forms):
            yield start, start + head
        if tail := max(_overlap(bare, form) for form in self.forms):
            yield stop - tail, stop


def _overlap(first: str, second: str) -> int:
    """Return how many characters at the end of one text begin the other; 0 for too few."""
    longest = min(len(first), len(second))
    for length in range(longest, SHORTEST_PART - 1, -1):
        if first.endswith(second[:length]):
            return length
    return 0
