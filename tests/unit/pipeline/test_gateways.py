"""The gateways that a run is to change: looked at before anything else is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ign_deploy.deployment.gateway import Target, open_target
from ign_deploy.errors import CombinedError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.pipeline.gateways import check_gateways
from tests.support.gateway import Gateway, VirtualTime, running_gateway
from tests.support.reporting import Recorder
from tests.support.runs import run_context


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway(clock=VirtualTime()) as running:
        yield running


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway that hangs, and is given up soon; the others aren't."""
    with running_gateway(clock=VirtualTime()) as running:
        running.options.hangs = True

        def opened(url: str, **options: Any) -> Target:
            if url == running.url:
                options["retry"] = RetryPolicy(deadline=0.5)
            return open_target(url, **options)

        monkeypatch.setattr("ign_deploy.deployment.gateway.open_target", opened)
        yield running


def check(*gateways: Gateway, continue_on_error: bool) -> list[str]:
    """Check the gateways; returns the warnings."""
    reporter = Recorder()
    context = run_context(
        reporter=reporter,
        gateway=[each.url for each in gateways],
        gateway_token="ci:s3cret",
        continue_on_error=continue_on_error,
    )
    check_gateways(context)
    return reporter.warnings


def problem(*gateways: Gateway, continue_on_error: bool) -> str:
    """Check the gateways; returns what prevents changes."""
    with pytest.raises(CombinedError) as caught:
        check(*gateways, continue_on_error=continue_on_error)
    (cause,) = caught.value.causes
    return str(cause)


def test_one_that_hangs_stops_all(gateway: Gateway, hanging: Gateway) -> None:
    assert "didn't respond in time" in problem(gateway, hanging, continue_on_error=False)
    assert hanging.has_held(1)


def test_with_continue_on_error_one_that_hangs_is_only_a_warning(
    gateway: Gateway, hanging: Gateway
) -> None:
    (warning,) = check(gateway, hanging, continue_on_error=True)
    assert "didn't respond in time; the others go on" in warning
    assert hanging.has_held(1)


def test_the_only_one_has_to_be_reached(hanging: Gateway) -> None:
    assert "didn't respond in time" in problem(hanging, continue_on_error=True)


def test_what_prevents_changes_stops_all_in_any_case(gateway: Gateway) -> None:
    gateway.options.redundancy_role = "Backup"
    with running_gateway(clock=VirtualTime()) as other:
        assert "backup" in problem(gateway, other, continue_on_error=True)
