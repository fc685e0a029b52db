"""After an interruption, the printed command goes on: typed as it is, with everything it needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import WITH_RESTART, CliWorkspace, GatewayCli, Result, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway.client import MODULE_ID, modl

NAME = MODULE_ID
CONFIG = """
[[gateways]]
name = "plant"
url = "GATEWAY"
environment = "production"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def interrupted(cli: GatewayCli, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> Result:
    """Run a command that is interrupted while it waits for a restart."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "ign_deploy.deployment.gateway.rest_api.ApiGateway.wait_until_running", interrupt
        )
        result = cli.call(*arguments)
    assert result.exit_code == 130
    cli.gateway.state.come_back()
    return result


def command_in(result: Result) -> list[str]:
    """Return the words of the command that the run says goes on."""
    (line,) = [each for each in result.stderr.splitlines() if "to go on, run: " in each]
    program, *words = shlex.split(line.partition("to go on, run: ")[2])
    assert program == "ign-deploy"
    return words


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--health-url", "/StatusPing", "--health-status", "207", "--timeout", "33"),
        ("--wave-size", "2", "--canary", "--all-or-nothing", "--allow-downgrade"),
        ("--notes", 'it\'s "urgent"; $HOME', "--tags", "a,b", "--audit-file", "trail.jsonl"),
    ],
)
def test_an_installation_goes_on_with_the_same_options(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.config(CONFIG)
    given = ("-e", "production", "--config", "ign-deploy.toml", *WITH_RESTART, *options)
    result = interrupted(cli, monkeypatch, "install", NAME, *given)
    words = command_in(result)
    assert words[0] == "install"
    assert words[-1] == f"{NAME}@1.1.0"
    assert [each for each in given if each not in words] == ["-e"]  # it is --environment there
    assert cli.env["IGN_DEPLOY_GATEWAY_TOKEN"] not in " ".join(words)
    health = ("--health-status", "200") if "207" in options else ()
    cli.call(*words, *health).must(0)
    assert active(cli.gateway) == "1.1.0"


def test_what_the_environment_gave_is_not_repeated(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.env |= {"IGN_DEPLOY_GATEWAY": cli.gateway.url, "IGN_DEPLOY_TIMEOUT": "77",
                "DEPLOYMENT_ENVIRONMENT": "production"}  # fmt: skip
    words = command_in(interrupted(cli, monkeypatch, "install", NAME, *WITH_RESTART))
    assert words == ["install", *WITH_RESTART, f"{NAME}@1.1.0"]
    cli.call(*words).must(0)
    assert active(cli.gateway) == "1.1.0"


def test_a_file_that_is_not_published_goes_on_as_that_file(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = modl(cli.workspace.folder, "3.0.0")
    there = ("-e", "production", "--gateway", cli.gateway.url, *WITH_RESTART)
    words = command_in(interrupted(cli, monkeypatch, "install", file, *there))
    assert words[-1] == str(file)
    cli.call(*words).must(0)
    assert active(cli.gateway) == "3.0.0"


@pytest.mark.parametrize("options", [(), (NAME,), ("--to", "1.0.0", NAME)])
def test_a_rollback_goes_on(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    there = ("-e", "production", "--gateway", cli.gateway.url, *WITH_RESTART)
    words = command_in(interrupted(cli, monkeypatch, "rollback", *options, *there))
    assert words[0] == "rollback"
    cli.call(*words).must(0)
    assert active(cli.gateway) == "1.0.0"


def test_a_promotion_goes_on(cli: GatewayCli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.call("install", NAME, "-e", "staging", "--track-only").must(0)
    there = ("--gateway", cli.gateway.url, *WITH_RESTART)
    given = ("-e", "staging", "--to", "production", *there)
    words = command_in(interrupted(cli, monkeypatch, "promote", *given))
    assert (words[0], words[-1]) == ("promote", f"{NAME}@1.1.0")
    cli.call(*words).must(0)
    assert active(cli.gateway) == "1.1.0"


def test_a_promotion_does_not_go_on_with_another_version(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.call("install", f"{NAME}@1.0.0", "-e", "staging", "--track-only").must(0)
    there = ("--gateway", cli.gateway.url, *WITH_RESTART)
    given = ("-e", "staging", "--to", "production", *there)
    words = command_in(interrupted(cli, monkeypatch, "promote", *given))
    cli.call("install", f"{NAME}@1.1.0", "-e", "staging", "--track-only").must(0)
    refused = cli.call(*words).must(7)
    assert f"staging has {NAME} 1.1.0, expected 1.0.0" in refused.stderr
    assert active(cli.gateway) == "1.0.0"


@pytest.mark.parametrize("name", [NAME, f"{NAME}@>=1"])
def test_after_a_restart_the_printed_command_verifies_that_version_not_a_newer_one(
    cli: GatewayCli, name: str
) -> None:
    there = ("--gateway", cli.gateway.url, "-e", "production", *WITH_RESTART[:4])
    pending = cli.call("install", name, *there).must(0)
    assert f"run the same command again for {NAME}@1.1.0 to verify the result" in pending.stdout
    newer = modl(cli.workspace.folder, "1.2.0")
    cli.call("upload", newer).must(0)
    cli.gateway.state.restart()
    cli.gateway.state.come_back()
    command = pending.stderr.partition("verify the result with: ign-deploy ")[2].splitlines()[0]
    cli.call(*shlex.split(command)).must(0)
    assert active(cli.gateway) == "1.1.0"
    assert "(restart pending)" not in cli.call("status").must(0).stdout


def test_a_release_goes_on_with_the_installation(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = modl(cli.workspace.folder, "3.0.0")
    there = ("-e", "production", "--gateway", cli.gateway.url, *WITH_RESTART)
    given = ("--skip-signing", "--output-dir", "out", *there)
    words = command_in(interrupted(cli, monkeypatch, "module", file, *given))
    assert words[0] == "install"
    assert words[-1] == f"{NAME}@3.0.0"
    assert "--skip-signing" not in words
    cli.call(*words).must(0)
    assert active(cli.gateway) == "3.0.0"


def test_a_crash_says_how_to_go_on_too(cli: GatewayCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("ign_deploy.pipeline.deploy.overall_outcome", crash)
        result = cli.install(NAME)
    assert result.exit_code == 1
    assert f"{cli.gateway.url}: finished (deployed)" in result.stderr
    cli.call(*command_in(result)).must(0)
    assert "(uncertain" not in cli.call("status").must(0).stdout


def test_after_a_failed_rollback_the_printed_command_goes_back(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.gateway.options.never_back = "starting"
    failed = cli.install(f"{NAME}@1.1.0").must(8)
    command = failed.stderr.partition("run `ign-deploy ")[2].partition("`")[0]
    assert command.startswith("rollback -e production ")
    cli.gateway.options.never_back = ""
    cli.gateway.state.come_back()
    cli.call(*shlex.split(command)).must(0)
    assert active(cli.gateway) == "1.0.0"


def test_an_action_says_that_the_job_is_run_again(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ("-e", "production", "--gateway", cli.gateway.url, *WITH_RESTART)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        cli.env[name] = str(cli.workspace.folder / name)
        Path(cli.env[name]).touch()
    cli.env |= {"GITHUB_ACTIONS": "true", "INPUT_COMMAND": "install"}
    result = interrupted(cli, monkeypatch, "install", NAME, *there)
    assert "to go on, run the same command or job again" in result.stdout + result.stderr
