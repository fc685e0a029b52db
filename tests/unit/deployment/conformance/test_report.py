"""Conformance reports: small, readable again, and the shipped ones are those of the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.conformance.report import (
    MAX_CHARACTERS,
    ConformanceReport,
    Exchange,
    RecordedStep,
    expected_report,
    read_report,
    render_report,
)
from ign_deploy.errors import ConfigurationError
from tests.support.conformance import EXPECTED, VERSIONS, expectation


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_expected_is_what_the_simulator_answers(version: str) -> None:
    assert (EXPECTED / f"{version}.json").read_text("utf-8") == expectation(version), (
        "run: .venv/bin/python -m tests.support.conformance"
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("8.3.0", "8.3.4"),
        ("8.3.4", "8.3.4"),
        ("8.3.5", "8.3.8"),
        ("8.3.10", "8.3.8"),
        ("2027.1", "8.3.8"),
        ("", "8.3.8"),
        ("8.3.x", "8.3.8"),
    ],
)
def test_a_gateway_is_compared_with_the_nearest_version(version: str, expected: str) -> None:
    assert expected_report(version).gateway.version == expected


def test_a_report_can_always_be_pasted_into_an_issue(tmp_path: Path) -> None:
    long = Exchange(method="GET", path="/" + "x" * 100, body={"a": ["b" * 1000] * 50})
    steps = [RecordedStep(name=str(each), exchanges=(long,) * 100) for each in range(7)]
    text = render_report(ConformanceReport(steps=tuple(steps)))
    assert len(text) <= MAX_CHARACTERS
    path = tmp_path / "report.json"
    path.write_text(text, "utf-8")
    read = read_report(path)
    assert read.is_shortened
    assert [step.name for step in read.steps] == [step.name for step in steps]


@pytest.mark.parametrize(
    "text", ["", "{}x", '{"schema": "other"}', '{"steps": [{"name": 1}]}', '{"surprise": 1}', "[]"]
)
def test_anything_else_is_not_a_report(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="is not a valid conformance report"):
        read_report(path)


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_report(tmp_path / "report.json")
