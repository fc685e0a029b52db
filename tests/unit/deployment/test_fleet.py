"""A rollout to many gateways, killed in its second wave and run again: nothing is done twice.

``make fleet`` does the same with 200 gateways, the command itself and a real kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.deployment.records import Outcome
from tests.support.deployment_env import DeploymentEnv, published_repository
from tests.support.fleet import (
    NEW,
    OLD,
    Fleet,
    Role,
    installs,
    restarts,
    roles_of,
    running_fleet,
    version,
)
from tests.support.http_steps import killed_when

COUNT, WAVE = 14, 4
GOOD = (Role.HEALTHY, Role.SLOW)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    published_repository(tmp_path, OLD, NEW)
    with running_fleet(tmp_path, COUNT) as fleet:
        yield fleet
        assert [each.violations for each in fleet.gateways] == [[]] * COUNT


@pytest.mark.parametrize("done", [1, 3])
def test_killed_in_its_second_wave_and_run_again_nothing_is_done_twice(
    fleet: Fleet, tmp_path: Path, done: int
) -> None:
    env = DeploymentEnv(tmp_path / "repository", tmp_path)
    second_wave = fleet.gateways[WAVE : 2 * WAVE]

    def install() -> list[Outcome]:
        record = env.install(NEW, *fleet.gateways, continue_on_error=True, wave_size=WAVE)
        return [each.outcome for each in record.gateways]

    with killed_when(lambda: sum(map(restarts, second_wave)) >= done):
        install()
    outcomes = install()

    number = {role: roles_of(COUNT).count(role) for role in Role}
    good = number[Role.HEALTHY] + number[Role.SLOW]
    assert fleet.count(installs, *GOOD) == {1: good}
    assert fleet.count(restarts, *GOOD) == {1: good}
    assert fleet.count(version, *GOOD) == {NEW: good}
    assert fleet.count(version, Role.FAILING) == {OLD: number[Role.FAILING]}
    assert all(each.has_held(2) for each in fleet.of(Role.HANGING))  # its time-out, once a run
    expected = {Role.FAILING: Outcome.ROLLED_BACK, Role.HANGING: Outcome.FAILED}
    expected[Role.NEVER_BACK] = Outcome.ROLLBACK_FAILED
    for role, outcome in zip(fleet.roles, outcomes, strict=True):
        allowed = {expected[role]} if role in expected else {Outcome.DEPLOYED, Outcome.UNCHANGED}
        assert outcome in allowed, role
    assert [env.version(each) for each in fleet.of(*GOOD)] == [NEW] * good

    fleet.repair()
    install()
    rest = len(fleet.of(*GOOD, Role.HANGING, Role.NEVER_BACK))
    assert fleet.count(version, *GOOD, Role.HANGING, Role.NEVER_BACK) == {NEW: rest}
    assert fleet.count(installs, *GOOD, Role.HANGING) == {1: good + 1}
    assert fleet.count(restarts, *GOOD, Role.HANGING) == {1: good + 1}
