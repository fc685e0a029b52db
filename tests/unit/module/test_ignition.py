from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.ignition import (
    IgnitionSupport,
    ignition_line,
    line_name,
    line_required,
    newest_of_line,
    parsed_ignition,
    require_support,
    runs_on,
)
from ign_deploy.module.version import ModuleVersion


def version(text: str) -> ModuleVersion:
    found = parsed_ignition(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("required", "line"),
    [
        ("8.3.0", "8.3"),
        ("8.1", "8.1"),
        ("8.10.2-rc1", "8.10"),
        ("8.3-beta1", "8.3"),
        ("2027", "2027"),
        ("2027.1", "2027"),
        ("2027.0.3", "2027"),
        ("", ""),
        ("8", ""),
        ("8.3x", ""),
        ("８.３.0", ""),
        ("9" * 5_000 + ".1", ""),
    ],
)
def test_a_line_has_two_numbers_or_a_year(required: str, line: str) -> None:
    assert line_required(required) == line


def test_lines_are_ordered_by_their_age() -> None:
    texts = ["2027.0.0", "8.3.4", "2028", "8.1.33", "7.9.21"]
    lines = sorted({ignition_line(version(text)) for text in texts})
    assert lines == [(7, 9), (8, 1), (8, 3), (2027,), (2028,)]
    assert [line_name(version(text)) for text in texts] == ["2027", "8.3", "2028", "8.1", "7.9"]


@pytest.mark.parametrize("text", ["", "8", "x", "8.3.x", "0027", "99999999999"])
def test_other_texts_are_not_ignition_versions(text: str) -> None:
    assert parsed_ignition(text) is None
    with pytest.raises(ConfigurationError, match="not a valid Ignition version"):
        newest_of_line(text)


@pytest.mark.parametrize(
    ("required", "running", "maximum", "runs"),
    [
        ("8.3.0", "8.3.4", "", True),
        ("8.3.4", "8.3.4", "8.3.4", True),
        ("8.3.0", "8.3.5", "8.3.4", False),
        ("8.3.0", "8.3.5", "8.3", True),
        ("8.3.0", "8.3.5", "2027", True),
        ("8.3.5", "8.3.4", "", False),
        ("8.1.0", "8.3.4", "", False),
        ("8.3.0", "2027.1.0", "", False),
        ("2027.0.0", "2027.1.0", "", True),
        ("2027.0.0", "2027.1.0", "2027", True),
        ("2027.0.0", "2027.1.0", "2027.0", False),
        ("2027.0.0", "2028.0.0", "2028", False),
        ("", "8.3.4", "", False),
    ],
)
def test_a_gateway_runs_what_is_of_its_line_and_supports_it(
    required: str, running: str, maximum: str, *, runs: bool
) -> None:
    assert runs_on(required, version(running), maximum=maximum) is runs


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("8.3", (8, 3, 2**31 - 1, 2**31 - 1)),
        ("2027", (2027, 2**31 - 1, 2**31 - 1, 2**31 - 1)),
        ("8.3.4", (8, 3, 4, 0)),
    ],
)
def test_a_line_stands_for_its_newest_version(text: str, numbers: tuple[int, ...]) -> None:
    assert newest_of_line(text).numbers == numbers


@pytest.mark.parametrize(
    ("tested", "running", "is_tested"),
    [
        ((), "8.3.4", True),
        (("8.3.4",), "8.3.4", True),
        (("8.3.2", "8.3.4"), "8.3.5", False),
        (("8.3",), "8.3.5", True),
        (("8.1",), "8.3.5", False),
        (("2027",), "2027.2.1", True),
    ],
)
def test_a_tested_line_covers_all_its_versions(
    tested: tuple[str, ...], running: str, *, is_tested: bool
) -> None:
    assert IgnitionSupport("", tested).is_tested_on(version(running)) is is_tested


def test_support_is_what_the_settings_say_without_repetitions() -> None:
    assert require_support("8.3", ["8.3.2", "8.3.2"]) == IgnitionSupport("8.3", ("8.3.2",))


@pytest.mark.parametrize(
    ("maximum", "tested", "message"),
    [
        ("8", (), "'8' is not a valid Ignition version"),
        ("", ("8.3.2\x1b",), "not a valid Ignition version"),
        (
            "8.3.4",
            ("8.3.6",),
            "tested on Ignition 8.3.6, but the newest that is supported is 8.3.4",
        ),
    ],
)
def test_impossible_support_is_refused(maximum: str, tested: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        require_support(maximum, tested)
