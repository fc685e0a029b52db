"""A publisher that was killed, or slept, and another one with other bytes for the same version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import VersionConflict
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.claims import Claim, ClaimStore
from ign_deploy.repositories.held_claim import HeldClaim
from ign_deploy.repositories.publishing import ClaimPublisher
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.store import Key
from tests.contract.opened import EAGER, Opened
from tests.contract.publishing import content_of
from tests.support.releases import release_of
from tests.support.stores import claims_of, store_below

ID = "com.acme.thing"
# How long ago a claim was made that still holds, and one that doesn't, in seconds.
YOUNG, OLD = 120.0, 160.0
# A claim that took longer than the grace isn't counted on.
PATIENT = replace(EAGER, grace=15.0)


class Waited(BaseException):
    """The run waits for another one."""


def wait(_: float) -> None:
    raise Waited


def claims_in(store: Opened) -> ClaimStore:
    opened = store.open(wait_policy=PATIENT)
    opened.check()
    return claims_of(store_below(opened))


def leave_claim(claims: ClaimStore, folder: Path, *, version: str, age: float) -> None:
    """Leave what a run leaves that was killed while it uploaded."""
    release, files = release_of(folder / "killed", version=version, content=b"killed")
    claimed_at = claims.now() - timedelta(seconds=age)
    assert claims.claim(Key(ID, version), Claim("k" * 32, 0, claimed_at, release))
    claims.put_files(Key(ID, version), release, files=files, progress=lambda _: None)


def publish(store: Opened, folder: Path, *, version: str, wait_policy: WaitPolicy) -> Any:
    release, files = release_of(folder / "other", version=version, content=b"other")
    return store.open(wait_policy=wait_policy).publish(release, files=files).outcome


def test_other_bytes_after_a_killed_publisher(http_store: Opened, tmp_path: Path) -> None:
    """They wait as long as it may live, which is three minutes at most."""
    claims = claims_in(http_store)
    leave_claim(claims, tmp_path, version="1.0.0", age=YOUNG)
    leave_claim(claims, tmp_path, version="2.0.0", age=OLD)
    with pytest.raises(Waited):
        publish(http_store, tmp_path, version="1.0.0", wait_policy=WaitPolicy(sleep=wait))
    outcome = publish(http_store, tmp_path, version="2.0.0", wait_policy=EAGER)
    assert outcome is PublishOutcome.PUBLISHED
    assert content_of(http_store.open(), ID, "2.0.0") == b"other"
    listed = http_store.open().catalogue(ID)
    assert [entry.version for entry in listed] == ["2.0.0"]


def test_a_claim_is_renewed_in_each_kind_of_store(http_store: Opened, tmp_path: Path) -> None:
    claims, seconds = claims_in(http_store), 0.0
    release, files = release_of(tmp_path, content=b"slow")
    key = Key(ID, "1.0.0")
    first = Claim("s" * 32, 0, claims.now(), release)
    assert claims.claim(key, first)
    held = HeldClaim(claims, key, first, 0.0, lambda: seconds)
    for generation in (1, 2, 3):
        seconds += 65
        held.refresh()
        assert held.claim.generation == generation
    current = claims_in(http_store).current_claim(key)
    assert current is not None
    assert (current.holder, current.generation) == (first.holder, 3)
    with pytest.raises(Waited):
        publish(http_store, tmp_path, version="1.0.0", wait_policy=WaitPolicy(sleep=wait))
    claims.put_files(key, release, files=files, progress=lambda _: None)
    assert claims.put_record(key, held.claim, release.to_json())
    assert content_of(http_store.open(), ID, "1.0.0") == b"slow"
    with pytest.raises(VersionConflict):
        publish(http_store, tmp_path, version="1.0.0", wait_policy=EAGER)


@dataclass
class Sleeper:
    """A run's claims; ``sleep`` is what happens once it has uploaded, before it wakes up."""

    claims: ClaimStore
    sleep: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.claims, name)

    def now(self) -> datetime:
        return self.claims.now() - timedelta(seconds=OLD)

    def put_files(self, key: Key, release: Any, **options: Any) -> None:
        self.claims.put_files(key, release, **options)
        sleep, self.sleep = self.sleep, lambda: None
        sleep()


def test_a_publisher_that_slept_and_wakes_up_changes_nothing(
    http_store: Opened, tmp_path: Path
) -> None:
    seconds = 0.0

    def sleep() -> None:
        nonlocal seconds
        outcome = publish(http_store, tmp_path, version="1.0.0", wait_policy=EAGER)
        assert outcome is PublishOutcome.PUBLISHED
        seconds = OLD

    opened = http_store.open(wait_policy=PATIENT)
    opened.check()
    store = store_below(opened)
    claims: Any = Sleeper(claims_of(store), sleep)
    policy = replace(PATIENT, clock=lambda: seconds)
    publisher = ClaimPublisher(store.versions, claims, policy, SilentReporter())
    sleeper = StoreRepository(replace(store, publisher=publisher), reporter=SilentReporter())
    release, files = release_of(tmp_path / "sleeper", content=b"sleeper")
    with pytest.raises(VersionConflict):
        sleeper.publish(release, files=files)
    assert seconds == OLD
    assert content_of(http_store.open(), ID, "1.0.0") == b"other"
