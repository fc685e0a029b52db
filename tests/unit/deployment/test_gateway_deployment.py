"""Only what was verified gets onto a gateway, and what it read is what was verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.deployment.options import Gateway as TargetGateway
from ign_deploy.deployment.records import Outcome
from ign_deploy.errors import DeploymentError
from ign_deploy.pipeline.deploy import Order, Part
from tests.support.deployment_env import (
    DeploymentEnv,
    PublishedModules,
    deploy,
    install_first,
    published_repository,
    running,
    uploads,
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
    assert record.steps[0].startswith("don't accept a certificate or licence")
    assert "--accept" not in record.message + "".join(record.steps)
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


def lease_until(is_lost: Callable[[], bool]) -> Callable[[], None]:
    """Return what a deployment asks before its changes whether it still has its lease."""

    def require() -> None:
        if is_lost():
            raise DeploymentError("this run lost its lease", hint="find out who has it.")

    return require


@pytest.mark.parametrize("sent", [0, 1])
def test_a_run_without_its_lease_changes_nothing(
    plant: Gateway, published: PublishedModules, sent: int
) -> None:
    install_first(published, plant)
    lease = lease_until(lambda: uploads(plant) == 1 + sent)
    (record,) = deploy(published, [plant], [published.add("1.1.0")], require_lease=lease)
    assert record.outcome is Outcome.FAILED
    assert record.reason == "this run lost its lease; nothing was changed"
    assert record.steps == ("find out who has it.",)
    assert running(plant) == "1.0.0"
    assert uploads(plant) == 1 + sent
    assert plant.asked("modules/install") == 1


def test_a_run_that_loses_its_lease_in_the_middle_stops_before_its_next_change(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    for each in gateways[:2]:
        install_first(published, each)
    first, second = deploy(
        published, gateways[:2], [published.add("1.1.0")], continue_on_error=True,
        require_lease=lease_until(lambda: gateways[0].asked("modules/install") == 2),
    )  # fmt: skip
    assert first.outcome is Outcome.ROLLBACK_FAILED
    assert first.reason == "this run lost its lease; it was not rolled back"
    assert first.steps[0].startswith("check gateway 1 (http")
    assert first.steps[1] == "find out who has it."
    assert first.steps[2].startswith("run `ign-deploy rollback`")
    assert [each.state.restarts for each in gateways[:2]] == [1, 1]
    assert [each.asked("modules/install") for each in gateways[:2]] == [2, 1]
    assert second.outcome is Outcome.FAILED
    assert running(gateways[1]) == "1.0.0"


@pytest.mark.parametrize("sent", [0, 1])
def test_a_run_that_loses_its_lease_does_not_roll_back(
    plant: Gateway, published: PublishedModules, sent: int
) -> None:
    install_first(published, plant)
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    lease = lease_until(lambda: plant.state.restarts == 2 and uploads(plant) == 2 + sent)
    (record,) = deploy(published, [plant], [published.add("1.1.0")], require_lease=lease)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "is faulted" in record.message
    assert "the rollback failed, too: this run lost its lease" in record.message
    assert (uploads(plant), plant.asked("modules/install")) == (2 + sent, 2)


def test_a_first_installation_that_fails_is_not_uninstalled_without_the_lease(
    plant: Gateway, published: PublishedModules
) -> None:
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.0.0")
    lease = lease_until(lambda: plant.state.restarts == 1)
    (record,) = deploy(published, [plant], [published.add("1.0.0")], require_lease=lease)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert plant.asked("modules/uninstall") == 0


def test_a_run_without_its_lease_uninstalls_nothing(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    lease = lease_until(lambda: True)
    (record,) = deploy(published, [plant], [], removals=[MODULE_ID], require_lease=lease)
    assert record.outcome is Outcome.FAILED
    assert "nothing was changed" in record.message
    assert plant.asked("modules/uninstall") == 0


class Installing(Recorder):
    """Someone installs another version just before the rollback."""

    def __init__(self, gateway: Gateway, version: Path) -> None:
        super().__init__()
        self.gateway = gateway
        self.version = version

    def warning(self, message: str) -> None:
        super().warning(message)
        if message.endswith("rolling back"):
            self.gateway.have(self.version)


def test_a_rollback_leaves_a_version_alone_that_someone_else_installed_since(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    other = Installing(plant, modl(published.folder / "other", "2.0.0"))
    (record,) = deploy(published, [plant], [published.add("1.1.0")], reporter=other)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "com.example.pump 2.0.0 is there, which this run did not install" in record.message
    assert "find out who installed com.example.pump 2.0.0." in record.steps
    assert plant.version_of(MODULE_ID) == "2.0.0"
    assert plant.asked("modules/install") == 2
    assert plant.asked("modules/uninstall") == 0


def test_a_first_installation_that_fails_does_not_uninstall_what_someone_else_installed(
    plant: Gateway, published: PublishedModules
) -> None:
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.0.0")
    other = Installing(plant, modl(published.folder / "other", "2.0.0"))
    (record,) = deploy(published, [plant], [published.add("1.0.0")], reporter=other)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert plant.version_of(MODULE_ID) == "2.0.0"
    assert plant.asked("modules/uninstall") == 0
