"""The command line as such: help, mistakes, mounting, pipes, signals, colours and progress."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ign_deploy import __version__
from ign_deploy.cli import app, deployment_cli, run_cli
from ign_deploy.pipeline.context import RunContext
from tests.support.cli import KEY, MODULE, CliWorkspace, make_workspace
from tests.support.modules import build_module

COMMANDS = tuple(deployment_cli.list_commands(click.Context(deployment_cli)))
PROGRAM = (sys.executable, "-I", "-m", "ign_deploy")


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A working folder with a key and a module."""
    return make_workspace(tmp_path)


@click.group()
@click.pass_context
def ign(ctx: click.Context) -> None:
    """Another program, with an object of its own."""
    ctx.obj = {"PATH": 7, "own": object()}


ign.add_command(deployment_cli)


def mounted(
    workspace: CliWorkspace, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the other program as a process of its own."""
    code = "import click; from ign_deploy.cli import deployment_cli as c\n"
    code += "g = click.Group('ign', commands=[c]); g.main(obj={'debug': True}, prog_name='ign')"
    return subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments],
        cwd=workspace.folder,
        env={**workspace.environment, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def on_terminal(workspace: CliWorkspace, *arguments: str, **env: str) -> tuple[int, str]:
    """Run a command whose stderr is a terminal; return its exit code and what that shows."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=workspace.folder,
        env={**workspace.environment, "TERM": "xterm-256color", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:
        pass  # how a terminal ends on Linux
    os.close(ours)
    return child.wait(timeout=60), shown.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(deployment_cli, [command, "--help"], obj={})
    assert result.exit_code == 0
    assert f"deploy {command}" in result.stdout
    for option in ("--json", "--verbose", "--no-color", "--config", "--env-file"):
        assert option in result.stdout


def test_the_help_lists_every_command(workspace: CliWorkspace) -> None:
    for arguments in (("--help",), ("-h",), ()):
        shown = workspace.call(*arguments).must(0).stdout
        assert all(f"\n  {command} " in shown for command in COMMANDS)


def test_the_version_is_reported_by_both_doors(workspace: CliWorkspace) -> None:
    assert workspace.run("--version").must(0).stdout == f"ign-deploy, version {__version__}\n"
    assert workspace.call("--version").must(0).stdout == f"ign-deploy, version {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("modul", "'module'"),
        ("verfy", "'verify'"),
        ("downlaod", "'download'"),
        ("list", "'list-modules'"),
        ("deploy", "'install' or 'module'"),
        ("publish", "'upload' or 'module'"),
        ("release", "'module' or 'batch'"),
    ],
)
def test_a_misspelt_command_gets_a_suggestion(
    workspace: CliWorkspace, typed: str, meant: str
) -> None:
    result = workspace.call(typed).must(2)
    assert f"No such command '{typed}'. Did you mean {meant}?" in result.stderr


def test_words_of_other_tools_lead_to_commands_that_exist() -> None:
    assert {name for names in app._OTHER_WORDS.values() for name in names} <= set(COMMANDS)
    assert not set(app._OTHER_WORDS) & set(COMMANDS)


def test_the_word_help_is_understood(workspace: CliWorkspace) -> None:
    assert workspace.call("help").must(0).stdout == workspace.call("--help").must(0).stdout
    shown = workspace.call("help", "verify").must(0).stdout
    assert shown == workspace.call("verify", "--help").must(0).stdout


def test_common_options_may_stand_before_the_command(workspace: CliWorkspace) -> None:
    for folder in ("module-repository", "elsewhere"):
        (workspace.folder / folder).mkdir()
    behind = workspace.call("list-modules", "--json").must(0)
    config = workspace.folder / "other.toml"
    config.write_text('repository-url = "elsewhere"')
    for before in (["--json"], ["--no-color", "--verbose", "--json"]):
        assert workspace.call(*before, "list-modules").must(0).document == behind.document
    for given in (["--config", "other.toml"], ["--config=other.toml"]):
        listed = workspace.call("--json", *given, "list-modules").must(0).document
        assert listed["repository"].endswith("elsewhere")
    missing = workspace.call("--json").must(2).document
    assert missing["error"]["message"] == "Missing command."


