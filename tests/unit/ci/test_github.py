"""The GitHub reporter, read back by the emulated runner's own rules."""

from __future__ import annotations

import io
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ign_deploy.ci.github import GitHubReporter, check_command_file
from ign_deploy.ci.host import Host, reporter_for, write_outputs, write_summary
from ign_deploy.ci.mask import Masker
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.findings import error, info, warning
from ign_deploy.report import Reporter
from tests.support.runner import file_command_values, log_lines
from tests.support.runner_log import LogReader

Run = Callable[[Reporter], object]

HOSTILE = [
    "::set-output name=result::deployed",
    "  ::add-mask::e",
    "text ##[add-path]/evil",
    "##[set-env name=X]y",
    "::stop-commands::mine",
    "::mine::",
    "::endgroup::",
    "::error::from the build",
    "\x1b[0m::error::behind an escape",
    "one\r::error::two",
    "##vso[task.setvariable variable=x]y",
]


def read_back(run: Run, *, secrets: tuple[str, ...] = ()) -> LogReader:
    stream = io.StringIO()
    run(reporter_for(Host.GITHUB, stream, env={}, masker=Masker()))
    reader = LogReader(secrets=secrets)
    for line in log_lines(stream.getvalue().encode()):
        reader.read(line)
    return reader


def names(reader: LogReader) -> list[str]:
    return [command.name for command in reader.commands]


def test_a_stage_is_one_group_and_ends_also_after_a_failure() -> None:
    def run(reporter: Reporter) -> None:
        with reporter.group("sign"), reporter.group("inner"):
            reporter.info("x")
        with pytest.raises(ZeroDivisionError), reporter.group("upload"):
            raise ZeroDivisionError

    assert names(read_back(run)) == ["group", "endgroup", "group", "endgroup"]


def test_commands_in_untrusted_text_are_not_executed() -> None:
    reader = read_back(lambda reporter: reporter.untrusted(HOSTILE))
    assert names(reader) == ["stop-commands"]
    assert not reader.stopped
    assert reader.problems == []


def test_commands_in_our_own_messages_are_not_executed_either() -> None:
    def run(reporter: Reporter) -> None:
        for text in HOSTILE:
            reporter.info(text)
            reporter.info(f"line\n{text}")

    assert read_back(run).commands == []


@pytest.mark.parametrize("text", HOSTILE)
def test_titles_and_annotations_carry_untrusted_text_as_text(text: str) -> None:
    def run(reporter: Reporter) -> None:
        reporter.warning(text)
        reporter.finding(error("e1", text, location=text, hint=text), file=f"{text},line=1::x")
        with reporter.group(text):
            pass

    assert names(read_back(run)) == ["warning", "error", "group", "endgroup"]


def test_each_untrusted_block_has_its_own_token() -> None:
    def run(reporter: Reporter) -> None:
        reporter.untrusted(["a"])
        reporter.untrusted(["b"])

    first, second = read_back(run).commands
    assert first.data != second.data
    assert len(first.data) == 32


def test_a_builds_output_is_between_one_pair_of_commands_however_it_comes() -> None:
    def run(reporter: Reporter) -> None:
        with reporter.group("package"):
            reporter.info("running gradle")
            for number in range(7):
                reporter.untrusted([f"::error::{number}"])

    reader = read_back(run)
    assert names(reader) == ["group", "stop-commands", "endgroup"]
    assert not reader.stopped
    assert reader.problems == []


def test_what_we_say_ourselves_between_lines_of_a_build_is_obeyed() -> None:
    def run(reporter: Reporter) -> None:
        with reporter.group("package"), reporter.group("inner"):
            reporter.untrusted(["::error::a"])
            reporter.warning("low on memory")
            reporter.untrusted(["::error::b"])
        reporter.mask("a secret")
        reporter.untrusted(["::error::c"])

    reader = read_back(run)
    expected = ["group", "stop-commands", "warning", "stop-commands", "endgroup"]
    assert names(reader) == [*expected, *["add-mask"] * (len(names(reader)) - 6), "stop-commands"]
    assert [each.message for each in reader.annotations] == ["low on memory"]
    assert not reader.stopped


def test_a_finding_is_an_annotation_of_its_file() -> None:
    finding = error("missing-line", "no line", location="lib.jar", hint="sign again.")
    reader = read_back(lambda reporter: reporter.finding(finding, file="dist/a,b:c.modl"))
    (annotation,) = reader.annotations
    assert annotation.type == "error"
    assert annotation.properties == {"file": "dist/a,b:c.modl", "title": "missing-line"}
    assert annotation.message == "lib.jar: no line\nhint: sign again."


def test_a_finding_with_a_line_is_an_annotation_of_that_line() -> None:
    hostile = "x\x1b[31m,line=1::\u202eerror\r\n::error::100%: y" + "z" * 9000
    finding = replace(error("packaging", hostile), line=13, column=5)
    reader = read_back(lambda reporter: reporter.finding(finding, file="a,b:c%2C/Hook.java"))
    (annotation,) = reader.annotations
    assert annotation.properties == {
        "file": "a,b:c%2C/Hook.java",
        "line": "13",
        "col": "5",
        "title": "packaging",
    }
    assert annotation.message.startswith("x,line=1::\\u202eerror\n\\::error::100%: y")
    assert len(annotation.message) <= 4096
    assert names(reader) == ["error"]


