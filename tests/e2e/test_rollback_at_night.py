"""Going back under stress: every message is true, and every hint works as it is typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cli import WITH_RESTART, CliWorkspace, GatewayCli, Result, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway.client import MODULE_ID

NAME = MODULE_ID
CONSENT = WITH_RESTART[:4]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    return published_repository(folder, "1.0.0", "1.1.0", "1.2.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def rollback(cli: GatewayCli, *arguments: str) -> Result:
    return cli.call("rollback", "-e", "production", "--gateway", cli.gateway.url, *arguments)


def install_without_restart(cli: GatewayCli, version: str) -> None:
    there = ("-e", "production", "--gateway", cli.gateway.url, *CONSENT)
    result = cli.call("install", f"{NAME}@{version}", *there).must(0)
    assert result.stdout.startswith("restart-pending")


def test_what_waits_for_a_restart_is_taken_back_and_stays_so(cli: GatewayCli) -> None:
    """The gateway doesn't show at once that another version is to replace the running one."""
    cli.install(f"{NAME}@1.0.0").must(0)
    install_without_restart(cli, "1.1.0")
    rollback(cli).must(0)
    again = rollback(cli).must(0)
    assert f"{NAME} 1.1.0 was rolled back already, and 1.0.0 runs" in again.stdout
    cli.gateway.state.restart()
    cli.gateway.state.come_back()
    assert active(cli.gateway) == "1.0.0"


