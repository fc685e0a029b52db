"""A store that is lost between the installation and the record of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ign_deploy.deployment.history import History
from ign_deploy.deployment.records import DeploymentRecord, Phase
from ign_deploy.errors import NetworkError
from tests.support.cli import CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import ModuleFault
from tests.support.gateway.client import MODULE_ID


@pytest.fixture
def cli(
    workspace: CliWorkspace,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[GatewayCli]:
    repository = published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The store takes no end of a deployment."""
    append = History.append

    def fails(self: History, record: DeploymentRecord) -> None:
        if record.phase is Phase.ENDED:
            raise NetworkError("the connection was refused", hint="wait.")
        append(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(History, "append", fails)
        yield patch


def test_what_is_installed_but_not_recorded_is_no_success(
    cli: GatewayCli, lost: pytest.MonkeyPatch
) -> None:
    result = cli.install(f"{MODULE_ID}@1.0.0", "--json").must(6)
    assert "installed, but not recorded" in result.stderr
    assert (result.document["result"], result.document["error"]["exit_code"]) == ("deployed", 6)
    assert active(cli.gateway) == "1.0.0"
    (kept,) = (cli.workspace.folder / "dist").glob("ign-deploy-unrecorded-production-*.json")
    (shown,) = cli.call("status", "--json").must(0).document["deployed"]
    assert shown["uncertain"]

    lost.undo()
    again = cli.install(f"{MODULE_ID}@1.1.0").must(0)
    assert "recorded the end of deployment" in again.stderr
    assert not kept.exists()
    (shown,) = cli.call("status", "--json").must(0).document["deployed"]
    assert (shown["version"], shown["previous"], shown["uncertain"]) == ("1.1.0", "1.0.0", False)


def test_a_failed_deployment_that_is_not_recorded_fails_as_one(
    cli: GatewayCli, lost: pytest.MonkeyPatch
) -> None:
    cli.gateway.options.faults[MODULE_ID] = ModuleFault(version="1.0.0")
    result = cli.install(f"{MODULE_ID}@1.0.0").must(7)
    assert "failed, and not recorded" in result.stderr
    lost.undo()
    cli.call("rollback", "-e", "production", "--gateway", cli.gateway.url)
    assert list((cli.workspace.folder / "dist").glob("ign-deploy-unrecorded-*")) == []