def test_the_severity_chooses_the_type() -> None:
    def run(reporter: Reporter) -> None:
        reporter.finding(warning("w", "x"))
        reporter.finding(info("i", "x"))
        reporter.warning("y")

    assert [item.type for item in read_back(run).annotations] == ["warning", "notice", "warning"]


def test_annotations_beyond_the_cap_become_lines_and_none_is_dropped() -> None:
    def run(reporter: Reporter) -> None:
        for number in range(14):
            reporter.finding(error("e", f"number {number}"), file="a.modl")

    reader = read_back(run)
    assert len(reader.annotations) == 10
    assert not reader.dropped
    assert reader.log[-1] == "error[e]: a.modl: number 13"


def test_a_long_annotation_is_cut() -> None:
    reader = read_back(
        lambda reporter: reporter.finding(error("e", "x" * 5000 + "\n" + "y" * 5000))
    )
    (command,) = reader.commands
    assert len(command.data) == 4096


def test_a_secret_is_masked_before_anything_shows_it() -> None:
    secret = "first line\nsecond & line"

    def run(reporter: Reporter) -> None:
        reporter.mask(secret)
        reporter.info(f"using {secret}")
        reporter.warning(secret)
        reporter.untrusted(["the build prints second & line"])
        with reporter.group(secret):
            pass

    reader = read_back(run, secrets=("first line", "second & line"))
    assert reader.leaked == []
    assert {"first line", "second & line", secret} <= reader.masks
    assert reader.problems == []


def test_the_mask_is_flushed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", buffering=1_000_000) as stream:
        GitHubReporter(stream).mask("hunter22")
        assert "::add-mask::hunter22\n" in path.read_text()


def test_a_blank_secret_writes_no_command() -> None:
    assert read_back(lambda reporter: reporter.mask(" \n")).commands == []


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "a=b<<c",
        "two\nlines",
        "\n",
        "ends\n",
        "<<EOF",
        "ghadelimiter_",
        "größe",
        "\r",
        "a\r\nb",
    ],
)
def test_an_output_arrives_as_it_was(tmp_path: Path, value: str) -> None:
    path = tmp_path / "output"
    path.touch()
    env = {"GITHUB_OUTPUT": str(path)}
    outputs = {"result": value, "module-id": "x"}
    write_outputs(outputs, host=Host.GITHUB, env=env, masker=Masker())
    write_outputs({"more": "1"}, host=Host.GITHUB, env=env, masker=Masker())
    assert dict(file_command_values(path.read_bytes().decode())) == {**outputs, "more": "1"}


@pytest.mark.parametrize("name", ["", "a=b", "a<<b", "a\nresult=deployed", "1a", "a b", "ä"])
def test_a_name_that_could_forge_an_output_is_rejected(tmp_path: Path, name: str) -> None:
    path = tmp_path / "output"
    path.touch()
    with pytest.raises(ConfigurationError):
        write_outputs(
            {"result": "x", name: "y"},
            host=Host.GITHUB,
            env={"GITHUB_OUTPUT": str(path)},
            masker=Masker(),
        )
    assert path.read_bytes() == b""


@pytest.mark.parametrize("env", [{}, {"GITHUB_OUTPUT": ""}, {"GITHUB_OUTPUT": "/nowhere/x/output"}])
def test_a_missing_output_file_is_explained(env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        write_outputs({"result": "x"}, host=Host.GITHUB, env=env, masker=Masker())
    assert "GITHUB_OUTPUT" in caught.value.message
    assert caught.value.hint


def test_secrets_are_redacted_in_outputs_and_summary(tmp_path: Path) -> None:
    masker = Masker()
    masker.add("hunter22")
    env = {"GITHUB_OUTPUT": str(tmp_path / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    write_outputs({"result": "a hunter22"}, host=Host.GITHUB, env=env, masker=masker)
    write_summary("b hunter22", host=Host.GITHUB, env=env, masker=masker)
    assert "hunter22" not in (tmp_path / "o").read_text() + (tmp_path / "s").read_text()


def test_the_summary_is_appended_and_never_too_large(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    env = {"GITHUB_STEP_SUMMARY": str(path)}
    for _ in range(3):
        write_summary("größe\n" * 100_000, host=Host.GITHUB, env=env, masker=Masker())
    data = path.read_bytes()
    assert len(data) <= 1024 * 1024
    assert data.startswith(b"before\ngr")
    assert "was cut here" in data.decode()


def test_other_hosts_have_no_place_for_outputs_of_every_command() -> None:
    for host in set(Host) - {Host.GITHUB}:
        write_outputs({"result": "x"}, host=host, env={}, masker=Masker())
        write_summary("x", host=host, env={}, masker=Masker())


def test_a_file_of_the_runner_that_cannot_grow_is_found_by_writing(tmp_path: Path) -> None:
    """As on a full disk."""
    path = tmp_path / "output"
    path.write_bytes(b"a=1\n" * 1024)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ConfigurationError, match=r"cannot write .*\(GITHUB_OUTPUT\)"):
            check_command_file({"GITHUB_OUTPUT": str(path)}, "GITHUB_OUTPUT")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    check_command_file({"GITHUB_OUTPUT": str(path)}, "GITHUB_OUTPUT")
    assert path.read_bytes() == b"a=1\n" * 1024