def test_an_uninstallation_that_waits_for_a_restart_is_verified_by_the_same_command(
    cli: GatewayCli,
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    for _ in range(2):
        pending = rollback(cli, "--allow-uninstall").must(0)
        assert f"must be restarted before {NAME} is gone" in pending.stdout
        assert "- (uninstalled) (restart pending)" in cli.call("status").must(0).stdout
    cli.gateway.state.restart()
    cli.gateway.state.come_back()
    rollback(cli, "--allow-uninstall").must(0)
    assert "restart pending" not in cli.call("status").must(0).stdout
    done = rollback(cli, "--allow-uninstall").must(0)
    assert f"{NAME} 1.0.0 was rolled back already, and no version is installed" in done.stdout


def test_a_module_that_was_removed_by_hand_is_not_restored_unasked(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    cli.gateway.state.listed.pop(NAME)
    refused = rollback(cli).must(7)
    assert f"{NAME} is not installed on {cli.gateway.url}" in refused.stderr
    assert "--to VERSION" in refused.stderr
    rollback(cli, "--to", "1.0.0", "--restart", "if-needed").must(0)
    assert active(cli.gateway) == "1.0.0"


def test_a_rollback_of_a_killed_deployment_is_not_followed_by_another_one(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    with monkeypatch.context() as patch:
        patch.setattr(
            "ign_deploy.deployment.gateway.rest_api.ApiGateway.wait_until_running", interrupt
        )
        assert cli.install(f"{NAME}@1.2.0").exit_code == 130
    cli.gateway.state.come_back()
    rollback(cli, "--restart", "if-needed").must(0)
    assert active(cli.gateway) == "1.1.0"
    again = rollback(cli, "--restart", "if-needed").must(0)
    assert f"{NAME} 1.2.0 was rolled back already, and 1.1.0 runs" in again.stdout
    assert active(cli.gateway) == "1.1.0"


def test_a_gateway_of_another_address_is_named_as_the_history_has_it(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    there = ("rollback", "-e", "production", "--restart", "if-needed")
    none = cli.call(*there).must(7)
    assert "the history of production has gateways, but none was given" in none.stderr
    other = cli.call(*there, "--gateway", cli.gateway.url.replace("127.0.0.1", "localhost")).must(7)
    assert "the history of production has none of the requested gateways" in other.stderr
    for each in (none, other):
        assert f"an address that the history has: {cli.gateway.url}." in each.stderr
    cli.call(*there, "--gateway", cli.gateway.url).must(0)
    assert active(cli.gateway) == "1.0.0"


def test_what_is_only_tracked_needs_an_installation_first_where_there_are_gateways(
    cli: GatewayCli,
) -> None:
    tracked = ("-e", "production", "--track-only")
    for version in ("1.0.0", "1.1.0"):
        cli.call("install", f"{NAME}@{version}", *tracked).must(0)
    refused = rollback(cli).must(7)
    assert "only tracked" in refused.stderr
    assert "install a version on its gateways first" in refused.stderr
    assert "add --track-only" in cli.call("rollback", "-e", "production").must(7).stderr
    cli.call("rollback", *tracked).must(0)


def test_a_version_that_was_removed_leads_to_the_others(cli: GatewayCli) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        cli.install(f"{NAME}@{version}").must(0)
    named = f"{NAME}@1.1.0"
    cli.call("remove", named, "--reason", "leaks", "--confirm", named).must(0)
    refused = rollback(cli).must(6)
    assert f"cannot roll back: {NAME} 1.1.0 was removed" in refused.stderr
    assert "--to VERSION" in refused.stderr
    rollback(cli, "--to", "1.0.0", "--restart", "if-needed").must(0)
    assert active(cli.gateway) == "1.0.0"


def test_where_every_module_is_gone_that_is_said(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    rollback(cli, "--allow-uninstall", "--restart", "if-needed").must(0)
    result = cli.call("promote", "-e", "production", "--to", "test", "--track-only").must(7)
    assert "production has no module now" in result.stderr
    assert "run `ign-deploy history -e production`" in result.stderr
    cli.call("history", "-e", "production").must(0)


@pytest.mark.parametrize("minutes", [1, 45])
def test_a_clock_that_was_ahead_does_not_change_the_order(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    with monkeypatch.context() as patch:
        ahead = lambda: datetime.now(UTC) + timedelta(minutes=minutes)  # noqa: E731 - a clock
        patch.setattr("ign_deploy.pipeline.deploy._now", ahead)
        cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    (found,) = cli.call("status", "--json").must(0).document["deployed"]
    assert (found["version"], found["rollback_version"]) == ("1.1.0", "1.0.0")
    result = rollback(cli, "--restart", "if-needed").must(0)
    assert "contradicts" not in result.stderr
    assert active(cli.gateway) == "1.0.0"


def test_after_a_kill_one_command_says_what_runs_where_and_what_to_do(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    assert "what to do" not in cli.call("status").must(0).stdout

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "ign_deploy.deployment.gateway.rest_api.ApiGateway.wait_until_running", interrupt
        )
        assert cli.install(f"{NAME}@1.1.0").exit_code == 130
    cli.gateway.state.come_back()
    there = ("-e", "production", "--gateway", cli.gateway.url)
    live = cli.call("status", "--live", *there, "--exit-code").must(10).stdout
    assert "uncertain in the history; the gateway has 1.1.0" in live
    for shown in (live, cli.call("status").must(0).stdout):
        told = shown.partition("what to do:")[2]
        assert "just now" in told
    assert "1.0.0 (uncertain, perhaps 1.1.0)" in cli.call("status").must(0).stdout
    for shown in (live, cli.call("status").must(0).stdout):
        told = shown.partition("what to do:")[2]
        assert "has not ended: it is still running, or was killed" in told
        for command in (f"install {NAME}@1.1.0", f"rollback {NAME}"):
            name, _, module = command.partition(" ")
            lines = [each for each in told.splitlines() if f"ign-deploy {name} -e" in each]
            assert [each.split().count(cli.gateway.url) for each in lines] == [1]
            assert module in lines[0].split()
    steps = cli.call("status", "--json").must(0).document["next"]
    live_command, install, _ = steps[0]["commands"]
    assert live_command == "ign-deploy status -e production --live"
    again = [*shlex.split(install)[1:], "--restart", "if-needed", "--accept-certificate", "yes"]
    cli.call(*again).must(0)
    assert active(cli.gateway) == "1.1.0"
    assert "what to do" not in cli.call("status").must(0).stdout


def test_a_restart_that_is_pending_has_the_command_that_makes_it(cli: GatewayCli) -> None:
    options = ("--accept-certificate", "yes", "--accept-license", "yes", "-e", "production")
    cli.call("install", f"{NAME}@1.0.0", "--gateway", cli.gateway.url, *options).must(0)
    (step,) = cli.call("status", "--json").must(0).document["next"]
    assert "waits for a restart" in step["step"]
    (command,) = step["commands"]
    cli.call(*shlex.split(command)[1:]).must(0)
    assert active(cli.gateway) == "1.0.0"
    assert cli.call("status", "--json").must(0).document["next"] == []
