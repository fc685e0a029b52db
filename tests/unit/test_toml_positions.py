"""Positions of TOML keys: those of every key that tomllib reads, whatever is around them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from ign_deploy.settings.toml_positions import KeyPath, excerpt, excerpt_at, find_marks, line_of
from tests.support.pages import ROOT

ODD = '''# a = 1
\ttabs\t=\t"a # b"\t# c
"quoted \\u0061" = 'lit"eral'
dotted . "key" = 1979-05-27 07:32:00
multi = """
key = "no"
\\""" "" """""
literal = \'\'\'
a = 1\'\'\'\'
list = [ # comment ]
  "a,]",
  [1, 2], { x = 1, "y z" = [true] },
]
empty = []
inline = { a.b = 1, c = {}, d = "}" }
[table]
key = -inf
[[rows]]
key = 1
[[rows]]
key = 2
[rows.inner]
key = 3
[[rows.deep]]
key = 4
[ spaced . "header" ]
key = 0x1F
'''
FILES = {
    path.name: path.read_text("utf-8")
    for path in (*(ROOT / "examples" / "config").glob("*.toml"), ROOT / "pyproject.toml")
}


def paths_in(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every key and item of a document."""
    found: dict[Any, object] = value if isinstance(value, dict) else {}
    for key, inner in dict(enumerate(value)).items() if isinstance(value, list) else found.items():
        yield (*path, key)
        yield from paths_in(inner, (*path, key))


@pytest.mark.parametrize("text", [ODD, *FILES.values()], ids=["odd", *FILES])
def test_every_key_has_a_mark_on_its_line(text: str) -> None:
    marks, _ = find_marks(text)
    for path in paths_in(tomllib.loads(text)):
        if path in marks:
            key = next(each for each in reversed(path) if isinstance(each, str))
            line = text.splitlines()[line_of(text, marks[path].key) - 1]
            assert key in line or "\\u0061" in line or isinstance(path[-1], int), path
        else:  # an array has the marks of its tables, a table perhaps those of its keys
            assert any(each[: len(path)] == path for each in marks), path


@pytest.mark.parametrize("text", ["a = ", 'a = "x', "[[a", "a = [1", "a = {b", "=", "[" * 9999])
def test_a_text_that_is_not_finished_is_read_as_far_as_it_goes(text: str) -> None:
    marks, begun = find_marks("before = 1\n" + text)
    assert marks["before",].key == 0
    assert line_of("before = 1\n" + text, begun) == 2


@pytest.mark.parametrize(
    ("path", "is_value", "expected"),
    [
        (("a",), False, "1 | a = …\n  | ^"),
        (("a",), True, "1 | a = …\n  |     ^"),
        (("t", "b"), False, "3 | … b = …\n  |   ^"),
        (("l", 1), True, "6 | …\n  | ^"),
        (("g", 0), True, "7 | [[g]]\n  | ^^^^^"),
    ],
)
def test_an_excerpt_shows_the_key_and_never_a_value(
    path: KeyPath, is_value: bool, expected: str
) -> None:
    text = (
        'a = "secret"\n\n  t = {a = "secret", b = "secret"}\nl = [\n"secret",\n"secret"]\n[[g]]\n'
    )
    marks, _ = find_marks(text)
    assert excerpt(text, marks[path], is_value=is_value) == expected


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("a = hunter2", 4, "1 | a = …\n  |     ^"),
        ("signing-password hunter2", 17, "1 | signing-password …\n  |                  ^"),
        ("  MIIEvQ9hunter2", 2, "1 | …\n  | ^"),
        ('"hunter2" x', 10, "1 | …\n  | ^"),
        ("[[gateways]", 11, "1 | [[gateways]\n  |            ^"),
        ("\ta\t=\t", 4, "1 | a =\n  |    ^"),
        ("", 0, "1 | \n  | ^"),
    ],
)
def test_a_line_that_cannot_be_read_shows_no_value(line: str, column: int, expected: str) -> None:
    assert excerpt_at(line, column) == expected
