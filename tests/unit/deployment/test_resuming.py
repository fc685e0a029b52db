"""What an earlier run left is used: a restart is waited for, what was installed isn't again."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from ign_deploy.deployment.records import ModuleOnGateway, Outcome
from ign_deploy.deployment.resuming import is_staged
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import CombinedError
from tests.support.deployment_env import (
    DeploymentEnv,
    active,
    published_repository,
    target_of,
    uploads,
)
from tests.support.gateway import Gateway
from tests.support.gateway.client import MODULE_ID, attacker, client_of, modl, verified
from tests.support.gateway.modl import read_modl
from tests.support.reporting import Acting, Recorder

numbers = count()
OLD, NEW, NEXT = "1.0.0", "1.1.0", "1.2.0"


class Killed(BaseException):
    """No code of ours catches it."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("published"), OLD, NEW, NEXT)


@pytest.fixture
def env(repository: Path, tmp_path: Path) -> DeploymentEnv:
    return DeploymentEnv(repository, tmp_path, environment=f"{next(numbers)}")


def installs(gateway: Gateway) -> int:
    return gateway.asked("modules/install")


def kill_when(text: str, version: str, env: DeploymentEnv, *gateways: Gateway) -> None:
    """Install a version, and end the run when it reports that text."""

    def end() -> None:
        raise Killed

    env.reported = Acting(text, end)
    with pytest.raises(Killed):
        env.install(version, *gateways)
    env.reported = Recorder()


@pytest.mark.parametrize("before", ["", OLD])
def test_what_a_killed_run_installed_only_needs_the_restart(
    env: DeploymentEnv, plant: Gateway, before: str
) -> None:
    if before:
        plant.have(env.repository.parent / f"{MODULE_ID}-{before}.modl")
    kill_when("restarting", NEW, env, plant)
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.DEPLOYED
    assert uploads(plant) == installs(plant) == plant.state.restarts == 1
    assert active(plant) == env.version(plant) == NEW
    assert any("is already installed, and waits for a restart" in x for x in env.reported.infos)
    assert record.gateways[0].modules[0].previous == before


