from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import VersionConflict
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.renewal import DURATION
from ign_deploy.repositories.store import Key
from tests.support.github.server import GitHub, github_simulator
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.stores import claims_of
from tests.unit.repositories.backends.github.opening import content_of, opened, store_of

WRITERS = 12


def outcomes_of(simulator: GitHub, folder: Path, contents: list[bytes]) -> list[str]:
    """Publish one version from several runs at once; return what became of each."""
    start = threading.Barrier(len(contents))

    def publish(number: int) -> str:
        release, files = release_of(folder / str(number), content=contents[number])
        start.wait()
        try:
            return opened(simulator).publish(release, files=files).outcome.value
        except VersionConflict:
            return "conflict"

    with ThreadPoolExecutor(len(contents)) as pool:
        return list(pool.map(publish, range(len(contents))))


@pytest.mark.parametrize("race", [0.0, 0.005])
def test_of_many_writers_of_one_version_exactly_one_wins(race: float, tmp_path: Path) -> None:
    with github_simulator(race=race) as simulator:
        contents = [b"content %d" % number for number in range(WRITERS)]
        outcomes = outcomes_of(simulator, tmp_path, contents)
        assert sorted(outcomes) == ["conflict"] * (WRITERS - 1) + ["published"]
        winner = outcomes.index("published")
        assert content_of(opened(simulator), "com.acme.thing", "1.0.0") == contents[winner]
        (made,) = simulator.repository.releases.values()
        assert not made.draft


def test_many_writers_of_the_same_bytes_all_succeed(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        outcomes = outcomes_of(simulator, tmp_path, [b"same"] * WRITERS)
        assert sorted(outcomes) == ["already-published"] * (WRITERS - 1) + ["published"]
        # One that took over, and found the version published after its upload, left no draft.
        assert [made.draft for made in simulator.repository.releases.values()] == [False]


def test_many_writers_of_different_versions_lose_nothing(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        said = Recorder()

        def publish(number: int) -> PublishOutcome:
            release, files = release_of(
                tmp_path / str(number),
                content=b"%d" % number,
                module_id=f"com.acme.m{number % 5}",
                version=f"1.{number}.0",
            )
            repository = opened(simulator, reporter=said)
            return repository.publish(release, files=files).outcome

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(publish, range(50))) == [PublishOutcome.PUBLISHED] * 50
        repository = opened(simulator)
        wanted = {(f"com.acme.m{number % 5}", f"1.{number}.0") for number in range(50)}
        assert not [line for line in said.messages if "index isn't up to date" in line]
        for _ in range(2):
            listed = {
                (entry.id, entry.version)
                for module in repository.catalogue()
                for entry in repository.catalogue(module.id)
            }
            assert listed == wanted
            found = repository.maintenance.reindex()
            assert (found.modules, found.versions) == (5, 50)


def test_the_claim_of_a_killed_run_is_taken_over_by_the_same_bytes(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        release, files = release_of(tmp_path, content=b"bytes", notes="of the killed run")
        killed = store_of(simulator)
        key = Key(release.id, "1.0.0")
        assert claims_of(killed).claim(key, Claim("h" * 32, 0, claims_of(killed).now(), release))
        claims_of(killed).put_files(key, release, files=files, progress=lambda _: None)
        again, files = release_of(tmp_path, content=b"bytes", notes="of the next run")
        publication = opened(simulator).publish(again, files=files)
        assert publication.outcome is PublishOutcome.PUBLISHED
        assert publication.release.notes == "of the killed run"
        # The draft of the killed run is another's: it isn't touched.
        drafts = [made.draft for made in simulator.repository.releases.values()]
        assert sorted(drafts) == [False, True]


def test_the_claim_of_a_killed_run_is_taken_over_by_other_bytes_after_its_lease(
    tmp_path: Path,
) -> None:
    with github_simulator() as simulator:
        release, _ = release_of(tmp_path, content=b"killed")
        killed = store_of(simulator)
        key = Key(release.id, "1.0.0")
        long_ago = claims_of(killed).now() - timedelta(seconds=DURATION + 2)
        assert claims_of(killed).claim(key, Claim("h" * 32, 0, long_ago, release))
        other, files = release_of(tmp_path, content=b"other")
        assert opened(simulator).publish(other, files=files).outcome is PublishOutcome.PUBLISHED
        assert content_of(opened(simulator), release.id, "1.0.0") == b"other"
        claim = claims_of(killed).current_claim(key)
        assert claim is not None
        assert claim.generation == 1


def test_a_claim_that_can_t_be_read_is_taken_over(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        store = store_of(simulator)
        store.documents.add("claims/com.acme.thing/1.0.0/3.json", b"{")
        store.documents.add("claims/com.acme.thing/1.0.0/notes.txt", b"x")
        store.documents.add("claims/com.acme.thing/1.0.0/12345678.json", b"x")
        release, files = release_of(tmp_path)
        claim = claims_of(store).current_claim(Key(release.id, "1.0.0"))
        assert claim == Claim("", 3)
        assert opened(simulator).publish(release, files=files).outcome is PublishOutcome.PUBLISHED


def test_a_claim_with_long_notes_is_kept_whole(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        release, files = release_of(tmp_path, notes="Größe @x <b>\n" * 40_000)
        publication = opened(simulator).publish(release, files=files)
        assert publication.release == release
        claim = claims_of(store_of(simulator)).current_claim(Key(release.id, "1.0.0"))
        assert claim is not None
        assert claim.release == release
