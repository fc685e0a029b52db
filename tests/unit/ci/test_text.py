"""Untrusted text reaches terminals and CI hosts only as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.ci.text import (
    encodable,
    finding_headline,
    hint_lines,
    neutral_lines,
    neutralise,
    shorten,
)
from ign_deploy.module.findings import error
from tests.support.runner_log import COMMANDS, parse_command, parse_legacy

REGISTERED = COMMANDS | {"token"}


def commands_in(line: str) -> bool:
    return bool(parse_command(line, REGISTERED) or parse_legacy(line, REGISTERED))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Btext", "text"),
        ("bell\x07", "bell\\x07"),
        ("back\x08\x08\x08", "back\\x08\\x08\\x08"),
        ("a\u202eb", "a\\u202eb"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("lone\udc80", "lone\\udc80"),
        ("::error::x", "\\::error::x"),
        ("   ::error::x", "   \\::error::x"),
        ("\u00a0::error::x", "\u00a0\\::error::x"),
        ("a ::error::x", "a ::error::x"),
        ("a ##[add-path]x", "a ## [add-path]x"),
        ("###[add-path]x", "### [add-path]x"),
        ("##vso[task.setvariable]x", "## vso[task.setvariable]x"),
        ("##\x1b[0m[add-path]x", "## [add-path]x"),
        ("\x1b[0m::error::x", "\\::error::x"),
        ("\x1b\x1b[0m[31mx", "\\x1b[31mx"),
    ],
)
def test_active_text_becomes_visible_text(text: str, expected: str) -> None:
    assert neutralise(text) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_every_kind_of_line_break_starts_a_line_that_is_neutralised(end: str) -> None:
    assert list(neutral_lines(f"a{end}::error::b")) == ["a", "\\::error::b"]


hostile = st.lists(
    st.sampled_from(
        [*"#[]:; ax=,%\x1b\x9b\r\n\t\x00\u200b\u202em0", "##[", "::", "error", "add-path"]
    )
).map("".join)


@given(hostile | st.text())
def test_no_text_is_ever_a_command(text: str) -> None:
    for line in neutral_lines(text):
        assert not commands_in(line)
        assert not any(ord(char) < 32 and char != "\t" for char in line)


@given(hostile | st.text())
def test_neutralising_twice_changes_nothing(text: str) -> None:
    assert neutralise(neutralise(text)) == neutralise(text)


def test_a_long_line_is_cut_and_says_how_much_is_missing() -> None:
    assert shorten("x" * 10, 4) == "xxxx… (6 more characters)"
    assert shorten("x" * 4, 4) == "xxxx"


def test_names_that_are_not_utf8_can_be_encoded() -> None:
    assert encodable("a\udcff").encode() == b"a\\udcff"


@pytest.mark.parametrize(
    ("file", "location", "message", "expected"),
    [
        ("a.modl", "", "cannot open a.modl: Is a directory", "cannot open a.modl: Is a directory"),
        ("a.modl", "", "cannot open aa.modl", "a.modl: cannot open aa.modl"),
        ("d/a.modl", "", "a.modl is not signed", "d/a.modl: a.modl is not signed"),
        ("a.modl", "x.jar", "x.jar is encrypted", "a.modl: x.jar is encrypted"),
        ("a.modl", "x.jar", "it is encrypted", "a.modl: x.jar: it is encrypted"),
        ("", "", "it is encrypted", "it is encrypted"),
    ],
)
def test_a_finding_names_nothing_twice(
    file: str, location: str, message: str, expected: str
) -> None:
    finding = error("code", message, location=location)
    assert finding_headline(finding, file=file) == f"error[code]: {expected}"


def test_a_hint_of_several_steps_is_a_numbered_list() -> None:
    assert hint_lines("") == []
    assert hint_lines("do it.") == ["hint: do it."]
    assert hint_lines("do it.\n\nthen that.") == ["to do:", "  1. do it.", "  2. then that."]
