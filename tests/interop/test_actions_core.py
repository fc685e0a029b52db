"""GitHub's own library, @actions/core, as the oracle for what we write for GitHub's runner."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ign_deploy.ci.github import GitHubReporter, append_outputs
from ign_deploy.ci.mask import Masker
from ign_deploy.module.findings import error, warning
from tests.support.node import run_node
from tests.support.runner import file_command_values, log_lines
from tests.support.runner_log import LogReader

SCRIPT = Path(__file__).with_name("actions_core.mjs")
VALUES = [
    "plain",
    "",
    "a=b<<c",
    "two\nlines",
    "\nfirst and last are empty\n",
    "100 %, a: b, c%0Ad",
    "größe 😀",
    "EOF\nname=forged",
    "::set-output name=x::y",
]
HEREDOC = re.compile(r"^([^=\n]+?)<<(ghadelimiter_[0-9a-f-]{36})\n(.*?)\n\2\n", re.M | re.S)

# The runner reads lines: a carriage return is an end of line for some of them. No NUL on a command
# line.
_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\r\0")


def core(folder: Path, **request: Any) -> tuple[str, str]:
    """Let @actions/core write; return its log and the output file."""
    output = folder / "core-output"
    output.write_bytes(b"")
    env = {"PATH": os.environ.get("PATH", os.defpath), "GITHUB_OUTPUT": str(output)}
    child = run_node(str(SCRIPT), json.dumps(request), cwd=folder, env=env)
    assert child.returncode == 0, child.stdout.decode()
    return child.stdout.decode(), output.read_bytes().decode()


def ours(folder: Path, outputs: dict[str, str]) -> str:
    path = folder / "our-output"
    path.write_bytes(b"")
    append_outputs(outputs, env={"GITHUB_OUTPUT": str(path)}, masker=Masker())
    return path.read_bytes().decode()


def read(log: str) -> LogReader:
    reader = LogReader()
    for line in log_lines(log.encode()):
        reader.read(line)
    return reader


def test_outputs_are_read_as_the_librarys_are(tmp_path: Path) -> None:
    outputs = {f"name-{number}": value for number, value in enumerate(VALUES)}
    _, theirs = core(tmp_path, outputs=outputs)
    assert dict(file_command_values(theirs)) == outputs
    assert dict(file_command_values(ours(tmp_path, outputs))) == outputs


def test_outputs_have_the_librarys_form(tmp_path: Path) -> None:
    outputs = {f"name-{number}": value for number, value in enumerate(VALUES) if value}
    _, theirs = core(tmp_path, outputs=outputs)
    for text in (theirs, ours(tmp_path, outputs)):
        found = HEREDOC.findall(text)
        assert {name: value for name, _, value in found} == outputs
        assert len({delimiter for _, delimiter, _ in found}) == len(outputs)
        assert HEREDOC.sub("", text) == ""


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), max_size=30)
)
def test_any_text_arrives_as_the_library_would_bring_it(tmp_path: Path, values: list[str]) -> None:
    outputs = {f"name-{number}": value for number, value in enumerate(values)}
    _, theirs = core(tmp_path, outputs=outputs)
    assert dict(file_command_values(ours(tmp_path, outputs))) == outputs
    assert dict(file_command_values(theirs)) == outputs


def test_annotations_are_escaped_as_the_library_does(tmp_path: Path) -> None:
    message, file, title = "100 %\nnext: a,b", "a:b,c%.modl", "e1"
    log, _ = core(
        tmp_path,
        messages=[
            {"type": "error", "message": message, "properties": {"file": file, "title": title}},
            {"type": "warning", "message": message, "properties": {}},
        ],
    )
    stream = io.StringIO()
    reporter = GitHubReporter(stream)
    reporter.finding(error(title, message), file=file)
    reporter.warning(message)
    assert read(stream.getvalue()).commands == read(log).commands
    our_lines, their_lines = (
        sorted(map(parts, text.splitlines())) for text in (stream.getvalue(), log)
    )
    assert our_lines == their_lines


def parts(line: str) -> tuple[str, list[str], str]:
    """Split a command into name, properties in any order, and message, still escaped."""
    _, head, message = line.split("::", 2)
    name, _, properties = head.partition(" ")
    return name, sorted(properties.split(",")), message


@pytest.mark.parametrize("secret", ["hunter22", "50 % of\nit", "größe: a,b;c"])
def test_masks_are_the_librarys(tmp_path: Path, secret: str) -> None:
    log, _ = core(tmp_path, secrets=[secret])
    stream = io.StringIO()
    GitHubReporter(stream).mask(secret)
    assert log.strip() in stream.getvalue().splitlines()
    assert read(log).masks <= read(stream.getvalue()).masks


def test_groups_are_the_librarys(tmp_path: Path) -> None:
    log, _ = core(tmp_path, groups=["sign 100 %"])
    stream = io.StringIO()
    with GitHubReporter(stream).group("sign 100 %"):
        pass
    assert stream.getvalue() == log


def test_a_finding_without_a_file_is_a_plain_annotation(tmp_path: Path) -> None:
    log, _ = core(
        tmp_path, messages=[{"type": "warning", "message": "odd", "properties": {"title": "w1"}}]
    )
    stream = io.StringIO()
    GitHubReporter(stream).finding(warning("w1", "odd"))
    assert stream.getvalue() == log
