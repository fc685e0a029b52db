"""Only what was verified gets onto a gateway, and what it read is what was verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.options import Gateway as TargetGateway
from ign_deploy.deployment.records import Outcome
from ign_deploy.pipeline.deploy import Order, Part
from tests.support.deployment_env import (
    DeploymentEnv,
    PublishedModules,
    deploy,
    install_first,
    published_repository,
    running,
)
from tests.support.gateway import Gateway, ModuleFault
from tests.support.gateway.client import MODULE_ID, attacker, client_of, modl
from tests.support.gateway.modl import Modl, read_modl
from tests.support.reporting import Recorder


def test_a_downloaded_file_that_changes_before_its_upload_is_not_installed(
    plant: Gateway, tmp_path: Path
) -> None:
    env = DeploymentEnv(published_repository(tmp_path, "1.0.0"), tmp_path / "work", fetched={})
    deployer = env.deployer()
    module = deployer.obtain(MODULE_ID, "1.0.0")
    evil = modl(tmp_path / "evil", identity=attacker())
    module.path.write_bytes(evil.read_bytes())
    order = Order("production", (Part([module], [TargetGateway(client_of(plant))]),))
    record = deployer.deploy(order)
    assert record.outcome is Outcome.FAILED
    assert "changed while it was being sent" in record.gateways[0].message
    assert MODULE_ID not in plant.state.uploads
    assert client_of(plant).module(MODULE_ID) is None


def test_a_rollback_does_not_install_a_file_that_changed_since_it_was_fetched(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    old = published.modules[MODULE_ID, "1.0.0"]
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    evil = modl(published.folder / "evil", "6.6.6")
    old.path.write_bytes(evil.read_bytes())
    (record,) = deploy(published, [plant], [published.add("1.1.0")])
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "changed while it was being sent" in record.message
    assert plant.version_of(MODULE_ID) == "1.1.0"
    assert MODULE_ID not in plant.state.uploads


def evil_modl(published: PublishedModules, version: str) -> Modl:
    """Return another signer's module of the same id, as a gateway reads it."""
    path = modl(published.folder / "evil", version, identity=attacker())
    return read_modl(path, file_name=f"{MODULE_ID}.modl")


@pytest.mark.parametrize("when", ["reads_as", "installs_as"])
def test_a_module_that_the_gateway_reads_differently_is_removed_without_a_restart(
    plant: Gateway, published: PublishedModules, when: str
) -> None:
    getattr(plant.options, when)[MODULE_ID] = evil_modl(published, "1.0.0")
    (record,) = deploy(published, [plant], [published.add("1.0.0")])
    assert record.outcome is Outcome.ROLLED_BACK
    assert "read something else in com.example.pump 1.0.0 than what was verified" in record.message
    assert "don't accept a certificate or licence" in record.message
    assert "--accept" not in record.message
    assert plant.state.restarts == 0
    assert MODULE_ID not in plant.state.listed or MODULE_ID in plant.state.removing
    assert evil_modl(published, "1.0.0").fingerprint not in plant.state.accepted_certificates
    client = client_of(plant)
    client.restart()
    client.wait_until_running()
    assert client.module(MODULE_ID) is None


@pytest.mark.parametrize("when", ["reads_as", "installs_as"])
def test_an_upgrade_that_the_gateway_reads_differently_goes_back_without_a_restart(
    plant: Gateway, published: PublishedModules, when: str
) -> None:
    install_first(published, plant)
    restarts = plant.state.restarts
    getattr(plant.options, when)[MODULE_ID] = evil_modl(published, "1.1.0")
    wrong = getattr(plant.options, when)

    class Healing(Recorder):
        """From the rollback on, the gateway reads what was sent."""

        def warning(self, message: str) -> None:
            wrong.clear()

    (record,) = deploy(published, [plant], [published.add("1.1.0")], reporter=Healing())
    assert record.outcome is Outcome.ROLLED_BACK
    assert "back on 1.0.0" in record.message
    assert plant.state.restarts == restarts
    assert running(plant) == "1.0.0"
    client = client_of(plant)
    client.restart()
    client.wait_until_running()
    assert running(plant) == "1.0.0"
    assert plant.state.listed[MODULE_ID].modl.fingerprint in plant.state.accepted_certificates


def test_a_mismatch_before_the_installation_does_not_uninstall_what_runs(
    plant: Gateway, published: PublishedModules
) -> None:
    """The file of the previous version isn't available, so it could not be installed again."""
    plant.have(modl(published.folder, "0.9.0"))
    plant.options.reads_as[MODULE_ID] = evil_modl(published, "1.0.0")
    (record,) = deploy(published, [plant], [published.add("1.0.0")])
    assert record.outcome is Outcome.FAILED
    assert "CN=Attacker" in record.message
    assert running(plant) == "0.9.0"
    assert plant.asked("modules/uninstall") == 0
