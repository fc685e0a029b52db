"""What people read of a run that failed: the cause, its place, and what to do, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builds import gradle_wrapper
from tests.support.cli import KEY, CliWorkspace, Result
from tests.support.runner import log_lines
from tests.support.runner_log import LogReader

SOURCE = "pump/src/Hook.java"
OUTPUT = """\
> Task :compileJava FAILED
{file}:13: error: cannot find symbol
    private Gatewy context;
{file}:21: error: ::error::incompatible \x1b[31mtypes

FAILURE: Build failed with an exception.

* What went wrong:
Execution failed for task ':compileJava'.
> Compilation failed; see the compiler error output for details.
"""


@pytest.fixture
def failing(workspace: CliWorkspace) -> CliWorkspace:
    """A workspace with a project whose sources don't compile; it shows its arguments."""
    source = workspace.folder / SOURCE
    gradle_wrapper(
        workspace.folder / "pump",
        'echo "arguments: $*"',
        f"cat <<'END'\n{OUTPUT.format(file=source)}END",
        "exit 1",
    )
    source.parent.mkdir()
    source.touch()
    return workspace


def release(workspace: CliWorkspace, *arguments: str, **env: str) -> Result:
    return workspace.call("module", "pump", *KEY, "--isolate", "off", *arguments, env=env).must(3)


def in_action(workspace: CliWorkspace, **inputs: str) -> tuple[Result, LogReader]:
    folder = workspace.folder
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        **{f"INPUT_{name.upper().replace('_', '-')}": value for name, value in inputs.items()},
    }
    result = workspace.call(env=env)
    reader = LogReader()
    for line in log_lines(result.stdout.encode()):
        reader.read(line)
    return result, reader


def test_a_compilers_error_is_an_annotation_and_its_log_is_in_one_piece(
    failing: CliWorkspace,
) -> None:
    key = {"key_path": KEY[1], "cert_path": KEY[3]}
    result, reader = in_action(failing, path="pump", isolate="off", **key)
    result.must(3)
    first, second = (each for each in reader.annotations if each.type == "error")
    place = {"file": SOURCE, "line": "13", "title": "packaging"}
    assert first.properties == place
    assert "Hook.java:13: error: cannot find symbol" in first.message
    assert second.properties == {**place, "line": "21"}
    assert second.message.startswith("Hook.java:21: error: ::error::incompatible")
    names = [each.name for each in reader.commands]
    assert names.count("stop-commands") == 1
    assert names[-2:] == ["error", "error"]
    summary = Path(failing.folder, "summary").read_text()
    assert summary.count("cannot find symbol") == 1
    assert f"{SOURCE}:13" in summary


def test_a_terminal_shows_the_cause_then_the_place_then_what_to_do(failing: CliWorkspace) -> None:
    end = release(failing).stderr.splitlines()[-5:]
    assert end[0].startswith("error[packaging]: Gradle wrapper failed (exit code 1): the sources")
    assert end[0].endswith("Hook.java:13: error: cannot find symbol")
    assert end[1] == f"  at {SOURCE}:13"
    assert end[2] == "  hint: fix the sources; the build's log has every error."


def test_gradle_shows_its_stack_traces_to_those_who_ask(failing: CliWorkspace) -> None:
    assert "--stacktrace" not in release(failing).stderr
    assert "--stacktrace" in release(failing, "--verbose").stderr
    assert "--stacktrace" in release(failing, RUNNER_DEBUG="1").stderr


def test_json_has_the_cause_the_place_and_the_steps(failing: CliWorkspace) -> None:
    error = release(failing, "--json").document["error"]
    assert error["message"].endswith("Hook.java:13: error: cannot find symbol")
    assert error["steps"] == ["fix the sources; the build's log has every error."]
    assert [(each["file"], each["line"]) for each in error["findings"]] == [
        (SOURCE, 13),
        (SOURCE, 21),
    ]


def test_a_missing_secret_is_explained_by_its_input(workspace: CliWorkspace) -> None:
    result, reader = in_action(workspace, path="pump.unsigned.modl", keystore="")
    result.must(4)
    (annotation,) = reader.annotations
    assert annotation.message.splitlines() == [
        "no signing key given",
        "to do:",
        (
            "  1. the input `keystore` is empty: does the secret SIGNING_KEYSTORE exist, and is "
            "this a fork's pull request (which gets no secrets)?"
        ),
        (
            "  2. without a key, `module` and `batch` can only build: give them "
            "`skip-signing: true` and `skip-upload: true`."
        ),
    ]
    summary = Path(workspace.folder, "summary").read_text()
    assert "**Cause:** no signing key given" in summary