def test_from_leads_to_the_option_that_is_meant(workspace: CliWorkspace) -> None:
    result = workspace.call("promote", "--from", "staging", "--to", "production").must(2)
    assert "Did you mean --environment?" in result.stderr


def test_help_texts_are_true_for_their_command(workspace: CliWorkspace) -> None:
    promote = workspace.call("promote", "--help").must(0).stdout
    assert "Environment whose versions are deployed." in promote
    assert "--to NAME" in promote
    assert "--to VERSION" in workspace.call("rollback", "--help").must(0).stdout
    assert "--confirm ENVIRONMENT" in workspace.call("history", "--help").must(0).stdout
    assert "--confirm ID@VERSION" in workspace.call("remove", "--help").must(0).stdout


def test_a_misspelt_option_gets_a_suggestion(workspace: CliWorkspace) -> None:
    result = workspace.call("module", "--repositry-url", "x").must(2)
    assert "--repository-url" in result.stderr


def test_secrets_are_no_options() -> None:
    for name in COMMANDS:
        command = deployment_cli.get_command(click.Context(deployment_cli), name)
        assert command is not None
        assert not [each.name for each in command.params if "password" in str(each.name)]


def test_it_mounts_into_another_program() -> None:
    result = CliRunner().invoke(ign, ["deploy", "module", "--help"])
    assert result.exit_code == 0
    assert "ign deploy module" in result.stdout


def test_mounted_it_takes_the_environment_of_the_process(workspace: CliWorkspace) -> None:
    env = {"DEPLOYMENT_OUTPUT_DIR": "from-env", "SOURCE_DATE_EPOCH": "0"}
    assert mounted(workspace, "deploy", "sign", MODULE, *KEY, **env).returncode == 0
    assert (workspace.folder / "from-env" / "pump.modl").is_file()


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("verify", MODULE), 5),
        (("verify",), 2),
        (("sign", MODULE), 4),
        (("download", "x"), 6),
        (("inspect", MODULE), 0),
    ],
)
def test_mounted_it_ends_with_its_own_exit_codes(
    workspace: CliWorkspace, arguments: tuple[str, ...], exit_code: int
) -> None:
    result = mounted(workspace, "deploy", *arguments)
    assert result.returncode == exit_code
    assert "Traceback" not in result.stderr


def break_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: RunContext) -> None:
        raise ZeroDivisionError("the value s3cret")

    monkeypatch.setattr(RunContext, "repository", property(broken))


