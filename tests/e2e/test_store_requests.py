"""Deployments cost a store few requests, however many it has on record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace, open_gateway_cli
from tests.support.deployment_env import published_repository
from tests.support.fault_proxy import fault_proxy
from tests.support.gateway.client import MODULE_ID
from tests.support.servers import nginx

NAME = MODULE_ID
MODULE = ["GET release.json", f"GET {NAME}-1.1.0.modl"]
STATE = "GET production.json"
WRITTEN = ["PUT pending", "GET production.json", "PUT production.json", "PROPFIND pending",
           "DELETE pending"]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


def short(method: str, path: str) -> str:
    """Return a request without what differs from run to run."""
    *_, folder, last = path.rstrip("/").split("/")
    if folder == "production":
        return f"{method} {last.rpartition('-')[2]}"
    return f"{method} {folder if folder == 'pending' else last}"


def test_recording_a_deployment_is_one_change_of_the_index(
    workspace: CliWorkspace, repository: Path, tmp_path: Path
) -> None:
    """Nothing is probed, made or read that is known already."""
    with nginx(tmp_path / "nginx") as server, fault_proxy(server.url) as proxy:
        shutil.copytree(repository, server.root / "store")

        def requests(*arguments: str) -> list[str]:
            before = len(proxy.rules.requests)
            there = ("-e", "production", "--repository-url", f"{proxy.url}/store")
            workspace.call(*arguments, *there).must(0)
            return [short(each.method, each.path) for each in proxy.rules.requests[before:]]

        requests("install", f"{NAME}@1.0.0", "--track-only")
        for _ in range(2):
            assert requests("install", f"{NAME}@1.1.0", "--track-only") == [
                *MODULE, WRITTEN[0], STATE, "PUT ended.json", *WRITTEN[2:],
            ]  # fmt: skip
        previous = [each.replace("1.1.0", "1.0.0") for each in MODULE]
        assert requests("rollback", "--track-only") == [
            STATE, *previous, WRITTEN[0], STATE, "PUT ended.json", *WRITTEN[2:],
        ]  # fmt: skip
        assert requests("status") == ["PROPFIND forgotten", "PROPFIND environments", STATE]


def test_an_installation_changes_the_index_at_its_beginning_and_at_its_end(
    workspace: CliWorkspace, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        nginx(tmp_path / "nginx") as server,
        fault_proxy(server.url) as proxy,
        open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli,
    ):
        shutil.copytree(repository, server.root / "store")
        url = f"{proxy.url}/store"
        cli.install(f"{NAME}@1.0.0", "--repository-url", url).must(0)
        before = len(proxy.rules.requests)
        cli.install(f"{NAME}@1.1.0", "--repository-url", url).must(0)
        seen = [short(each.method, each.path) for each in proxy.rules.requests[before:]]
    previous = ["GET release.json", f"GET {NAME}-1.0.0.modl"]
    changes = [each for each in seen if each not in (*MODULE, *previous)]
    assert [each for each in changes if "production.json" in each or "ed.json" in each] == [
        STATE, "PUT started.json", *WRITTEN[1:3], "PUT ended.json", *WRITTEN[1:3]
    ]  # fmt: skip