def test_what_was_left_for_a_later_restart_is_not_installed_again(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    assert env.install(NEW, plant, restart="never").outcome is Outcome.RESTART_PENDING
    assert env.install(NEW, plant, restart="never").outcome is Outcome.RESTART_PENDING
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert uploads(plant) == installs(plant) == plant.state.restarts == 2
    assert active(plant) == env.version(plant) == NEW


def test_what_was_installed_by_a_killed_run_is_undone_if_it_fails(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    kill_when("restarting", NEW, env, plant)
    assert env.install(NEW, plant, health_command="false").outcome is Outcome.ROLLED_BACK
    assert active(plant) == env.version(plant) == OLD


def test_what_others_put_in_its_place_is_replaced(
    env: DeploymentEnv, plant: Gateway, tmp_path: Path
) -> None:
    env.install(OLD, plant)
    ours = plant.state.listed[MODULE_ID].modl.fingerprint
    kill_when("restarting", NEW, env, plant)
    other = read_modl(modl(tmp_path, NEW, identity=attacker()), file_name=f"{MODULE_ID}.modl")
    plant.state.upload(other)
    plant.state.accept_certificate(MODULE_ID)
    plant.state.install(MODULE_ID)
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == NEW
    assert plant.state.listed[MODULE_ID].modl.fingerprint == ours


def test_another_version_of_the_same_signer_is_found_after_the_restart_and_stays(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    kill_when("restarting", NEW, env, plant)
    path = env.repository.parent / f"{MODULE_ID}-{NEXT}.modl"
    plant.state.upload(read_modl(path, file_name=f"{MODULE_ID}.modl"))
    plant.state.install(MODULE_ID)
    record = env.install(NEW, plant)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert f"{NEXT} is there, which this run did not install" in record.gateways[0].message
    assert active(plant) == NEXT


def test_what_is_to_be_removed_at_the_restart_is_installed_again(
    env: DeploymentEnv, plant: Gateway
) -> None:
    kill_when("restarting", NEW, env, plant)
    plant.state.uninstall([MODULE_ID])
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW
    assert plant.state.restarts == 1


def test_where_another_version_may_wait_it_is_installed_again(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    kill_when("restarting", NEXT, env, plant)
    kill_when("uploading", NEW, env, plant)
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW


def test_where_nothing_shows_that_it_waits_it_is_installed_again(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.notice_seconds = 1e6
    kill_when("restarting", NEW, env, plant)
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert active(plant) == env.version(plant) == NEW


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"sha256": "ab" * 32}, False),
        ({"outcome": Outcome.ROLLBACK_FAILED}, False),
        ({"version": NEXT}, False),
        ({"previous": NEXT}, False),
    ],
)
def test_only_the_very_bytes_of_the_record_are_recognized(
    env: DeploymentEnv, plant: Gateway, changed: dict[str, str], expected: bool
) -> None:
    path = env.repository.parent / f"{MODULE_ID}-{NEW}.modl"
    plant.have(env.repository.parent / f"{MODULE_ID}-{OLD}.modl")
    kill_when("restarting", NEW, env, plant)
    module = verified(path)
    left = ModuleOnGateway(
        id=MODULE_ID,
        version=NEW,
        sha256=module.sha256,
        previous=OLD,
        outcome=Outcome.UNTOUCHED,
    )
    found = is_staged(
        module,
        client_of(plant).module(MODULE_ID),
        gateway=target_of(plant),
        history=EnvironmentState(
            unconfirmed={(plant.url, MODULE_ID): left.model_copy(update=changed)}
        ),
    )
    assert found is expected


def down_for(gateway: Gateway, seconds: float) -> None:
    """Have the gateway restart, which began so many seconds ago."""
    gateway.state.restart()
    assert gateway.clock is not None
    gateway.clock.sleep(seconds)


def test_a_gateway_that_is_starting_is_waited_for(env: DeploymentEnv, plant: Gateway) -> None:
    down_for(plant, 6)
    assert plant.state.phase() == "starting"
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED


def test_a_gateway_that_a_killed_run_has_restarted_is_waited_for(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.down_seconds = 30
    kill_when("restarting", NEW, env, plant)
    down_for(plant, 0)
    assert env.install(NEW, plant).outcome is Outcome.DEPLOYED
    assert uploads(plant) == installs(plant) == plant.state.restarts == 2
    assert active(plant) == env.version(plant) == NEW


def test_a_gateway_that_is_down_for_another_reason_is_not_waited_for(
    env: DeploymentEnv, plant: Gateway
) -> None:
    env.install(OLD, plant)
    plant.options.never_back = "down"
    down_for(plant, 0)
    assert plant.clock is not None
    before = plant.clock()
    with pytest.raises(CombinedError, match="nothing was changed"):
        env.install(NEW, plant)
    assert plant.clock() - before < 30


@pytest.mark.parametrize("phase", ["down", "starting"])
def test_one_that_never_comes_back_costs_its_deadline_and_the_others_go_on(
    env: DeploymentEnv, gateways: list[Gateway], phase: str
) -> None:
    kill_when("restarting", NEW, env, *gateways)
    lost = gateways[1]
    lost.options.never_back = phase
    down_for(lost, 6)
    with pytest.raises(CombinedError, match="nothing was changed"):
        env.install(NEW, *gateways)
    record = env.install(NEW, *gateways, continue_on_error=True)
    assert [each.outcome for each in record.gateways] == [
        Outcome.DEPLOYED,
        Outcome.FAILED,
        Outcome.DEPLOYED,
    ]
    assert "is not running after 60 s" in record.gateways[1].message
    assert [installs(each) for each in gateways] == [1, 0, 1]
    lost.options.never_back = ""
    lost.state.come_back()
    assert env.install(NEW, *gateways).outcome is Outcome.DEPLOYED
    assert [active(each) for each in gateways] == [NEW] * 3
