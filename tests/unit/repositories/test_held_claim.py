"""A claim that is renewed, lost, or only seemed to be lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.net.retry import begin_attempt
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.held_claim import ClaimLost, HeldClaim
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.store import Key
from tests.support.releases import release_of

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEY = Key("com.acme.thing", "1.0.0")


@dataclass
class Claims:
    """Claims by generation, and a clock; ``before_claim`` acts before each."""

    claims: dict[int, Claim] = field(default_factory=dict)
    seconds: float = 0.0
    before_claim: Callable[[], object] = lambda: None
    loses_answers: bool = False
    is_published: bool = False

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def claim(self, key: Key, claim: Claim) -> bool:
        self.before_claim()
        if claim.generation in self.claims:
            return False
        self.claims[claim.generation] = claim
        return not self.loses_answers

    def current_claim(self, key: Key) -> Claim | None:
        return None if self.is_published else self.claims[max(self.claims)]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return release_of(tmp_path)[0]


def held_in(claims: Claims, release: Release) -> HeldClaim:
    mine = Claim("me", 0, claims.now(), release)
    claims.claims[0] = mine
    store: Any = claims
    return HeldClaim(store, KEY, mine, claims.seconds, lambda: claims.seconds)


def test_a_fresh_claim_costs_no_request(release: Release) -> None:
    claims = Claims()
    held = held_in(claims, release)
    claims.seconds = 50
    held.refresh()
    assert list(claims.claims) == [0]
    claims.seconds = 70
    held.refresh()
    assert claims.claims[1] == replace(held.claim, claimed_at=NOW + timedelta(seconds=70))
    claims.seconds = 70 + 110
    held.require()
    claims.seconds = 70 + 121
    with pytest.raises(ClaimLost, match="could not be renewed in time"):
        held.require()


@pytest.mark.parametrize("loses_answers", [True, False])
def test_an_answer_that_was_lost_is_no_loss(release: Release, loses_answers: bool) -> None:
    claims = Claims(loses_answers=loses_answers)
    held = held_in(claims, release)
    claims.seconds = 70
    held.refresh()
    assert (held.claim.generation, held.since) == (1, 70)


def test_other_bytes_that_took_over_are_noticed(release: Release, tmp_path: Path) -> None:
    claims = Claims()
    held = held_in(claims, release)
    other, _ = release_of(tmp_path, content=b"other")
    claims.seconds = 70
    claims.claims[1] = Claim("other", 1, claims.now(), other)
    with pytest.raises(ClaimLost, match="other bytes"):
        held.refresh()
    # For good, whatever the clock says.
    claims.seconds = 71
    with pytest.raises(ClaimLost, match="other bytes"):
        held.require()


def test_a_run_with_the_same_bytes_is_followed(release: Release) -> None:
    claims = Claims()
    held = held_in(claims, release)
    claims.seconds = 70
    claims.claims[4] = Claim("helper", 4, claims.now(), release)
    claims.claims[1] = replace(claims.claims[4], generation=1)
    held.refresh()
    assert (held.claim.holder, held.claim.generation) == ("me", 5)


def test_a_claim_that_can_not_be_read_yet_is_no_loss(release: Release) -> None:
    claims = Claims()
    held = held_in(claims, release)
    claims.seconds = 70
    claims.claims[1] = Claim("", 1)
    held.refresh()
    assert held.since == 0


def test_claims_that_are_gone_were_those_of_a_published_version(release: Release) -> None:
    claims = Claims(loses_answers=True)
    held = held_in(claims, release)
    claims.seconds = 70
    claims.is_published = True
    with pytest.raises(ClaimLost, match="published"):
        held.refresh()


def test_a_store_that_fails_is_named_once_it_is_too_late(release: Release) -> None:
    claims = Claims()
    held = held_in(claims, release)

    def fail() -> None:
        raise RepositoryError("the store is tired")

    claims.before_claim = fail
    claims.seconds = 70
    held.refresh()
    claims.seconds = 121
    with pytest.raises(ClaimLost, match="in time: the store is tired"):
        held.refresh()


def test_no_attempt_begins_after_the_claim_was_lost(release: Release) -> None:
    claims = Claims()
    held = held_in(claims, release)
    begin_attempt()
    with held.kept():
        begin_attempt()
        claims.seconds = 200  # suspended
        with pytest.raises(ClaimLost):
            begin_attempt()
    begin_attempt()
