"""A long list as the result: written while the rest of it is still being read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from ign_deploy.ci.text import LineWriter
from ign_deploy.cli.failure import answer_failure, failure_document
from ign_deploy.cli.formatting import json_text
from ign_deploy.cli.session import Session
from ign_deploy.errors import IgnDeployError

_FITTED = 200
"""So many rows decide how wide the columns are."""


class Row(NamedTuple):
    """An entry: as JSON values, and as the cells of a table."""

    document: Mapping[str, Any]
    cells: tuple[str, ...]


def answer_list(
    session: Session,
    groups: Iterable[Sequence[Row]],
    *,
    about: Mapping[str, Any],
    name: str,
    header: tuple[str, ...],
    nothing: str,
) -> None:
    """Answer with all rows: a table, or with ``--json`` the document ``about`` with that list.

    If reading fails after the first row, the document says so at its end. ``nothing`` is the text
    for an empty list.
    """
    filled = (group for group in groups if group)
    first = next(filled, None)
    if first is None:
        session.answer({**about, name: []}, nothing)
        return
    document = {**about, name: [first[0].document]}
    session.answers.append(document)
    found = chain([first], filled)
    clean = LineWriter(session.out, session.masker).clean
    written = (
        _json(session, found, about, name)
        if session.as_json
        else (clean("\n".join(lines)) for lines in _table(found, header))
    )
    for lines in written:
        if not session.write(lines):
            return


def _json(
    session: Session, groups: Iterator[Sequence[Row]], about: Mapping[str, Any], name: str
) -> Iterator[list[str]]:
    """Yield the lines of one JSON document, as ``json.dumps`` would make it."""
    empty = json_text({**about, name: []}, masker=session.masker)
    yield [empty.removesuffix("]\n}")]
    last = ""
    ending = ["  ]", "}"]
    problem: IgnDeployError | None = None
    try:
        for group in groups:
            entries = [_indented(json_text(row.document, masker=session.masker)) for row in group]
            yield [f"{each}," for each in (last, *entries[:-1]) if each]
            last = entries[-1]
    except IgnDeployError as cause:
        problem = cause
        failure = json_text(failure_document(cause), masker=session.masker)
        ending = ["  ],", *failure.splitlines()[1:]]
    yield [last, *ending]
    if problem is not None:
        session.answers.clear()
        answer_failure(replace(session, out=io.StringIO()), problem)
        raise problem


def _indented(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")


def _table(groups: Iterator[Sequence[Row]], header: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the lines of a table; a later cell that is longer moves the rest of its line."""
    rows = [header]
    for group in groups:
        rows += [row.cells for row in group]
        if len(rows) > _FITTED:
            break
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    yield [_line(row, widths) for row in rows]
    for group in groups:
        yield [_line(row.cells, widths) for row in group]


def _line(cells: tuple[str, ...], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip()
