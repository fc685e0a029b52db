"""Java Properties: the rules one at a time; tests/interop compares with Java itself."""

from __future__ import annotations

import pytest

from ign_deploy.module.properties import (
    PropertiesSyntaxError,
    escape_key,
    format_properties,
    parse_properties,
)


@pytest.mark.parametrize(
    ("data", "pairs"),
    [
        (b"", []),
        (b"a=b", [("a", "b")]),
        (b"a=b\r\nc=d\re=f\n", [("a", "b"), ("c", "d"), ("e", "f")]),
        (b"# no\n! no\n \t\f# no\n\n\n a = b", [("a", "b")]),
        (b"a:b\nc d\ne\tf\ng\fh\ni", [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("i", "")]),
        (b"a = = b", [("a", "= b")]),
        (b"a : = b", [("a", "= b")]),
        (b"a  =  b  ", [("a", "b  ")]),
        (b"=b", [("", "b")]),
        (b"a\\=b\\:c\\ d=e\\=f", [("a=b:c d", "e=f")]),
        (b"a=b\\\n   c\\\r\n\td", [("a", "bcd")]),
        (b"a=b\\\\\nc=d", [("a", "b\\"), ("c", "d")]),
        (b"a=b\\\n# c", [("a", "b# c")]),
        (b"a=b\\\n\nc=d", [("a", "b"), ("c", "d")]),
        (b"\\\n# a comment after an empty line", []),
        (b"# a comment\\\na=b", [("a", "b")]),
        (b"a=b\\", [("a", "b")]),
        (b"\\u0041\\u00e9\\uD83D\\uDE00=\\t\\n\\r\\f\\z", [("A\u00e9\U0001f600", "\t\n\r\fz")]),
        (b"a=\\uD83D", [("a", "\ud83d")]),
        (b"\xe9=\xff", [("\u00e9", "\u00ff")]),
        (b"a=1\na=2", [("a", "1"), ("a", "2")]),
        (b"/a.jar=QUJD\\\n    REVG==\n", [("/a.jar", "QUJDREVG==")]),
    ],
)
def test_a_file_is_read_by_the_full_rules(data: bytes, pairs: list[tuple[str, str]]) -> None:
    assert list(parse_properties(data)) == pairs


@pytest.mark.parametrize("data", [b"\\u", b"a=\\u12", b"a=\\u12g4", b"\\u+123=a", b"a=\\u 123"])
def test_a_malformed_unicode_escape_is_rejected(data: bytes) -> None:
    with pytest.raises(PropertiesSyntaxError, match="malformed"):
        parse_properties(data)


def test_written_lines_are_ascii_with_lf_and_no_comment() -> None:
    pairs = [("/a b=c:d#e!f\\g\t\n\r\f", "QUJD=="), ("/ü€\U0001f600\u2028\x7f", " x y")]
    assert format_properties(pairs) == (
        b"/a\\ b\\=c\\:d\\#e\\!f\\\\g\\t\\n\\r\\f=QUJD==\n"
        b"/\\u00FC\\u20AC\\uD83D\\uDE00\\u2028\\u007F=\\ x y\n"
    )


def test_a_key_that_looks_like_a_comment_is_escaped() -> None:
    assert escape_key("#a") == "\\#a"


def test_many_continued_lines_take_linear_time() -> None:
    assert parse_properties(b"\\\n" * 500_000) == (("", ""),)
    (pair,) = parse_properties(b"a=" + b"b\\\n" * 500_000)
    assert len(pair[1]) == 500_000
