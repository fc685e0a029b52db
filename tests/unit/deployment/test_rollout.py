"""Several gateways: whatever goes wrong at one of them is its own failure, and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from ign_deploy.deployment.gateway import InstalledModule
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.deployment.options import Gateway as TargetGateway
from ign_deploy.deployment.records import Outcome
from ign_deploy.deployment.rollout import require_success
from ign_deploy.errors import CombinedError, RollbackError
from tests.support.deployment_env import (
    DeploymentEnv,
    PublishedModules,
    active,
    deploy,
    published_repository,
    running,
    uploads,
)
from tests.support.gateway import Gateway
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
