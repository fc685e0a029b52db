"""A replay may continue from a checkpoint: the state is the same."""

from __future__ import annotations

import pytest

from ign_deploy.deployment.records import DeploymentKind, Outcome
from ign_deploy.deployment.replay import START, fold, replay
from tests.support.records import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """A history with everything that can happen to a module."""
    ledger = Ledger()
    ledger.deploy("1.0.0")
    ledger.deploy("1.1.0", previous="1.0.0")
    ledger.deploy("1.1.0", previous="1.1.0", gateway="https://plant-2:8043")
    ledger.end(ledger.begin("1.2.0", previous="1.1.0"), Outcome.ROLLED_BACK, restored="1.1.0")
    ledger.begin("1.3.0", previous="1.1.0")
    ledger.end(ledger.begin("1.3.0", previous="1.1.0"), Outcome.RESTART_PENDING)
    ledger.deploy("1.3.0", previous="1.1.0")
    ledger.deploy("1.1.0", previous="1.3.0", kind=DeploymentKind.ROLLBACK)
    ledger.deploy("1.4.0", previous="6.6.6")
    ledger.end(ledger.begin("1.5.0", previous="1.4.0"), Outcome.ROLLBACK_FAILED)
    ledger.deploy("2.0.0", module_id="com.example.other")
    return ledger


@pytest.mark.parametrize("count", range(12))
def test_a_replay_from_a_checkpoint_gives_the_same_state(ledger: Ledger, count: int) -> None:
    deployments = ledger.history.deployments("production")
    whole = replay(deployments)
    checkpoint = fold(deployments[:count], since=START, through="x")
    found = replay(deployments[count:], since=checkpoint)
    for name in ("modules", "unfinished", "unconfirmed", "digests", "last_modules"):
        assert getattr(found, name) == getattr(whole, name), name
    assert list(found.contradictions) == list(whole.contradictions)