def test_a_bug_ends_with_1_and_without_a_traceback(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_listing(monkeypatch)
    result = workspace.call("list-modules", "--json").must(1)
    assert "internal error in ign-deploy (ZeroDivisionError at test_commands.py:" in result.stderr
    assert "--verbose" in result.stderr
    assert "s3cret" not in result.stderr
    assert result.document["error"]["exit_code"] == 1


def test_a_bug_is_shown_whole_on_request_but_for_secrets(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_listing(monkeypatch)
    env = {"MODULE_SIGNING_PASSWORD": "s3cret"}
    result = workspace.call("list-modules", "--verbose", env=env)
    assert result.exit_code == 1
    assert "| Traceback (most recent call last):" in result.stderr
    assert "ZeroDivisionError: the value ***" in result.stderr


def test_a_password_such_as_true_does_not_break_the_json(workspace: CliWorkspace) -> None:
    for password in ("true", "2", '"', "result", "["):
        result = workspace.call(
            "inspect", MODULE, "--json", env={"MODULE_SIGNING_PASSWORD": password}
        )
        assert result.must(0).document["status"]


def test_json_holds_nothing_that_a_runner_executes(workspace: CliWorkspace) -> None:
    name = "##[add-path]/evil ##[set-env name=a]b"
    build_module(workspace.folder / MODULE, texts={"name": name})
    result = workspace.call("inspect", MODULE, "--json").must(0)
    assert "##[" not in result.stdout
    assert result.document["module"]["name"] == name


def test_text_of_a_module_is_harmless_on_a_terminal(workspace: CliWorkspace) -> None:
    build_module(workspace.folder / MODULE, texts={"name": "a\n::set-output name=x::y ##[x]"})
    shown = workspace.call("inspect", MODULE).must(0).stdout
    assert "\n::" not in shown
    assert "##[" not in shown


def test_what_no_encoding_can_say_is_escaped(workspace: CliWorkspace) -> None:
    build_module(workspace.folder / MODULE, texts={"name": "Pümpe"})
    result = workspace.run("inspect", MODULE, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert "P" in result.must(0).stdout
    (workspace.folder / MODULE).rename(workspace.folder / os.fsdecode(b"\xff.modl"))
    result = workspace.run("inspect", os.fsdecode(b"\xff.modl")).must(0)
    assert "\\udcff.modl" in result.stdout


@pytest.mark.parametrize("command", ["--help", "module"])
def test_help_is_shown_in_every_encoding(workspace: CliWorkspace, command: str) -> None:
    arguments = [command] if command == "--help" else [command, "--help"]
    for encoding in ("ascii", "latin-1"):
        env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        assert "Options" in workspace.run(*arguments, env=env).must(0).stdout


def close_streams(numbers: tuple[int, ...]) -> None:
    for number in numbers:
        os.close(number)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("--json", 0), ("missing", 5)])
def test_closed_streams_change_nothing(
    workspace: CliWorkspace, closed: tuple[int, ...], argument: str, code: int
) -> None:
    build_module(workspace.folder / MODULE)
    arguments = {"--version": ["--version"], "--json": ["inspect", MODULE, "--json"]}
    child = subprocess.run(
        [*PROGRAM, *arguments.get(argument, ["inspect", "missing.modl"])],
        cwd=workspace.folder,
        env=workspace.environment,
        capture_output=True,
        preexec_fn=partial(close_streams, closed),
        check=False,
    )
    assert child.returncode == code
    assert b"Traceback" not in child.stderr
    assert bool(child.stdout) is (1 not in closed and code == 0)


@pytest.mark.parametrize("command", ["inspect", "--help"])
def test_a_reader_who_leaves_is_not_an_error(workspace: CliWorkspace, command: str) -> None:
    arguments = [command, MODULE] if command == "inspect" else [command]
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=workspace.folder,
        env=workspace.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert child.stderr == b""
    assert child.returncode == (0 if command == "inspect" else 1)


def test_without_a_reader_of_the_log_it_stops_quietly_and_leaves_nothing(
    workspace: CliWorkspace,
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(
        [*PROGRAM, "module", MODULE, *KEY],
        cwd=workspace.folder,
        env=workspace.environment,
        stdout=subprocess.PIPE,
        stderr=writer,
        check=False,
    )
    os.close(writer)
    assert child.returncode == 128 + signal.SIGPIPE
    assert child.stdout == b""
    assert not workspace.repository.exists()


def test_ctrl_c_is_said_in_one_line(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: RunContext) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunContext, "repository", property(interrupted))
    result = workspace.call("list-modules").must(130)
    assert result.stderr.strip() == "stopped by the user"


def test_a_terminal_gets_a_progress_bar_and_colours(workspace: CliWorkspace) -> None:
    build_module(workspace.folder / MODULE, files={"doc/big.png": os.urandom(1 << 20)})
    exit_code, shown = on_terminal(workspace, "sign", MODULE, *KEY)
    assert exit_code == 0
    assert "signing pump.unsigned.modl" in shown
    assert "1.0/1.0 MiB" in shown
    piped = workspace.run("sign", MODULE, *KEY).must(0)
    assert "signing" not in piped.stderr
    assert "\x1b" not in piped.stderr


def test_colours_can_be_refused(workspace: CliWorkspace) -> None:
    red = "\x1b[1;31m"
    assert red in on_terminal(workspace, "verify", MODULE)[1]
    assert red not in on_terminal(workspace, "verify", MODULE, "--no-color")[1]
    assert red not in on_terminal(workspace, "verify", MODULE, NO_COLOR="1")[1]
    assert red not in on_terminal(workspace, "verify", MODULE, TERM="dumb")[1]
    assert red not in on_terminal(workspace, "verify", MODULE, CI="true")[1]


def test_the_program_never_raises(workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.folder)
    for arguments in ([""], ["--"], ["--json"], ["\0"], ["module", "\0"], ["sign", ""]):
        assert run_cli(["ign-deploy", *arguments], {"PATH": "/usr/bin"}) != 0
