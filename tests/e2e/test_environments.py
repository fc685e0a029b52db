"""Environments: what is said of them is so, and what is unknown is an error."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.net.retry import RetryPolicy
from tests.support.cli import TOKEN, WITH_RESTART, CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import ModuleFault, running_gateway
from tests.support.gateway.client import MODULE_ID, modl
from tests.support.identities import pem_certificates, self_signed
from tests.support.releases import tree

NAME = MODULE_ID
CONFIG = """
[[gateways]]
name = "plant"
url = "GATEWAY"
environment = "production"

[[gateways]]
name = "line"
url = "https://127.0.0.1:1"
environment = "staging"
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


def test_a_misspelt_environment_is_an_error_that_names_those_with_gateways(
    cli: GatewayCli,
) -> None:
    cli.config(CONFIG)
    before = tree(cli.workspace.repository)
    for command in (
        ("install", NAME, "-e", "prod"),
        ("install", NAME),
        ("module", "pump.unsigned.modl", "-e", "prod", "--skip-signing"),
    ):
        result = cli.call(*command).must(2)
        assert "production, staging" in result.stderr, command
    assert tree(cli.workspace.repository) == before
    cli.call("install", NAME, "-e", "test", "--track-only").must(0)
    result = cli.call("promote", "-e", "test", "--to", "prod").must(2)
    assert "production, staging" in result.stderr
    assert "--track-only" in cli.call("install", NAME, "-e", "production", "--track-only").stderr


def test_without_any_gateway_nothing_is_tracked_unless_requested(cli: GatewayCli) -> None:
    result = cli.call("install", NAME, "-e", "prod").must(2)
    assert "nothing would be installed" in result.stderr
    assert "nothing was deployed yet" in cli.call("history").must(0).stdout
    tracked = cli.call("install", NAME, "-e", "prod", "--track-only").must(0)
    assert tracked.stdout.startswith("recorded: ")
    file = modl(cli.workspace.folder, "2.0.0")
    released = cli.call("module", file, "-e", "other", "--skip-signing").must(0)
    assert "not deployed to other" in released.stderr
    environments = cli.call("status", "--json").must(0).document["deployed"]
    assert [each["environment"] for each in environments] == ["prod"]


def test_a_phantom_environment_can_be_forgotten(cli: GatewayCli) -> None:
    cli.call("install", NAME, "-e", "prod", "--track-only").must(0)
    assert "--confirm prod" in cli.call("history", "forget", "prod").must(2).stderr
    assert cli.call("history", "forget", "prod", "--confirm", "test").exit_code == 2
    cli.call("history", "forget", "prod", "--confirm", "prod").must(0)
    assert "nothing was deployed yet" in cli.call("status").must(0).stdout
    assert cli.call("status", "-e", "prod").exit_code == 6
    assert cli.call("history", "forget", "prod", "--confirm", "prod").exit_code == 6
    cli.call("install", NAME, "-e", "prod", "--track-only").must(0)
    assert len(cli.call("history", "--json").must(0).document["deployments"]) == 1


