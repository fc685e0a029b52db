"""Two deployers on one gateway at once: processes of their own, and one real gateway's time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cli import TOKEN, WITH_RESTART, CliWorkspace, Result
from tests.support.deployment_env import published_repository
from tests.support.gateway import Gateway, running_gateway
from tests.support.gateway.client import MODULE_ID

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
        deadline = time.monotonic() + 60
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
        assert f"is deploying production to {gateway.url} since 20" in result.stderr
        assert "nothing was changed" in result.stderr
        assert "--wait-for-lock" in result.stderr
        ours = [each for each in gateway.requests[requests:] if "1.1.0" in str(each)]
        assert ours == []
        # What only reads, or only looks, isn't kept from it.
        workspace.call("status", "--repository-url", str(store)).must(0)
        come_back(gateway)
        stdout, stderr = first.communicate(timeout=60)
        assert first.returncode == 0, stdout + stderr
        assert gateway.version_of(MODULE_ID) == "1.0.0"
        assert json.loads(leases(store).read_bytes())["leases"] == []


def test_the_second_deployer_waits_and_finds_what_the_first_one_left(
    workspace: CliWorkspace, store: Path
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "ign_deploy",
             *arguments("1.1.0", gateway, store, "--wait-for-lock", "60")],
            cwd=workspace.folder, env={**workspace.environment, **ENV}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            lines: list[str] = []
            while not any("waiting up to 60 s" in each for each in lines):
                lines.append(child.stdout.readline())
                assert lines[-1], lines
            come_back(gateway)
            assert first.wait(60) == 0
            output, _ = child.communicate(timeout=60)
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
        first.wait(60)
        come_back(gateway)
        result = second(workspace, gateway, store).must(7)
        assert "if it was killed, its lease ends in 1" in result.stderr
        document = json.loads(leases(store).read_bytes())
        for each in document["leases"]:
            renewed = datetime.fromisoformat(each["renewed_at"]) - timedelta(seconds=150)
            each["renewed_at"] = renewed.isoformat()
        leases(store).write_text(json.dumps(document), "utf-8")
        second(workspace, gateway, store).must(0)
        assert gateway.version_of(MODULE_ID) == "1.1.0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_deployer_gives_the_gateway_back(
    workspace: CliWorkspace, store: Path, number: signal.Signals
) -> None:
    with running_gateway() as gateway, restarting(workspace, gateway, store) as first:
        assert len(json.loads(leases(store).read_bytes())["leases"]) == 1
        first.send_signal(number)
        first.wait(60)
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
