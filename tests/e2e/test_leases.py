"""Two deployers on one gateway at once: processes of their own, and one real gateway's time."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ign_deploy.deployment.records import Outcome
from ign_deploy.pipeline.deploy import Deployer, Order, Part
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.leases import Holder
from tests.support.cli import TOKEN, WITH_RESTART, CliWorkspace, Result
from tests.support.deployment_env import DeploymentEnv, published_repository, target_of
from tests.support.gateway import Gateway, ModuleFault, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID
from tests.support.reporting import Acting

ENV = {"IGN_DEPLOY_GATEWAY_TOKEN": TOKEN, "USER": "anna"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A repository with two versions."""
    return published_repository(tmp_path, "1.0.0", "1.1.0")


def arguments(version: str, gateway: Gateway, store: Path, *more: str) -> list[str]:
    return [
        "install", f"{MODULE_ID}@{version}", "--gateway", gateway.url, "-e", "production",
        "--repository-url", str(store), *WITH_RESTART, *more,
    ]  # fmt: skip


@contextmanager
def restarting(
    workspace: CliWorkspace, gateway: Gateway, store: Path
) -> Iterator[subprocess.Popen[str]]:
    """Start a deployment that waits for the gateway's restart until ``come_back``."""
    gateway.options.never_back = "down"
    child = subprocess.Popen(
        [sys.executable, "-I", "-m", "ign_deploy", *arguments("1.0.0", gateway, store)],
        cwd=workspace.folder, env={**workspace.environment, **ENV}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while gateway.state.phase() != "down":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield child
    finally:
        child.kill()
        child.communicate()


def come_back(gateway: Gateway) -> None:
    gateway.options.never_back = ""
    gateway.state.come_back()


def leases(store: Path) -> Path:
    return store / "leases" / "gateways.json"


def history(workspace: CliWorkspace, store: Path) -> list[dict[str, object]]:
    """Return the environment's deployments, oldest first."""
    found = workspace.call("history", "--repository-url", str(store), "--json").must(0)
    deployments: list[dict[str, object]] = found.document["deployments"]
    return deployments[::-1]


def second(workspace: CliWorkspace, gateway: Gateway, store: Path, *more: str) -> Result:
    return workspace.run(*arguments("1.1.0", gateway, store, *more), env={**ENV, "USER": "ben"})


def test_the_second_deployer_ends_with_who_has_the_gateway(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        requests = len(gateway.requests)
        result = second(workspace, gateway, store).must(7)
        assert "anna (" in result.stderr
        assert f"started to deploy production to {gateway.url} just now" in result.stderr
        assert "nothing was changed" in result.stderr
        assert "--wait-for-lock" in result.stderr
        ours = [each for each in gateway.requests[requests:] if "1.1.0" in str(each)]
        assert ours == []
        # What only reads, or only looks, isn't kept from it.
        workspace.call("status", "--repository-url", str(store)).must(0)
        come_back(gateway)
        stdout, stderr = first.communicate(timeout=300)
        assert first.returncode == 0, stdout + stderr
        assert gateway.version_of(MODULE_ID) == "1.0.0"
        assert json.loads(leases(store).read_bytes())["leases"] == []


def test_the_second_deployer_waits_and_finds_what_the_first_one_left(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "ign_deploy",
             *arguments("1.1.0", gateway, store, "--wait-for-lock", "300")],
            cwd=workspace.folder, env={**workspace.environment, **ENV}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            lines: list[str] = []
            while not any("waiting up to 300 s" in each for each in lines):
                lines.append(child.stdout.readline())
                assert lines[-1], lines
            come_back(gateway)
            assert first.wait(300) == 0
            output, _ = child.communicate(timeout=300)
        finally:
            child.kill()
        assert child.returncode == 0, output
        assert "1.0.0 → 1.1.0" in output
        assert gateway.version_of(MODULE_ID) == "1.1.0"
    found = history(workspace, store)
    assert [each["outcome"] for each in found] == ["deployed", "deployed"]
    numbers = [each["lease"] for each in found]
    assert numbers == [1, 2]


def test_a_killed_deployer_s_gateway_is_free_when_its_lease_is_over(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(300)
        come_back(gateway)
        renew(store, seconds=200)  # longer than this machine may take, but less than clocks differ
        result = second(workspace, gateway, store).must(7)
        assert re.search(r"if it was killed, its lease ends in \d+ s", result.stderr)
        renew(store, seconds=-150)
        second(workspace, gateway, store).must(0)
        assert gateway.version_of(MODULE_ID) == "1.1.0"


def renew(store: Path, *, seconds: float) -> None:
    """Have the leases renewed so many seconds from now, by the store's clock."""
    document = json.loads(leases(store).read_bytes())
    for each in document["leases"]:
        each["renewed_at"] = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    leases(store).write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_deployer_gives_the_gateway_back(
    workspace: CliWorkspace, store: Path, number: signal.Signals
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        assert len(json.loads(leases(store).read_bytes())["leases"]) == 1
        first.send_signal(number)
        first.wait(300)
        assert json.loads(leases(store).read_bytes())["leases"] == []
        come_back(gateway)


def test_a_dry_run_and_a_tracked_deployment_take_no_lease(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway:
        workspace.run(*arguments("1.0.0", gateway, store, "--dry-run"), env=ENV).must(0)
    there = ("-e", "tracked", "--track-only", "--repository-url", str(store))
    workspace.call("install", f"{MODULE_ID}@1.0.0", *there).must(0)
    assert not leases(store).exists()


@pytest.mark.parametrize("command", ["install", "rollback", "promote"])
def test_no_command_looks_at_a_gateway_that_another_run_has(
    workspace: CliWorkspace, store: Path, command: str
) -> None:
    with running_gateway() as gateway:
        there = ("--gateway", gateway.url, "--repository-url", str(store), *WITH_RESTART)
        ordered = {
            "install": ("install", f"{MODULE_ID}@1.0.0", "-e", "production"),
            "rollback": ("rollback", "-e", "production"),
            "promote": ("promote", "-e", "staging", "--to", "production"),
        }
        tracked = ("-e", "staging", "--track-only", "--repository-url", str(store))
        workspace.call("install", f"{MODULE_ID}@1.0.0", *tracked).must(0)
        workspace.run(*ordered["install"], *there, env=ENV).must(0)
        requests = len(gateway.requests)
        other = open_repository(str(store)).maintenance.leases
        other.take([gateway.url], Holder(token="other", actor="ben", environment="production"))
        result = workspace.run(*ordered[command], *there, env=ENV).must(7)
        assert f"ben started to deploy production to {gateway.url} just now" in result.stderr
        assert "nothing was changed" in result.stderr
        assert len(gateway.requests) == requests
        other.release(Holder(token="other"))
        workspace.run(*ordered[command], *there, "--allow-uninstall", env=ENV).must(0)
        assert json.loads(leases(store).read_bytes())["leases"] == []


def test_a_deployment_that_loses_its_lease_in_the_middle_stops_and_says_so(
    store: Path, tmp_path: Path
) -> None:
    deployers: list[Deployer] = []

    def lose() -> None:
        (held,) = deployers[0]._held
        later = held.renewal.clock() + 121
        held.renewal.clock = lambda: later

    with running_gateway(clock=VirtualTime()) as gateway:
        env = DeploymentEnv(store, tmp_path / "work", reported=Acting(": installed ", lose))
        deployers.append(env.deployer())
        part = Part([deployers[0].obtain(MODULE_ID, "1.0.0")], [target_of(gateway)])
        record = deployers[0].deploy(Order("production", (part,)))
        assert record.outcome is Outcome.ROLLBACK_FAILED
        message = record.gateways[0].message
        assert "this run lost its lease on the gateways (it could not be renewed in t" in message
        assert message.endswith("it was not rolled back")
        assert record.gateways[0].steps[0].startswith("check ")
        assert gateway.state.restarts == 0
    (deployment,) = env.deployments()
    assert (deployment.last.outcome, deployment.last.lease) == (Outcome.ROLLBACK_FAILED, 1)
    assert json.loads(leases(store).read_bytes())["leases"] == []


def test_a_deployment_that_fails_gives_the_gateway_back(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway:
        gateway.options.faults[MODULE_ID] = ModuleFault(version="1.0.0")
        workspace.run(*arguments("1.0.0", gateway, store), env=ENV).must(7)
    document = json.loads(leases(store).read_bytes())
    assert (document["leases"], document["last_number"]) == ([], 1)