def test_an_unknown_environment_module_or_deployment_is_an_error(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    for command in (
        ("status", "-e", "prodution"),
        ("history", "-e", "prodution"),
        ("history", "show", "0123456789ab", "-e", "prodution"),
        ("history", "com.example.other"),
    ):
        result = cli.call(*command).must(6)
        assert "production" in result.stderr or NAME in result.stderr, command
    assert "production" in cli.call("rollback", "-e", "prodution").must(7).stderr


def test_history_shows_one_deployment_or_those_of_a_module(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    entries = cli.call("history", NAME, "--json").must(0).document["deployments"]
    assert len(entries) == 2
    named = ("history", "show", entries[1]["id"])
    (first,) = cli.call(*named, "--json").must(0).document["deployments"]
    assert first["id"] == entries[1]["id"]
    assert "history show" in cli.call("history", entries[1]["id"]).must(6).stderr
    assert (
        "no deployment '0123456789ab'" in cli.call("history", "show", "0123456789ab").must(6).stderr
    )
    assert "expected one" in cli.call("history", "show").must(2).stderr
    shown = cli.call(*named).must(0).stdout
    assert shown.startswith(f"deployed: deployment {first['id']} to production")
    assert cli.gateway.url in shown


@pytest.mark.parametrize("name", ["tok-12345678", "line-tok-12345678-3"])
def test_a_secret_does_not_become_the_name_of_an_environment(cli: GatewayCli, name: str) -> None:
    cli.call("install", NAME, "-e", "staging", "--track-only").must(0)
    secret = {"REPOSITORY_API_TOKEN": "tok-12345678"}
    before = tree(cli.workspace.repository)
    for command in (
        ("install", NAME, "-e", name, "--track-only"),
        ("promote", "-e", "staging", "--to", name, "--track-only"),
        ("rollback", "-e", name, "--track-only"),
    ):
        refused = cli.call(*command, **secret).must(2)
        assert "contains one of the secrets" in refused.stderr
        assert "tok-12345678" not in refused.stderr + refused.stdout
    assert tree(cli.workspace.repository) == before


def test_where_there_is_no_repository_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy, "wait_before", lambda *_: 0.001)
    workspace = CliWorkspace(tmp_path)
    for line in (
        "history forget test --confirm test",
        "rollback -e test --track-only",
        "promote -e test --to production --track-only",
        "reindex",
    ):
        assert "there is no repository at" in workspace.call(*line.split()).must(6).stderr, line
        assert not workspace.repository.exists()
    for command in ("status", "history"):
        assert "there is no repository at" in workspace.call(command).must(6).stderr
        url = ("--repository-url", "https://127.0.0.1:1/modules")
        assert workspace.call(command, *url).exit_code == 9


def test_a_configured_environment_without_deployments_is_known(cli: GatewayCli) -> None:
    cli.config(CONFIG)
    assert "nothing was deployed yet" in cli.call("status", "-e", "staging").must(0).stdout


def test_a_module_that_was_uninstalled_is_listed_with_when(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    there = ("-e", "production", "--gateway", cli.gateway.url, "--restart", "if-needed")
    cli.call("rollback", *there, "--allow-uninstall").must(0)
    document = cli.call("status", "--json").must(0).document
    (gone,) = document["not_installed"]
    assert (document["deployed"], gone["outcome"]) == ([], "uninstalled")
    shown = cli.call("status", "-e", "production").must(0).stdout
    assert f"{NAME}  - (uninstalled)  {gone['since'][:10]} " in shown
    assert "nothing was deployed yet" not in shown


@pytest.mark.parametrize(
    ("version", "remark"), [("1.1.0", "was rolled back"), ("1.0.0", "was not installed")]
)
def test_a_first_installation_that_failed_is_listed_as_such(
    cli: GatewayCli, version: str, remark: str
) -> None:
    cli.gateway.options.faults[NAME] = ModuleFault(version="1.1.0")
    consent = WITH_RESTART if version == "1.1.0" else WITH_RESTART[4:]
    there = ("-e", "production", "--gateway", cli.gateway.url, *consent)
    cli.call("install", f"{NAME}@{version}", *there).must(7)
    assert f"{NAME}  - ({version} {remark})" in cli.call("status").must(0).stdout


def test_a_version_that_waits_for_a_restart_is_not_promoted(cli: GatewayCli) -> None:
    there = ("--gateway", cli.gateway.url)
    cli.call("install", NAME, "-e", "staging", *there, *WITH_RESTART[:4]).must(0)
    promote = ("promote", "-e", "staging", "--to", "production", *there, *WITH_RESTART)
    refused = cli.call(*promote).must(7)
    assert "has not run in staging yet" in refused.stderr
    assert active_or_none(cli) is None
    cli.call("install", NAME, "-e", "staging", *there, *WITH_RESTART).must(0)
    cli.call(*promote).must(0)
    assert active(cli.gateway) == "1.1.0"


def active_or_none(cli: GatewayCli) -> str | None:
    listed = cli.gateway.state.listed.get(NAME)
    return listed.modl.version if listed and listed.state == "ACTIVE" else None


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_interrupted_during_a_restart_it_says_what_is_installed_and_how_to_go_on(
    cli: GatewayCli, number: signal.Signals, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt if number is signal.SIGINT else SystemExit(exit_code)

    with monkeypatch.context() as patch:
        patch.setattr(
            "ign_deploy.deployment.gateway.rest_api.ApiGateway.wait_until_running", interrupt
        )
        result = cli.install(f"{NAME}@1.1.0")
    assert result.exit_code == exit_code
    url = cli.gateway.url
    assert f"{url}: {NAME} 1.1.0 is installed; a restart was requested" in result.stderr
    assert f"before: {NAME} 1.0.0" in result.stderr
    command = next(
        line.partition("run: ign-deploy ")[2]
        for line in result.stderr.splitlines()
        if "run: ign-deploy " in line
    )
    cli.gateway.state.come_back()
    cli.call(*command.split()).must(0)
    assert active(cli.gateway) == "1.1.0"


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_a_signal_during_the_wait_for_a_restart_ends_with_the_command_to_go_on(
    workspace: CliWorkspace, repository: Path, number: signal.Signals, exit_code: int
) -> None:
    """A process of its own, a real signal, and gateways on real time."""
    anchor = workspace.folder / "vendor.pem"
    anchor.write_bytes(pem_certificates(self_signed("Test Vendor")[1]))
    store = workspace.folder / "store"
    shutil.copytree(repository, store)
    env = {"IGN_DEPLOY_GATEWAY_TOKEN": TOKEN}
    given = (
        "--repository-url",
        str(store),
        "--trust-anchor",
        str(anchor),
        "--health-command",
        "true",
    )
    with running_gateway() as first, running_gateway() as second:
        first.options.never_back = "down"
        there = ("--gateway", first.url, "--gateway", second.url, "-e", "production", *given)
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "ign_deploy", "install", f"{NAME}@1.0.0", *there,
             *WITH_RESTART],
            cwd=workspace.folder, env={**workspace.environment, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while first.state.phase() != "down":
                assert time.monotonic() < deadline
                time.sleep(0.02)
            child.send_signal(number)
            stdout, stderr = child.communicate(timeout=60)
        finally:
            child.kill()
        assert child.returncode == exit_code, stderr
        assert "Traceback" not in stdout + stderr
        assert f"{first.url}: {NAME} 1.0.0 is installed; a restart was requested" in stderr
        assert f"{second.url}: not started, nothing was changed" in stderr
        (line,) = [each for each in stderr.splitlines() if "to go on, run: ign-deploy" in each]
        first.options.never_back = ""
        first.state.come_back()
        assert "(uncertain" in workspace.call("status", *given[:2]).must(0).stdout
        resume = shlex.split(line.partition("run: ign-deploy ")[2])
        assert all(part in resume for part in given)
        workspace.run(*resume, env=env).must(0)
        assert (first.version_of(NAME), second.version_of(NAME)) == ("1.0.0", "1.0.0")
