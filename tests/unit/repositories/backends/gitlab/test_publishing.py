from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ign_deploy.errors import (
    RepositoryError,
    VersionConflict,
)
from ign_deploy.repositories import Publication, PublishOutcome
from ign_deploy.repositories.access import WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.gitlab.packages import DOCUMENTS
from ign_deploy.repositories.claims import Claim
from tests.support.gitlab_packages import DEVELOPER, World, gitlab_world
from tests.support.releases import release_of
from tests.support.serving import Fault
from tests.support.stores import claims_of, store_below
from tests.unit.repositories.backends.gitlab.opening import KEY, fetched, publish, repository, store


def together(count: int, action: Callable[[int], object]) -> list[object]:
    """Let so many threads begin at once; return what each returned or raised."""
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return action(number)
        except (VersionConflict, RepositoryError) as problem:
            return problem

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def outcomes(results: list[object]) -> list[object]:
    return [each.outcome if isinstance(each, Publication) else type(each) for each in results]


def test_published_bytes_are_read_back(opened: World, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(300_000)
    done = publish(opened, tmp_path, content)
    assert done.outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == content
    assert [row.version for row in repository(opened).catalogue("com.acme.thing")] == ["1.0.0"]
    assert [row.id for row in repository(opened).catalogue()] == ["com.acme.thing"]


def test_location_is_the_package_page(opened: World, tmp_path: Path) -> None:
    done = publish(opened, tmp_path, b"module")
    number = done.location.rpartition("/")[2]
    assert done.location == f"{opened.server.url}/{opened.project.path}/-/packages/{number}"
    package = opened.server.registry.package(opened.project.path, int(number))
    assert package is not None
    assert (package.name, package.version) == KEY


def test_no_claim_and_no_older_index_is_left(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    publish(opened, tmp_path, b"other", version="1.1.0")
    found = opened.snapshot()
    assert {key: len(files) for key, files in found.items()} == {
        ("com.acme.thing", "1.0.0", "com.acme.thing-1.0.0.modl"): 1,
        ("com.acme.thing", "1.0.0", "release.json"): 1,
        ("com.acme.thing", "1.1.0", "com.acme.thing-1.1.0.modl"): 1,
        ("com.acme.thing", "1.1.0", "release.json"): 1,
        (DOCUMENTS, "modules+2Fcom.acme.thing", "index.json"): 1,
        (DOCUMENTS, "root", "index.json"): 1,
    }


def test_the_same_bytes_again_change_nothing(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    before = opened.snapshot()
    assert publish(opened, tmp_path, b"module").outcome is PublishOutcome.ALREADY_PUBLISHED
    assert opened.snapshot() == before


def test_other_bytes_are_rejected_and_change_nothing(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    before = opened.snapshot()
    with pytest.raises(VersionConflict, match="other bytes"):
        publish(opened, tmp_path, b"MODULE")
    assert opened.snapshot() == before


@pytest.mark.parametrize("role", [None, DEVELOPER])
def test_one_of_twelve_writers_of_one_version_wins(tmp_path: Path, role: int | None) -> None:
    delays = random.Random(7)
    with gitlab_world(role=role, commit_delay=lambda: delays.uniform(0, 0.05)) as opened:
        contents = [b"module %d" % number for number in range(12)]
        results = together(12, lambda n: publish(opened, tmp_path, contents[n]))
        found = outcomes(results)
        assert found.count(PublishOutcome.PUBLISHED) == 1
        assert found.count(VersionConflict) == 11
        assert fetched(opened) == contents[found.index(PublishOutcome.PUBLISHED)]
        assert len(opened.snapshot()[*KEY, "release.json"]) == 1


def test_one_of_twelve_writers_of_the_same_bytes_publishes(opened: World, tmp_path: Path) -> None:
    release_of(tmp_path, content=b"module")
    found = outcomes(together(12, lambda _: publish(opened, tmp_path, b"module")))
    assert found.count(PublishOutcome.PUBLISHED) == 1
    assert found.count(PublishOutcome.ALREADY_PUBLISHED) == 11


def test_a_race_in_which_gitlab_returns_500_still_has_one_winner(tmp_path: Path) -> None:
    with gitlab_world(race_fails=True, commit_delay=lambda: 0.02) as opened:
        found = outcomes(together(4, lambda n: publish(opened, tmp_path, b"module %d" % n)))
        assert found.count(PublishOutcome.PUBLISHED) == 1
        assert found.count(VersionConflict) == 3


@pytest.mark.long
def test_of_many_versions_at_once_none_is_lost(opened: World, tmp_path: Path) -> None:
    def publish_one(number: int) -> object:
        version = f"1.0.{number}"
        return publish(opened, tmp_path, version.encode(), version=version)

    found = outcomes(together(50, publish_one))
    assert found == [PublishOutcome.PUBLISHED] * 50
    done = repository(opened).maintenance.reindex()
    assert (done.modules, done.versions) == (1, 50)
    listed = {row.version for row in repository(opened).catalogue("com.acme.thing")}
    assert listed == {f"1.0.{number}" for number in range(50)}


def test_a_package_that_was_there_is_claimed_only_after_the_slower_commit(
    opened: World, tmp_path: Path
) -> None:
    """A lower number may be committed later: here the first insert is the slowest."""
    project = opened.project
    opened.server.registry.upload(project, KEY, "notes.txt", b"by hand")
    delays = iter([0.5, 0.0])
    opened.server.switches.commit_delay = lambda: next(delays, 0.0)
    claims = [claim_by(name, tmp_path) for name in ("aa", "bb")]
    found: dict[str, bool] = {}

    access = opened.access(wait_policy=WaitPolicy())

    def run(claim: Claim) -> None:
        there = store_below(open_repository(opened.url, access=access))
        found[claim.holder] = claims_of(there).claim(KEY, claim)

    slow, fast = (threading.Thread(target=run, args=(each,)) for each in claims)
    slow.start()
    wait_for(lambda: bool(opened.server.matching(r"PUT .*claim-0-aa")))
    fast.start()
    slow.join()
    fast.join()
    assert found == {"aa": True, "bb": False}


def wait_for(test: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not test():
        assert time.monotonic() < end
        time.sleep(0.005)


def claim_by(holder: str, folder: Path, *, age: timedelta = timedelta(0)) -> Claim:
    release, _ = release_of(folder, content=holder.encode())
    return Claim(holder, 0, datetime.now(UTC) - age, release)


def test_the_same_bytes_take_over_a_claim_after_the_grace(opened: World, tmp_path: Path) -> None:
    assert claims_of(store(opened)).claim(KEY, claim_by("dead", tmp_path))
    done = publish(opened, tmp_path, b"dead")
    assert done.outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == b"dead"


def test_other_bytes_take_over_a_claim_after_the_lease(opened: World, tmp_path: Path) -> None:
    old = claim_by("dead", tmp_path, age=timedelta(hours=1))
    assert claims_of(store(opened)).claim(KEY, old)
    opened.server.registry.upload(opened.project, KEY, "com.acme.thing-1.0.0.modl", b"left behind")
    assert publish(opened, tmp_path, b"mine").outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == b"mine"


def test_a_claim_is_not_given_twice(opened: World, tmp_path: Path) -> None:
    assert claims_of(store(opened)).claim(KEY, claim_by("one", tmp_path))
    assert not claims_of(store(opened)).claim(KEY, claim_by("two", tmp_path))
    current = claims_of(store(opened)).current_claim(KEY)
    assert current is not None
    assert (current.holder, current.generation) == ("one", 0)


def test_a_published_version_cannot_be_claimed(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    assert not claims_of(store(opened)).claim(KEY, claim_by("late", tmp_path))
    assert claims_of(store(opened)).current_claim(KEY) is None


@pytest.mark.parametrize("pattern", [r"claim-0", r"\.modl", r"release\.json", r"index\.json"])
@pytest.mark.parametrize("kind", ["lost", "after"])
def test_a_lost_acknowledgement_is_no_failure(
    opened: World, tmp_path: Path, pattern: str, kind: str
) -> None:
    fault = Fault(f"PUT .*{pattern}", kind)
    opened.server.faults.append(fault)
    assert publish(opened, tmp_path, b"module").outcome is PublishOutcome.PUBLISHED
    assert fault.times == 0
    assert fetched(opened) == b"module"
    assert {len(files) for files in opened.snapshot().values()} == {1}


def test_a_rate_limit_is_waited_for(opened: World, tmp_path: Path) -> None:
    limit = {"Retry-After": "0", "RateLimit-Limit": "60", "RateLimit-Remaining": "0"}
    opened.server.faults.append(Fault(r"PUT .*\.modl", times=2, status=429, headers=limit))
    assert publish(opened, tmp_path, b"module").outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == b"module"


def test_lists_that_are_behind_are_waited_for(tmp_path: Path) -> None:
    with gitlab_world(list_lag=0.3) as opened:
        assert publish(opened, tmp_path, b"module").outcome is PublishOutcome.PUBLISHED
        assert fetched(opened) == b"module"


def test_a_run_that_died_while_uploading_is_followed_by_the_next(
    opened: World, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def die(advance: int) -> None:
        raise Killed

    release, files = release_of(tmp_path, content=b"module" * 100_000)
    with pytest.raises(Killed):
        repository(opened).publish(release, files=files, progress=die)
    assert [name for _, _, name in opened.snapshot() if not name.startswith("claim-0-")] == []
    assert publish(opened, tmp_path, b"module" * 100_000).outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == b"module" * 100_000
    assert not [name for _, _, name in opened.snapshot() if name.startswith("claim-")]


def test_without_the_right_to_delete_everything_still_works(tmp_path: Path) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        for number in range(3):
            version = f"1.{number}"
            publish(opened, tmp_path, version.encode(), version=version)
        assert fetched(opened, "1.1") == b"1.1"
        assert len(repository(opened).catalogue("com.acme.thing")) == 3
        with pytest.raises(VersionConflict):
            publish(opened, tmp_path, b"other", version="1.0")


def test_a_project_that_refuses_duplicates_works_with_a_maintainers_token(
    opened: World, tmp_path: Path
) -> None:
    opened.project.duplicates = False
    publish(opened, tmp_path, b"module")
    publish(opened, tmp_path, b"newer", version="1.1.0")
    assert len(repository(opened).catalogue("com.acme.thing")) == 2
    assert publish(opened, tmp_path, b"module").outcome is PublishOutcome.ALREADY_PUBLISHED


def test_where_duplicates_are_rejected_a_leftover_file_is_replaced(
    opened: World, tmp_path: Path
) -> None:
    opened.project.duplicates = False
    assert claims_of(store(opened)).claim(KEY, claim_by("dead", tmp_path, age=timedelta(hours=1)))
    opened.server.registry.upload(opened.project, KEY, "com.acme.thing-1.0.0.modl", b"left")
    assert publish(opened, tmp_path, b"mine").outcome is PublishOutcome.PUBLISHED
    assert fetched(opened) == b"mine"


def test_a_leftover_file_that_only_a_maintainer_can_remove_is_reported(tmp_path: Path) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        opened.project.duplicates = False
        opened.server.registry.upload(opened.project, KEY, "com.acme.thing-1.0.0.modl", b"left")
        with pytest.raises(RepositoryError, match="deleting") as caught:
            publish(opened, tmp_path, b"mine")
        assert "Maintainer" in caught.value.hint


def test_where_duplicates_are_rejected_a_developer_is_reported_what_to_allow(
    tmp_path: Path,
) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        opened.project.duplicates = False
        documents = store(opened)
        documents.documents.write("index.json", b"1", replaces=None)
        with pytest.raises(RepositoryError, match="refuses duplicates") as caught:
            documents.documents.write("index.json", b"2", replaces=None)
        assert DOCUMENTS in caught.value.hint
