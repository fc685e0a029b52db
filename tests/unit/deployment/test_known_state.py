"""Whatever goes wrong with a gateway, the history has its version, or says it is uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from ign_deploy.deployment.history import History
from ign_deploy.deployment.options import Gateway as ClientGateway
from ign_deploy.deployment.records import DeploymentRecord, Outcome, Phase
from ign_deploy.errors import CombinedError, RepositoryError
from ign_deploy.pipeline.deploy import Order, Part
from ign_deploy.pipeline.unrecorded import record_kept_ends, require_recorded
from tests.support.deployment_env import DeploymentEnv, active, published_repository
from tests.support.gateway import Gateway, ModuleFault
from tests.support.gateway.client import MODULE_ID, client_of, modl
from tests.support.reporting import Acting
from tests.support.serving import Fault

numbers = count()
OLD, NEW, NEXT = "1.0.0", "1.1.0", "1.2.0"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("published"), OLD, NEW, NEXT)


@pytest.fixture
def env(repository: Path, tmp_path: Path) -> DeploymentEnv:
    return DeploymentEnv(repository, tmp_path, environment=f"{next(numbers)}")


def test_a_restart_that_never_ends_is_uncertain_until_the_same_command_has_succeeded(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.never_back = "starting"
    assert env.install(NEW, plant).outcome is Outcome.ROLLBACK_FAILED
    (found,) = env.deployed()
    assert (found.version, found.uncertain, found.rollback_version) == (OLD, True, OLD)
    plant.options.never_back = ""
    plant.state.come_back()
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW


def test_after_a_failed_rollback_the_next_failure_restores_the_last_version_that_ran(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.faults[MODULE_ID] = ModuleFault()
    assert env.install(NEW, plant).outcome is Outcome.ROLLBACK_FAILED
    plant.options.faults[MODULE_ID] = ModuleFault(version=NEW)
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLED_BACK
    assert record.gateways[0].modules[0].restored == OLD
    assert active(plant) == env.version(plant) == OLD


@pytest.mark.parametrize("what", ["accepted_certificates", "accepted_licenses"])
def test_quarantine_is_noticed_without_a_restart_and_rolled_back(
    env: DeploymentEnv, plant: Gateway, what: str
) -> None:
    """The gateway reports that everything is accepted, but quarantines the module."""
    env.install(OLD, plant)
    before = plant.state.restarts
    plant.faults.append(Fault("modules/upload$", status=200, body=_said_accepted()))
    # The upload is answered without being made: the file lies there already.
    plant.state.uploads[MODULE_ID] = plant.have(_file(env, NEW))
    plant.have(_file(env, OLD))
    getattr(plant.state, what).clear()
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLED_BACK, record
    assert "in quarantine" in record.gateways[0].message
    assert plant.state.restarts == before
    assert active(plant) == env.version(plant) == OLD


def _file(env: DeploymentEnv, version: str) -> Path:
    return env.repository.parent / f"{MODULE_ID}-{version}.modl"


def _said_accepted() -> bytes:
    return b'{"moduleId":"%s","licenseAccepted":true,"certAccepted":true}' % MODULE_ID.encode()


@pytest.mark.parametrize("what", ["accepted_certificates", "accepted_licenses"])
def test_quarantine_after_the_restart_is_reported_and_goes_back(
    env: DeploymentEnv, plant: Gateway, what: str
) -> None:
    env.install(OLD, plant)
    env.reported = Acting("restarting", getattr(plant.state, what).clear)
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLED_BACK, record
    assert "is in quarantine" in record.gateways[0].message
    assert active(plant) == env.version(plant) == OLD


def test_when_half_of_the_gateways_fail_the_history_has_each_one_as_it_is(
    env: DeploymentEnv, gateways: list[Gateway]
) -> None:
    env.install(OLD, *gateways)
    gateways[1].options.faults[MODULE_ID] = ModuleFault(version=NEW)
    record = env.install(NEW, *gateways, wave_size=2)
    assert record.outcome is Outcome.ROLLED_BACK
    expected = [NEW, OLD, OLD]
    assert [active(each) for each in gateways] == expected
    assert [env.version(each) for each in gateways] == expected
    gateways[1].options.faults.clear()
    assert env.install(NEW, *gateways).outcome is Outcome.DEPLOYED
    assert [env.version(each) for each in gateways] == [NEW] * 3


def test_all_or_nothing_is_rolled_back_in_the_history_too(
    env: DeploymentEnv, gateways: list[Gateway]
) -> None:
    env.install(OLD, *gateways)
    gateways[2].options.faults[MODULE_ID] = ModuleFault(version=NEW)
    env.install(NEW, *gateways, all_or_nothing=True)
    assert [active(each) for each in gateways] == [OLD] * 3
    assert [env.version(each) for each in gateways] == [OLD] * 3


def test_a_gateway_in_commissioning_is_reported_and_uncertain(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)

    def commission() -> None:
        plant.options.commissioning = True

    env.reported = Acting("restarting", commission)
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "commissioning" in record.gateways[0].message
    assert env.deployed()[0].uncertain
    plant.options.commissioning = False
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW


def test_a_slow_start_is_waited_for(env: DeploymentEnv, plant: Gateway) -> None:
    env.install(OLD, plant)
    plant.options.starting_seconds = 50
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW


def test_a_redundant_backup_is_not_changed_and_nothing_is_recorded(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.redundancy_role = "Backup"
    with pytest.raises(CombinedError):
        env.install(NEW, plant)
    assert len(env.deployments()) == 1
    assert active(plant) == env.version(plant) == OLD


def test_a_restart_whose_request_is_lost_three_times_is_rolled_back(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.faults.append(Fault("restart-tasks/restart$", "broken", times=3))
    before = plant.state.restarts
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLED_BACK
    assert plant.state.restarts == before  # the old version was put in the waiting one's place
    assert active(plant) == env.version(plant) == OLD


def test_a_first_installation_pending_a_restart_is_uninstalled_if_it_faults_then(
    env: DeploymentEnv, plant: Gateway
) -> None:
    plant.options.faults[MODULE_ID] = ModuleFault()
    record = env.install(OLD, plant, restart="never")
    assert record.outcome is Outcome.RESTART_PENDING
    record = env.install(OLD, plant)
    assert record.outcome is Outcome.ROLLED_BACK
    assert active(plant) == env.version(plant) == ""


def test_an_upgrade_pending_a_restart_is_rolled_back_if_its_health_check_fails_then(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    assert env.install(NEW, plant, restart="never").outcome is Outcome.RESTART_PENDING
    plant.state.restart()  # someone does it when the plant allows it
    plant.state.come_back()
    assert active(plant) == NEW
    record = env.install(NEW, plant, health_command="false")
    assert record.outcome is Outcome.ROLLED_BACK
    assert active(plant) == env.version(plant) == OLD


def test_a_version_that_ran_after_a_later_restart_is_the_next_rollback_version(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    env.install(NEW, plant, restart="never")
    plant.state.restart()
    plant.state.come_back()
    plant.options.faults[MODULE_ID] = ModuleFault(version=NEXT)
    assert env.install(NEXT, plant).outcome is Outcome.ROLLED_BACK
    assert active(plant) == env.version(plant) == NEW


def test_a_gateway_whose_module_was_installed_by_hand_is_known_after_a_rollback(
    env: DeploymentEnv, plant: Gateway
) -> None:
    plant.have(_file(env, OLD))
    plant.options.faults[MODULE_ID] = ModuleFault(version=NEW)
    env.install(NEW, plant)
    assert active(plant) == env.version(plant) == OLD


def test_without_the_old_file_the_history_says_that_it_is_uninstalled(
    env: DeploymentEnv, plant: Gateway
) -> None:
    plant.have(modl(env.folder, "0.9.0"))  # never published
    plant.options.faults[MODULE_ID] = ModuleFault(version=NEW)
    record = env.install(NEW, plant, allow_uninstall=True)
    assert record.outcome is Outcome.ROLLED_BACK
    assert record.gateways[0].modules[0].restored == ""
    assert active(plant) == env.version(plant) == ""


class Killed(BaseException):
    """No code of ours catches it."""


@pytest.mark.parametrize("phase", list(Phase))
def test_killed_around_the_records_the_same_command_converges(
    env: DeploymentEnv, plant: Gateway, phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first record was written, and before the second one is."""
    env.install(OLD, plant)
    append = History.append

    def killed(self: History, record: DeploymentRecord) -> None:
        if phase is Phase.STARTED:
            append(self, record)
        if record.phase is phase:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(History, "append", killed)
        with pytest.raises(Killed):
            env.install(NEW, plant)
    assert active(plant) == (OLD if phase is Phase.STARTED else NEW)
    if phase is Phase.STARTED:
        assert env.deployed()[0].uncertain
    assert env.install(NEW, plant).outcome in (
        Outcome.DEPLOYED,
        Outcome.UNCHANGED,
    )
    assert active(plant) == env.version(plant) == NEW


