"""Drafts of runs that failed, were cancelled or were killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.store import Key
from tests.support.github.server import GitHub, github_simulator
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.serving import Fault
from tests.support.stores import claims_of
from tests.unit.repositories.backends.github.opening import opened, store_of


@pytest.fixture
def simulator() -> Iterator[GitHub]:
    with github_simulator() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is tried once."""
    once = staticmethod(lambda _: RetryPolicy(attempts=1))
    monkeypatch.setattr(RetryPolicy, "for_size", once)


def drafts(simulator: GitHub) -> list[str]:
    return [each.tag for each in simulator.repository.releases.values() if each.draft]


def leave_a_draft(simulator: GitHub, release: Release, files: dict[str, Path]) -> None:
    """Do what a run does that is killed before it publishes."""
    key, claims = Key(release.id, release.version), claims_of(store_of(simulator))
    assert claims.claim(key, Claim("d" * 32, 0, claims.now(), release))
    claims.put_files(key, release, files=files, progress=lambda _: None)
    assert drafts(simulator)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["com.acme.thing-1.0.0.modl", "release.json"])
def test_a_run_that_loses_the_network_while_it_uploads_deletes_its_draft(
    simulator: GitHub, tmp_path: Path, name: str
) -> None:
    skip = int(name == "release.json")
    simulator.faults = [Fault(r"POST .*/assets$", kind="broken", skip=skip)]
    release, files = release_of(tmp_path)
    with pytest.raises(NetworkError):
        opened(simulator).publish(release, files=files)
    assert drafts(simulator) == []


def test_a_run_that_is_cancelled_while_it_uploads_deletes_its_draft(
    simulator: GitHub, tmp_path: Path
) -> None:
    def cancel(advance: int) -> None:
        raise KeyboardInterrupt

    release, files = release_of(tmp_path, content=b"x" * 100_000)
    with pytest.raises(KeyboardInterrupt):
        opened(simulator).publish(release, files=files, progress=cancel)
    assert drafts(simulator) == []


@pytest.mark.usefixtures("impatient")
def test_a_draft_that_may_yet_be_published_is_not_deleted(
    simulator: GitHub, tmp_path: Path
) -> None:
    """A request whose response is lost may be done later: what it publishes must stay."""
    simulator.faults = [Fault("PATCH ", kind="broken", times=9)]
    release, files = release_of(tmp_path)
    with pytest.raises(NetworkError):
        opened(simulator).publish(release, files=files)
    assert drafts(simulator) == ["modl/com.acme.thing/1.0.0"]
    assert not simulator.matching("DELETE ")


@pytest.mark.parametrize("content", [b"same", b"other"])
def test_what_a_killed_run_left_is_deleted_by_the_next_of_the_version(
    simulator: GitHub, tmp_path: Path, content: bytes
) -> None:
    release, files = release_of(tmp_path / "a", content=b"same")
    leave_a_draft(simulator, release, dict(files))
    other, other_files = release_of(tmp_path / "b", version="2.0.0")
    leave_a_draft(simulator, other, dict(other_files))
    for foreign in ({"tag_name": "modl/com.acme.thing/1.0.0"}, {"tag_name": "v1", "body": "x"}):
        simulator.repository.create_release({**foreign, "draft": True})
    simulator.date = time.time() + 2 * 3600
    release, files = release_of(tmp_path / "c", content=content)
    said = Recorder()
    publication = opened(simulator, reporter=said).publish(release, files=files)
    assert publication.outcome is PublishOutcome.PUBLISHED
    # That of the other version, and two that no run of ours made.
    assert drafts(simulator) == ["modl/com.acme.thing/2.0.0", "modl/com.acme.thing/1.0.0", "v1"]
    assert any("deleted a draft of modl/com.acme.thing/1.0.0" in line for line in said.messages)


def test_a_draft_whose_run_may_be_alive_is_left_until_it_can_t_be(
    simulator: GitHub, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path)
    leave_a_draft(simulator, release, dict(files))
    opened(simulator).publish(release, files=files)
    assert len(drafts(simulator)) == 1
    # The version is published by now: only the leftover is dealt with.
    simulator.date = time.time() + 2 * 3600
    publication = opened(simulator).publish(release, files=files)
    assert publication.outcome is PublishOutcome.ALREADY_PUBLISHED
    assert drafts(simulator) == []


def test_a_run_that_slept_for_hours_does_not_publish_its_draft(
    simulator: GitHub, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path)
    key, claims = Key(release.id, release.version), claims_of(store_of(simulator))
    claims.put_files(key, release, files=files, progress=lambda _: None)
    simulator.date = time.time() + 2 * 3600
    with pytest.raises(RepositoryError, match="may have deleted its draft"):
        claims.put_record(key, Claim("h" * 32, 0), release.to_json())
    assert not simulator.matching("PATCH ")
    assert drafts(simulator) == []
