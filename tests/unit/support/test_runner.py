"""The emulated runner keeps the real runner's rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.runner import (
    FileCommandError,
    Runner,
    StepResult,
    file_command_values,
    input_variable,
    log_lines,
)
from tests.support.runner_log import LogReader, parse_command, parse_legacy


def read(*lines: str, secrets: tuple[str, ...] = ()) -> LogReader:
    reader = LogReader(secrets=secrets)
    for line in lines:
        reader.read(line)
    return reader


def run(tmp_path: Path, program: str, **inputs: str) -> StepResult:
    action = tmp_path / "action.yml"
    action.write_text("inputs: {with-default: {default: 'yes'}, without-default: {}}\n")
    runner = Runner(
        tmp_path / "runner",
        secrets=("hunter22",),
        action=action,
        command=(sys.executable, "-I", "-c", program),
    )
    return runner.run(inputs)


def test_a_command_is_read_at_the_start_of_a_trimmed_line_only() -> None:
    assert [command.name for command in read("  ::error::x", "a ::error::y").commands] == ["error"]


def test_a_legacy_command_is_read_anywhere_in_a_line() -> None:
    assert [command.data for command in read("text ##[warning]x").commands] == ["x"]


def test_properties_and_data_are_unescaped() -> None:
    command = parse_command("::error file=a%2Cb%3Ac,line=1,::x%0Ay%250A", frozenset({"error"}))
    assert command is not None
    assert command.properties == {"file": "a,b:c", "line": "1"}
    assert command.data == "x\ny%0A"


def test_legacy_properties_are_unescaped_by_their_own_rules() -> None:
    command = parse_legacy("##[error file=a%3Bb;x=%5D]y", frozenset({"error"}))
    assert command is not None
    assert command.properties == {"file": "a;b", "x": "]"}


def test_an_unknown_command_is_text() -> None:
    reader = read("::nonsense::x", "::error")
    assert reader.commands == []
    assert reader.log == ["::nonsense::x", "::error"]


def test_stopped_commands_are_text_until_the_token() -> None:
    reader = read("::stop-commands::tok", "::error::a", "::other::", "::tok::", "::error::b")
    assert [item.message for item in reader.annotations] == ["b"]
    assert not reader.stopped


@pytest.mark.parametrize("token", ["", "error", "pause-logging"])
def test_a_stop_token_that_is_a_command_fails_the_step(token: str) -> None:
    assert read(f"::stop-commands::{token}").problems


def test_a_secret_printed_before_its_mask_leaks() -> None:
    assert read("hunter22", "::add-mask::hunter22", secrets=("hunter22",)).leaked == ["hunter22"]
    assert read("::add-mask::hunter22", "hunter22", secrets=("hunter22",)).leaked == []


def test_a_mask_hides_the_value_and_each_of_its_lines() -> None:
    reader = read("::add-mask::abc%0Adef", "abc", "x def")
    assert reader.log == ["***", "x ***"]


def test_an_empty_mask_is_a_problem() -> None:
    assert read("::add-mask::").problems


def test_a_disabled_command_fails_the_step() -> None:
    assert read("##[add-path]/evil").problems == ["add-path is disabled"]


def test_only_ten_annotations_of_a_type_are_kept() -> None:
    reader = read(*["::error::x"] * 12, "::warning::y")
    assert len(reader.annotations) == 11
    assert reader.dropped == {"error": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b\n", {"a": "b"}),
        ("a=b<<c\n", {"a": "b<<c"}),
        ("a=\n\nb=c", {"a": "", "b": "c"}),
        ("a<<E\nx\n\ny=z\nE\nb=1\n", {"a": "x\n\ny=z", "b": "1"}),
        ("a<<E\nE\n", {"a": ""}),
        ("a<<E\n E\nE\n", {"a": " E"}),
        ("a<<E\nx\r\nE\n", {"a": "x\r"}),
    ],
)
def test_values_of_a_file_are_read(text: str, expected: dict[str, str]) -> None:
    assert dict(file_command_values(text)) == expected


@pytest.mark.parametrize("text", ["a\n", "<<E\nx\nE\n", "a<<\nx\n\n", "a<<E\nx\n", "=x\n"])
def test_a_broken_file_is_rejected(text: str) -> None:
    with pytest.raises(FileCommandError):
        dict(file_command_values(text))


def test_lines_end_at_line_feeds_and_carriage_returns() -> None:
    assert list(log_lines(b"a\r\nb\rc\n\nd")) == ["a", "b", "c", "", "d"]
    assert list(log_lines(b"")) == []


def test_hyphens_stay_in_an_input_variable() -> None:
    assert input_variable("output dir-x") == "INPUT_OUTPUT_DIR-X"


def test_a_step_gets_inputs_and_returns_outputs_and_summary(tmp_path: Path) -> None:
    program = """
import os
e = os.environ
assert e["INPUT_WITH-DEFAULT"] == "yes" and e["INPUT_WITHOUT-DEFAULT"] == ""
assert os.getcwd() == e["GITHUB_WORKSPACE"]
with open(e["GITHUB_OUTPUT"], "a") as f: f.write("given=" + e["INPUT_GIVEN"] + "\\n")
with open(e["GITHUB_STEP_SUMMARY"], "a") as f: f.write("# page\\n")
print("::group::one", flush=True)
print("::endgroup::", flush=True)
"""
    result = run(tmp_path, program, given="x y")
    assert result.succeeded, result.log
    assert result.outputs == {"given": "x y"}
    assert result.summary == "# page\n"
    assert result.groups == ("one",)


def test_a_broken_output_file_fails_the_step(tmp_path: Path) -> None:
    result = run(tmp_path, "import os; open(os.environ['GITHUB_OUTPUT'], 'w').write('x')")
    assert result.exit_code == 0
    assert not result.succeeded


def test_a_summary_over_the_limit_is_rejected(tmp_path: Path) -> None:
    program = "import os; open(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('x' * 1048577)"
    result = run(tmp_path, program)
    assert result.summary == ""
    assert result.problems


def test_a_secret_in_an_output_leaks(tmp_path: Path) -> None:
    program = "import os; open(os.environ['GITHUB_OUTPUT'], 'w').write('a=hunter22\\n')"
    assert run(tmp_path, program).leaked == ("hunter22",)


def test_a_failing_action_fails_the_step(tmp_path: Path) -> None:
    assert run(tmp_path, "raise SystemExit(5)").exit_code == 5