def test_the_end_that_a_store_did_not_take_is_kept_and_recorded_by_the_next_run(
    repository: Path, tmp_path: Path, plant: Gateway
) -> None:
    """The store dies while the gateway restarts, and is back later."""
    env = DeploymentEnv(repository, tmp_path, f"{next(numbers)}", {"output_dir": tmp_path / "out"})
    env.install(OLD, plant)
    ledger, away = repository / "ledger", repository / "away"

    def die() -> None:
        ledger.rename(away)
        ledger.write_text("no folder")

    env.reported = Acting("restarting", die)
    try:
        deployer = env.deployer()
        part = Part([deployer.obtain(MODULE_ID, NEW)], [ClientGateway(client_of(plant))])
        record = deployer.deploy(Order(env.environment, (part,)))
        with pytest.raises(RepositoryError, match="installed, but not recorded") as caught:
            require_recorded(deployer.context)
    finally:
        ledger.unlink()
        away.rename(ledger)
    assert caught.value.exit_code == 6
    assert record.outcome is Outcome.DEPLOYED
    (kept,) = (tmp_path / "out").glob("ign-deploy-unrecorded-*.json")
    assert env.deployed()[0].uncertain

    record_kept_ends(env.deployer(dry_run=True).context)
    assert env.deployed()[0].uncertain
    elsewhere = DeploymentEnv(tmp_path / "other", tmp_path, env.environment, env.settings)
    record_kept_ends(elsewhere.deployer().context)
    assert any("was not recorded" in line for line in elsewhere.reported.warnings)
    assert kept.exists()
    record_kept_ends(env.deployer().context)
    assert active(plant) == env.version(plant) == NEW
    assert not kept.exists()
    assert env.deployments()[-1].ended == record


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"], ids=str)
def test_a_file_that_is_no_record_is_left_with_a_warning(
    env: DeploymentEnv, tmp_path: Path, data: bytes
) -> None:
    kept = tmp_path / "ign-deploy-unrecorded-x.json"
    kept.write_bytes(data)
    record_kept_ends(env.deployer(output_dir=tmp_path).context)
    assert len(env.reported.warnings) == 1
    assert kept.exists()


def test_an_end_that_was_written_but_is_not_in_the_index_is_completed(
    env: DeploymentEnv, plant: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.settings["output_dir"] = tmp_path / "out"
    index = History._index

    def fails(self: History, name: str, records: Sequence[DeploymentRecord]) -> None:
        if records[0].phase is Phase.ENDED:
            raise RepositoryError("the store is gone", hint="wait.")
        index(self, name, records)

    with monkeypatch.context() as patch:
        patch.setattr(History, "_index", fails)
        assert env.install(OLD, plant).outcome is Outcome.DEPLOYED
    assert env.version(plant) == OLD  # its end is found
    record_kept_ends(env.deployer().context)
    assert list((tmp_path / "out").iterdir()) == []
    assert env.version(plant) == OLD
