"""Cut or killed at any request: the gateway runs a known version, and the history says which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from ign_deploy.deployment.records import DeploymentRecord, Outcome
from ign_deploy.module.artifacts import VerifiedModule
from tests.support.deployment_env import DeploymentEnv, active, published_repository
from tests.support.gateway import Gateway, ModuleFault, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID
from tests.support.http_steps import HttpSteps, count_requests
from tests.support.serving import Fault

numbers = count()
OLD, NEW = "1.0.0", "1.1.0"


class Killed(BaseException):
    """No code of ours catches it: everything after it is left undone, as after a SIGKILL."""


def kill() -> None:
    raise Killed


@dataclass(frozen=True)
class Case:
    """A deployment of NEW to a gateway that runs ``before`` (empty: nothing)."""

    before: str
    after: str
    outcomes: frozenset[Outcome]
    faults: bool = False


DEPLOYED = frozenset({Outcome.DEPLOYED})
CASES = {
    "upgrade": Case(OLD, NEW, DEPLOYED),
    "first installation": Case("", NEW, DEPLOYED),
    "upgrade that faults": Case(OLD, OLD, frozenset({Outcome.ROLLED_BACK}), faults=True),
    "first installation that faults": Case("", "", frozenset({Outcome.ROLLED_BACK}), faults=True),
}
ALL = [*CASES]
UPGRADE, FIRST, FAULTING, FAULTING_FIRST = ALL
# 8.3.4 speaks differently when installing and removing. An answer cut in its middle is like one
# that is lost, and killed after a request is like killed before the next: tried once.
CUTS = [
    *(("8.3.8", name, when) for name in ALL for when in ("broken", "lost")),
    ("8.3.8", UPGRADE, "cut"),
    ("8.3.4", FAULTING_FIRST, "lost"),
]
KILLS = [*(("8.3.8", name, 1) for name in ALL), ("8.3.8", UPGRADE, -1), ("8.3.8", FIRST, -1)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that has both versions."""
    return published_repository(tmp_path_factory.mktemp("published"), OLD, NEW)


@pytest.fixture
def new_env(repository: Path, tmp_path: Path) -> Callable[[], DeploymentEnv]:
    """Return a factory of environments, each with its own history."""
    fetched: dict[tuple[str, str], VerifiedModule] = {}  # downloading isn't tested here
    return lambda: DeploymentEnv(
        repository, tmp_path, environment=f"{next(numbers)}", fetched=fetched
    )


@contextmanager
def prepared(case: Case, version: str, env: DeploymentEnv) -> Iterator[Gateway]:
    """Run a gateway on which ``before`` was deployed."""
    options = Options(version=version, down_seconds=3, starting_seconds=2)
    with running_gateway(options, clock=VirtualTime()) as gateway:
        if case.before:
            gateway.have(env.repository.parent / f"{MODULE_ID}-{case.before}.modl")
        if case.faults:
            gateway.options.faults[MODULE_ID] = ModuleFault(version=NEW)
        yield gateway
        assert gateway.violations == []


def requests_of(case: Case, version: str, env: DeploymentEnv) -> int:
    with prepared(case, version, env) as gateway, count_requests() as steps:
        record = env.install(NEW, gateway)
        assert record.outcome in case.outcomes
        assert (active(gateway), env.version(gateway)) == (case.after, case.after)
        return steps.count


@pytest.mark.parametrize(("version", "name", "when"), CUTS)
def test_a_connection_cut_at_any_request_changes_nothing_about_the_end(
    new_env: Callable[[], DeploymentEnv], version: str, name: str, when: str
) -> None:
    case = CASES[name]
    for number in range(1, requests_of(case, version, new_env()) + 1):
        env = new_env()
        with prepared(case, version, env) as gateway:
            gateway.faults.append(Fault("", when, skip=number - 1))
            record = env.install(NEW, gateway)
            assert record.outcome in case.outcomes, (number, record)
            assert (active(gateway), env.version(gateway)) == (case.after, case.after), number


@pytest.mark.parametrize(("version", "name", "sign"), KILLS)
@pytest.mark.long
def test_killed_at_any_request_the_same_command_converges(
    new_env: Callable[[], DeploymentEnv], version: str, name: str, sign: int
) -> None:
    case = CASES[name]
    for number in range(1, requests_of(case, version, new_env()) + 1):
        env = new_env()
        with prepared(case, version, env) as gateway:
            with pytest.raises(Killed), HttpSteps(sign * number, kill):
                env.install(NEW, gateway)
            record = env.install(NEW, gateway)
            assert record.outcome in case.outcomes | {Outcome.UNCHANGED}, (number, record)
            if not case.faults:
                assert gateway.asked("modules/install") == gateway.state.restarts == 1, number
            assert (active(gateway), env.version(gateway)) == (case.after, case.after), number
            (found,) = record.gateways
            started = env.deployments()[0].started
            assert found.modules[0].previous == case.before == _previous(started), number


def _previous(record: DeploymentRecord) -> str:
    (gateway,) = record.gateways
    return gateway.modules[0].previous


def test_killed_before_the_first_request_there_is_no_record(
    new_env: Callable[[], DeploymentEnv],
) -> None:
    env = new_env()
    with prepared(CASES[UPGRADE], "8.3.8", env) as gateway:
        with pytest.raises(Killed), HttpSteps(1, kill):
            env.install(NEW, gateway)
        assert env.deployments() == []
        assert active(gateway) == OLD


def test_after_a_kill_the_history_is_uncertain_and_has_the_version_before(
    new_env: Callable[[], DeploymentEnv],
) -> None:
    env = new_env()
    with running_gateway(clock=VirtualTime()) as gateway:
        env.install(OLD, gateway)
        with count_requests() as steps:
            env.install(NEW, gateway)
        env.install(OLD, gateway, allow_downgrade=True)
        with pytest.raises(Killed), HttpSteps(steps.count - 2, kill):
            env.install(NEW, gateway)
        (found,) = env.deployed()
        assert (found.version, found.uncertain, found.rollback_version) == (OLD, True, OLD)
        assert env.deployments()[-1].ended is None


def test_the_command_after_a_kill_warns_of_the_unfinished_deployment(
    new_env: Callable[[], DeploymentEnv],
) -> None:
    env = new_env()
    with prepared(CASES[UPGRADE], "8.3.8", env) as gateway:
        with pytest.raises(Killed), HttpSteps(8, kill):
            env.install(NEW, gateway)
        env.reported.warnings.clear()
        env.install(NEW, gateway)
        assert any("has not ended" in line for line in env.reported.warnings)
