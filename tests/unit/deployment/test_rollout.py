"""Several gateways: whatever goes wrong at one of them is its own failure, and recorded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ign_deploy.deployment.gateway import GatewayAccess, InstalledModule, Timing, open_target
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.deployment.interruption import Interrupted
from ign_deploy.deployment.options import Gateway as TargetGateway
from ign_deploy.deployment.records import Outcome
from ign_deploy.deployment.rollout import Rollout, plan_gateways, require_reachable, require_success
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import CombinedError, NotInRepository, RollbackError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.net.retry import RetryPolicy
from tests.support.deployment_env import (
    DeploymentEnv,
    PublishedModules,
    active,
    deploy,
    deploy_options_for,
    published_repository,
    running,
    uploads,
)
from tests.support.gateway import Gateway
from tests.support.gateway.client import client_of
from tests.support.reporting import Recorder
from tests.support.serving import Fault


class FailsAtModules:
    """A target that raises an unexpected error once it has been planned for."""

    def __init__(self, target: ApiGateway, error: BaseException, *, after: int) -> None:
        self._target = target
        self._error = error
        self._left = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def modules(self) -> tuple[InstalledModule, ...]:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return self._target.modules()


def failing(number: int, error: BaseException, *, after: int) -> Callable[[TargetGateway], Any]:
    """Return what replaces the target of one gateway."""

    def wrap(gateway: TargetGateway) -> TargetGateway:
        if gateway.name != f"gateway {number}":
            return gateway
        target = FailsAtModules(cast("ApiGateway", gateway.target), error, after=after)
        return replace(gateway, target=cast("ApiGateway", target))

    return wrap


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), KeyError("x"), OSError(5, "x")])
def test_any_error_at_one_gateway_is_its_failure_and_the_others_are_rolled_back(
    gateways: list[Gateway], published: PublishedModules, error: Exception
) -> None:
    old, new = published.add("1.0.0"), published.add("1.1.0")
    deploy(published, gateways, [old])
    wrap = failing(2, error, after=1)
    records = deploy(published, gateways, [new], all_or_nothing=True, wrap=wrap)
    assert [record.outcome for record in records] == [
        Outcome.ROLLED_BACK,
        Outcome.ROLLBACK_FAILED,
        Outcome.UNTOUCHED,
    ]
    assert f"unexpected {type(error).__name__}" in records[1].message
    assert running(gateways[0]) == "1.0.0"
    with pytest.raises(RollbackError, match="gateway 2"):
        require_success(records)


def test_any_error_while_planning_is_reported_with_those_of_other_gateways(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    gateways[2].options.version = "8.1.44"
    with pytest.raises(CombinedError) as raised:
        deploy(
            published,
            gateways,
            [published.add("1.0.0")],
            wrap=failing(2, RecursionError(), after=0),
        )
    assert len(raised.value.causes) == 2
    assert "unexpected RecursionError" in raised.value.causes[0].message
    assert [uploads(each) for each in gateways] == [0, 0, 0]


def test_an_interruption_is_passed_on(plant: Gateway, published: PublishedModules) -> None:
    with pytest.raises(KeyboardInterrupt):
        deploy(
            published,
            [plant],
            [published.add("1.0.0")],
            wrap=failing(1, KeyboardInterrupt(), after=1),
        )


def test_once_it_was_said_what_the_gateways_have_nothing_is_changed_any_more(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    options = deploy_options_for(published, wave=3)
    plans = plan_gateways(
        [TargetGateway(client_of(each)) for each in gateways],
        [published.add("1.0.0")],
        options=options,
        history=EnvironmentState(),
        reporter=Recorder(),
    )
    rollout = Rollout(plans, options, Recorder())
    with pytest.raises(KeyboardInterrupt), rollout.explaining_interruptions():
        raise KeyboardInterrupt
    with pytest.raises(Interrupted):  # as the threads that are at work then
        rollout.run()
    assert [uploads(each) for each in gateways] == [0, 0, 0]


def test_the_end_is_in_the_history_when_a_gateway_sends_what_cannot_be_parsed(
    gateways: list[Gateway], tmp_path: Path
) -> None:
    repository = published_repository(tmp_path, "1.0.0", "1.1.0")
    env = DeploymentEnv(repository, tmp_path / "work", fetched={})
    env.install("1.0.0", *gateways)
    deep = b'{"items":' + b"[" * 100_000
    gateways[1].faults.append(Fault("modules/healthy$", status=200, body=deep, skip=1, times=1000))
    record = env.install("1.1.0", *gateways, all_or_nothing=True)
    assert [each.outcome for each in record.gateways] == [
        Outcome.ROLLED_BACK,
        Outcome.ROLLBACK_FAILED,
        Outcome.UNTOUCHED,
    ]
    ended = env.deployments()[-1].ended
    assert ended is not None
    assert ended.outcome is Outcome.ROLLBACK_FAILED
    assert active(gateways[0]) == active(gateways[2]) == "1.0.0"


@contextmanager
def hanging_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that takes connections, and never answers."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", taken
        finally:
            for each in taken:
                each.close()


def hanging_target(url: str) -> TargetGateway:
    return TargetGateway(
        open_target(
            url,
            access=GatewayAccess(allow_insecure_http=True),
            timing=Timing(deadline=600.0),
            retry=RetryPolicy(deadline=600.0),
        )
    )


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TargetGateway, list[socket.socket]]]:
    """A gateway that hangs, whose time-out is short; that of others isn't."""
    with hanging_server() as (url, taken):
        with monkeypatch.context() as patch:
            patch.setattr("ign_deploy.deployment.gateway.client.TIMEOUT", (1.0, 0.5))
            target = hanging_target(url)
        yield target, taken


