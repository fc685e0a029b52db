"""A signal while several gateways are at work: each one's state is said, and a command goes on."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.cli import KEY, TOKEN, WITH_RESTART, CliWorkspace, Result
from tests.support.gateway import Gateway, running_gateway
from tests.support.modules import build_module

PUMP, VALVE = "com.example.pump", "com.example.valve"
ENV = {"IGN_DEPLOY_GATEWAY_TOKEN": TOKEN}


@pytest.fixture
def gateways() -> Iterator[list[Gateway]]:
    """Three gateways on real time; the second one doesn't come back from its restart."""
    with ExitStack() as stack:
        found = [stack.enter_context(running_gateway()) for _ in range(3)]
        found[1].options.never_back = "down"
        yield found
        assert [each.violations for each in found] == [[]] * 3


def state_of(gateway: Gateway, result: Result) -> str:
    """Return what the output says of a gateway after the interruption."""
    after = result.stderr.partition("the history shows the deployment as unfinished")[2]
    said = f"warning: {gateway.url}: "
    (line,) = [each for each in after.splitlines() if said in each]
    return line.partition(said)[2]


def test_a_batch_that_is_ended_in_a_wave_says_what_each_gateway_has_and_goes_on(
    workspace: CliWorkspace, gateways: list[Gateway]
) -> None:
    """Two modules; the first wave are two gateways."""
    for name in (PUMP, VALVE):
        build_module(
            workspace.folder / f"{name}.modl",
            texts={"id": name, "version": "1.0.0", "requiredIgnitionVersion": "8.3.0"},
        )
    there = [part for each in gateways for part in ("--gateway", each.url)]
    rollout = ("-e", "production", *there, *WITH_RESTART, "--wave-size", "2")
    first, lost, rest = gateways

    result = workspace.interrupt(
        signal.SIGTERM,
        *("batch", f"{PUMP}.modl", f"{VALVE}.modl", *KEY, *rollout),
        once=lambda: bool(first.state.restarts and lost.state.restarts),
        env=ENV,
    )
    assert result.exit_code == 143, result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    installed = f"{PUMP} 1.0.0 is installed, {VALVE} 1.0.0 is installed; a restart was requested"
    assert state_of(lost, result).startswith(installed)
    # Whether it was seen to be up again is up to the moment of the signal.
    assert re.match(rf"finished \(deployed\)|{re.escape(installed)}", state_of(first, result))
    assert state_of(rest, result) == "not started, nothing was changed"

    lost.options.never_back = ""
    lost.state.come_back()
    (line,) = [each for each in result.stderr.splitlines() if "to go on, run: " in each]
    program, *words = shlex.split(line.partition("to go on, run: ")[2])
    assert program == "ign-deploy"
    workspace.run(*words, env=ENV).must(0)
    for gateway in gateways:
        assert (gateway.version_of(PUMP), gateway.version_of(VALVE)) == ("1.0.0", "1.0.0")
        assert gateway.asked("modules/install", method="POST") == 2
        assert gateway.state.restarts == 1
