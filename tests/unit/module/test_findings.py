"""Findings: their order, and a documented row for every code that the program uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ign_deploy.ci.text import finding_headline, finding_message
from ign_deploy.errors import VerificationError, with_subject
from ign_deploy.module.findings import (
    MOST_ALIKE,
    Severity,
    bounded,
    error,
    errors_among,
    info,
    legible,
    legible_bytes,
    warning,
    worst_first,
)
from tools.finding_codes import used_codes

PROJECT = Path(__file__).parents[3]
ROW = re.compile(
    r"\| `(?P<code>[a-z0-9-]+)` \| (?P<severity>error|warning|info) \| .+\. \| .+\. \|"
)


def test_every_code_has_its_row_and_every_row_its_code() -> None:
    rows = [
        row
        for line in (PROJECT / "docs" / "findings.md").read_text().splitlines()
        if (row := ROW.fullmatch(line))
    ]
    documented = {row["code"]: {row["severity"]} for row in rows}
    assert len(documented) == len(rows), "a code has two rows"
    assert documented == used_codes()


def test_of_each_code_only_some_findings_are_kept() -> None:
    many = (error("many", f"file {number}") for number in range(100_000))
    few = [warning("few", "one"), warning("few", "two")]
    found = bounded((*few, *many))
    assert found[:2] == few
    assert len(found) == 2 + MOST_ALIKE + 1
    assert found[-1].severity is Severity.ERROR
    assert found[-1].message == "99900 more findings of this kind are not shown"
    assert bounded(few) == few


def test_no_row_is_malformed() -> None:
    lines = (PROJECT / "docs" / "findings.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert [line for line in table if not ROW.fullmatch(line)] == []


def test_findings_are_ordered_worst_first_else_as_found() -> None:
    found = [info("i", ""), error("e1", ""), warning("w", ""), error("e2", "")]
    assert [one.code for one in worst_first(found)] == ["e1", "e2", "w", "i"]
    assert [one.code for one in errors_among(found)] == ["e1", "e2"]
    assert sorted(Severity) == [Severity.ERROR, Severity.WARNING, Severity.INFO]


def test_a_finding_as_data_holds_plain_strings() -> None:
    finding = error("entry-name", "what", location="a.jar", hint="do this.")
    assert finding.as_dict() == {
        "code": "entry-name",
        "severity": "error",
        "message": "what",
        "location": "a.jar",
        "hint": "do this.",
    }


def test_an_error_sums_up_its_findings_worst_first() -> None:
    findings = (warning("w", "odd"), error("a", "broken", hint="fix it."), error("b", "gone"))
    problem = VerificationError.from_findings(*findings, about="x.modl")
    assert problem.message == "x.modl: broken (and 1 more)"
    assert problem.hint == "fix it."
    assert [finding.code for finding in problem.findings] == ["a", "b", "w"]


def test_an_error_of_one_finding_says_what_it_says() -> None:
    problem = VerificationError.from_findings(error("a", "broken"), hint="look.")
    assert (problem.message, problem.hint) == ("broken", "look.")


@pytest.mark.parametrize(
    ("subject", "message", "whole"),
    [
        ("pump.modl", "it is broken", "pump.modl: it is broken"),
        ("pump.modl", "pump.modl is broken", "pump.modl is broken"),
        ("", "it is broken", "it is broken"),
        ("module.xml: version", "version: 'x' is odd", "module.xml: version: 'x' is odd"),
        ("module.xml: version", "version 'x' is odd", "module.xml: version 'x' is odd"),
        ("module.xml: version", "versions differ", "module.xml: version: versions differ"),
        ("module.xml: id", "module.xml has no <id>", "module.xml has no <id>"),
        ("module.xml: hook", "a <hook> is odd", "module.xml: hook: a <hook> is odd"),
    ],
)
def test_nothing_is_named_twice(subject: str, message: str, whole: str) -> None:
    assert with_subject(subject, message) == whole
    assert finding_headline(error("a", message, location=subject)) == f"error[a]: {whole}"
    assert finding_message(error("a", message, location=subject)) == whole


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße.html", "Grüße.html"),
        ("水.html", "水.html"),
        ("doc\\a", "doc\\a"),
        ("a\n\x1b[31m\x7f", "a\\n\\x1b[31m\\x7f"),
        ("a\u202eb\u200b", "a\\u202eb\\u200b"),
        ("a\udcff", "a\\udcff"),
    ],
)
def test_names_are_shown_as_they_are_but_for_what_is_invisible(text: str, shown: str) -> None:
    assert legible(text) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Grüße".encode(), "Grüße"),
        (b"Gr\xfc\xdfe", "Grüße"),
        (b"Gr\x81\xe1e", "Grüße"),
        ("a\u202e".encode(), "a\\u202e"),
        (b"\xfc\n", "ⁿ\\n"),
    ],
)
def test_a_name_is_shown_in_the_encoding_that_it_probably_has(raw: bytes, shown: str) -> None:
    assert legible_bytes(raw) == shown