def test_a_hanging_gateway_costs_its_time_out_once_and_stops_all(
    plant: Gateway,
    published: PublishedModules,
    hanging: tuple[TargetGateway, list[socket.socket]],
) -> None:
    target, taken = hanging
    module = published.add("1.0.0")
    options = deploy_options_for(published)
    others = [TargetGateway(client_of(plant)), target]
    with pytest.raises(CombinedError, match="nothing was changed") as caught:
        plan_gateways(
            others, [module], options=options, history=EnvironmentState(), reporter=Recorder()
        )
    assert "didn't respond in time" in str(caught.value.causes[0])
    assert len(taken) == 1
    assert running(plant) is None


def test_with_continue_on_error_the_others_go_on_without_a_hanging_gateway(
    gateways: list[Gateway],
    published: PublishedModules,
    hanging: tuple[TargetGateway, list[socket.socket]],
) -> None:
    target, taken = hanging
    module = published.add("1.0.0")
    options = deploy_options_for(published, continue_on_error=True, wave=2)
    reporter = Recorder()
    everything = [target, *(TargetGateway(client_of(each)) for each in gateways)]
    plans = plan_gateways(
        everything, [module], options=options, history=EnvironmentState(), reporter=reporter
    )
    assert plans[0].record().modules == ()  # nothing is known about it, so nothing is recorded
    records = Rollout(plans, options, reporter).run()
    assert [each.outcome for each in records] == [Outcome.FAILED, *[Outcome.DEPLOYED] * 3]
    assert "didn't respond in time; nothing was changed" in records[0].message
    assert [running(each) for each in gateways] == ["1.0.0"] * 3
    assert len(taken) == 1


def test_where_no_gateway_can_be_reached_nothing_is_recorded(
    published: PublishedModules, plant: Gateway, hanging: tuple[TargetGateway, list[socket.socket]]
) -> None:
    options = deploy_options_for(published, continue_on_error=True)
    module, state = published.add("1.0.0"), EnvironmentState()
    targets = [hanging[0], TargetGateway(client_of(plant))]
    plans = plan_gateways(targets, [module], options=options, history=state, reporter=Recorder())
    require_reachable(plans)
    with pytest.raises(CombinedError, match="nothing was changed"):
        require_reachable(plans[:1])


def test_gateways_share_the_version_to_go_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight are looked at at once: one of them fetches, and the others wait for it."""
    fetched: list[str] = []

    def download(module_id: str, *_: object, version: str, **__: object) -> str:
        fetched.append(version)
        time.sleep(0.05)
        if version == "0.0.1":
            raise NotInRepository(f"{module_id} {version} is not published")
        return version

    monkeypatch.setattr("ign_deploy.pipeline.deploy.download_module", download)
    deployer = DeploymentEnv(tmp_path, tmp_path).deployer()

    def obtain(version: str) -> str:
        try:
            return str(deployer.obtain("com.example.pump", version))
        except NotInRepository:
            return "missing"

    found = map_parallel(obtain, ["1.0.0", "0.0.1"] * 40, workers=8)
    assert found == ["1.0.0", "missing"] * 40
    assert sorted(fetched) == ["0.0.1", "1.0.0"]
