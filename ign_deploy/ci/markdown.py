"""Untrusted text as GitHub-flavoured Markdown: escaped, and in tables and lists of limited size."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ign_deploy.ci.text import neutral_lines, shorten

CELL = 400
"""Characters that are shown of a cell."""
SENTENCE = 1000
"""Characters that are shown of a sentence."""
_ACTIVE = re.compile(r"""[\\`*_\[\]#|~!<>&@$"'{}()]|:(?=//)|(?<=www)\.""", re.IGNORECASE)
_QUOTED = re.compile(r"&#96;(.+?)&#96;")
_NEXT_STEP = re.compile(r"(?:^|(?<=\s))(\d{1,2})\. ")


def escape(text: str, *, length: int = CELL) -> str:
    """Return untrusted text that renders as itself: one line, no markup, no links."""
    line = shorten(" ".join(neutral_lines(text)).strip(), length)
    return _ACTIVE.sub(lambda match: f"&#{ord(match[0])};", line)


def prose(text: str, *, length: int = SENTENCE) -> str:
    """Return a sentence escaped, with what is in backticks as code."""
    return _QUOTED.sub(r"<code>\1</code>", escape(text, length=length))


def code(text: str) -> str:
    """Return text as code; HTML, since text could break out of Markdown's backticks."""
    return f"<code>{escape(text)}</code>" if text else ""


def link(text: str, *, url: str) -> str:
    """Return escaped text, linked if ``url`` is the address of a web page."""
    if not re.fullmatch(r"https?://[\x21-\x7e]{1,1000}", url):
        return escape(text)
    address = re.sub(r"""[&<>"'|`\\]""", lambda match: f"&#{ord(match[0])};", url)
    return f'<a href="{address}">{escape(text)}</a>'


def split_steps(text: str) -> list[str]:
    """Return the steps of a hint: its lines, or what it numbers (``1. … 2. …``); else one step."""
    return [step for line in text.splitlines() for step in _numbered(line) if step]


def _numbered(text: str) -> list[str]:
    steps: list[str] = []
    begin = 0
    for match in _NEXT_STEP.finditer(text):
        if int(match[1]) == len(steps) + 1 and (steps or match.start() == 0):
            steps.append("")
            if len(steps) > 1:
                steps[-2] = text[begin : match.start()].strip()
            begin = match.end()
    return [*steps[:-1], text[begin:].strip()]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, size: int) -> str:
    """Return a table without its empty columns; of the rows, as many as fit into ``size`` bytes.

    Cells are Markdown. A line below the table counts the rows that are left out.
    """
    used = [number for number in range(len(header)) if any(row[number] for row in rows)]
    heading = [header[number] for number in used]
    lines = [f"| {' | '.join(heading)} |", f"|{' --- |' * len(heading)}"]
    cells = (f"| {' | '.join(row[number] for number in used)} |" for row in rows)
    fitting, omitted = _fitting(list(cells), size)
    return "\n".join([*lines, *fitting, *([f"\n{omitted}"] if omitted else [])])


def markdown_list(entries: Sequence[str], *, size: int, numbered: bool = False) -> str:
    """Return a list of as many entries (Markdown) as fit into ``size`` bytes."""
    marked = [
        f"{f'{number}.' if numbered else '-'} {entry}" for number, entry in enumerate(entries, 1)
    ]
    fitting, omitted = _fitting(marked, size)
    return "\n".join([*fitting, *([f"\n{omitted}"] if omitted else [])])


def _fitting(lines: list[str], size: int) -> tuple[list[str], str]:
    """Return the first lines that fit into ``size`` bytes, and a sentence about the others."""
    used = 0
    for number, line in enumerate(lines):
        used += len(line.encode("utf-8", "backslashreplace")) + 1
        if used > size:
            more = f"… and {len(lines) - number} more; the result file has everything."
            return lines[:number], more
    return lines, ""
