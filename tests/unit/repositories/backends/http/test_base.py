"""What every store over HTTP keeps, with all the writers that there may be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NotInRepository, VersionConflict
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import PublishOutcome, Repository
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.repository import StoreRepository
from ign_deploy.repositories.status_events import (
    StatusEvent,
    StatusKind,
    add_status_event,
    read_module_status,
)
from ign_deploy.repositories.store import Key, Store
from tests.contract.opened import Opened
from tests.contract.stores_http import apache_store, artifactory_store, nexus_store, nginx_store
from tests.support.releases import release_of
from tests.support.stores import claims_of, store_below
from tests.support.transfers import Counter
from tests.unit.repositories.backends.http.objects import all_at_once, objects_at

KINDS: dict[str, Callable[[Path], AbstractContextManager[Opened]]] = {
    "nginx": nginx_store,
    "apache": apache_store,
    "nexus": nexus_store,
    "artifactory": artifactory_store,
}
QUICK = WaitPolicy(grace=0.2, poll=0.02)
ID = "com.acme.thing"


@pytest.fixture(scope="module", params=sorted(KINDS))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    with KINDS[request.param](tmp_path_factory.mktemp(request.param)) as opened:
        yield opened


@pytest.fixture
def opener(server: Opened, request: pytest.FixtureRequest) -> Callable[[], Repository]:
    """Return what opens an empty repository, each test its own."""
    name = "".join(char if char.isalnum() else "-" for char in request.node.name)
    return lambda: opened_at(server, f"{server.url}/{name}")


@pytest.fixture(autouse=True)
def _root(server: Opened) -> None:
    opened_at(server, server.url).check()


def opened_at(server: Opened, url: str) -> StoreRepository:
    access = Access(
        token=server.token,
        username=server.username,
        password=server.password,
        env=server.env,
        wait_policy=QUICK,
    )
    repository = open_repository(url, access=access)
    assert isinstance(repository, StoreRepository)
    return repository


def store_of(repository: Repository) -> Store:
    return store_below(repository)


def content_of(repository: Repository, version: str = "1.0.0") -> bytes:
    stream = io.BytesIO()
    repository.fetch(ID, version=version, to=stream)
    return stream.getvalue()


def publish(
    opener: Callable[[], Repository], folder: Path, *, content: bytes, version: str = "1.0.0"
) -> tuple[PublishOutcome, bytes]:
    release, files = release_of(folder, content=content, version=version)
    return opener().publish(release, files=files).outcome, content


def test_a_published_module_is_read_back_and_its_conflicts_are_rejected(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    content = bytes(range(256)) * 9000
    release, files = release_of(tmp_path, content=content, version="1.0.0+build.7", notes="Größe ✓")
    counter = Counter()
    publication = opener().publish(release, files=files, progress=counter)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert publication.location.endswith(f"/modules/{ID}/1.0.0%2Bbuild.7/")
    assert counter.done == len(content)
    assert content_of(opener(), "1.0.0+build.7") == content
    again = opener().publish(release, files=files)
    assert again.outcome is PublishOutcome.ALREADY_PUBLISHED
    other, other_files = release_of(tmp_path, content=b"other", version="1.0.0+build.7")
    with pytest.raises(VersionConflict, match="already published with other bytes"):
        opener().publish(other, files=other_files)
    assert content_of(opener(), "1.0.0+build.7") == content
    assert [entry.version for entry in opener().catalogue(ID)] == ["1.0.0+build.7"]


def test_one_of_many_writers_of_different_bytes_publishes(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    opener().check()
    results = all_at_once(
        *(
            partial(publish, opener, tmp_path / str(number), content=b"%d" % number)
            for number in range(12)
        )
    )
    published = [each for each in results if isinstance(each, tuple)]
    conflicts = [each for each in results if isinstance(each, VersionConflict)]
    assert (len(published), len(conflicts)) == (1, 11), results
    assert published[0] == (PublishOutcome.PUBLISHED, content_of(opener()))


def test_one_of_many_writers_of_the_same_bytes_publishes(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    opener().check()
    release_of(tmp_path, content=b"same")
    results = all_at_once(*([partial(publish, opener, tmp_path, content=b"same")] * 12))
    outcomes = sorted(each[0] for each in results if isinstance(each, tuple))
    assert outcomes == [PublishOutcome.ALREADY_PUBLISHED] * 11 + [PublishOutcome.PUBLISHED], results


def test_none_of_many_writers_of_different_versions_is_lost(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    opener().check()
    versions = [f"1.0.{number}" for number in range(20)]
    results = all_at_once(
        *(
            partial(publish, opener, tmp_path, content=version.encode(), version=version)
            for version in versions
        )
    )
    assert {each[0] for each in results if isinstance(each, tuple)} == {PublishOutcome.PUBLISHED}, (
        results
    )
    assert len(results) == 20
    assert opener().maintenance.reindex().versions == 20
    assert sorted(entry.version for entry in opener().catalogue(ID)) == sorted(versions)
    assert content_of(opener(), "1.0.17") == b"1.0.17"


@pytest.mark.parametrize("content", [b"same", b"other"])
def test_a_claim_of_a_killed_run_is_taken_over(
    opener: Callable[[], Repository], tmp_path: Path, content: bytes
) -> None:
    left, _ = release_of(tmp_path, content=b"same")
    store = store_of(opener())
    store.probe()
    # Other bytes wait until the lease is over.
    age = timedelta(hours=0 if content == b"same" else 1)
    claim = Claim("dead", 0, datetime.now(UTC) - age, left)
    assert claims_of(store).claim(Key(ID, "1.0.0"), claim)
    assert not claims_of(store).claim(Key(ID, "1.0.0"), claim)
    assert claims_of(store).current_claim(Key(ID, "1.0.0")) == claim
    outcome, _ = publish(opener, tmp_path, content=content)
    assert outcome is PublishOutcome.PUBLISHED
    assert content_of(opener()) == content


def test_files_of_a_killed_run_are_replaced(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    left, files = release_of(tmp_path, content=b"dead!")
    store = store_of(opener())
    store.probe()
    assert claims_of(store).claim(
        Key(ID, "1.0.0"), Claim("dead", 0, datetime(2020, 1, 1, tzinfo=UTC), left)
    )
    claims_of(store).put_files(Key(ID, "1.0.0"), left, files=files, progress=Counter())
    assert publish(opener, tmp_path, content=b"alive")[0] is PublishOutcome.PUBLISHED
    assert content_of(opener()) == b"alive"


def test_versions_are_yanked_reindexed_and_discarded(
    opener: Callable[[], Repository], tmp_path: Path
) -> None:
    for version in ("1.0.0", "2.0.0"):
        publish(opener, tmp_path, content=version.encode(), version=version)
    maintenance = opener().maintenance
    release = opener().fetch(ID, version="1.0.0")
    mark = StatusEvent(
        kind=StatusKind.YANKED, id=ID, version="1.0.0", sha256=release.module_file.sha256,
        reason="broken", at="2026-01-31T12:00:00Z",
    )  # fmt: skip
    name = add_status_event(maintenance.documents, mark)
    maintenance.documents.add(f"ledger/status-events/{ID}/{name}", mark.to_json())
    assert maintenance.documents.names(f"ledger/status-events/{ID}") == [name]
    marked = read_module_status(maintenance.documents, ID, reporter=SilentReporter())
    assert marked.yanked("1.0.0") == "broken"
    maintenance.refresh(ID)
    assert {entry.version: entry.yanked for entry in opener().catalogue(ID)} == {
        "1.0.0": "broken",
        "2.0.0": None,
    }
    maintenance.discard(release)
    maintenance.discard(release)
    with pytest.raises(NotInRepository):
        content_of(opener())
    assert content_of(opener(), "2.0.0") == b"2.0.0"
    found = maintenance.reindex()
    assert (found.modules, found.versions) == (1, 2)


def test_documents_are_written_over_and_over(opener: Callable[[], Repository]) -> None:
    documents = opener().maintenance.documents
    opener().check()
    assert documents.read("a/b.json") is None
    assert documents.names("a") == []
    assert documents.write("a/b.json", b"1", replaces=None)
    for number in range(5):
        present = documents.read("a/b.json")
        assert present is not None
        assert present.data == b"1" * (number + 1)
        assert documents.write("a/b.json", present.data + b"1", replaces=present)
    documents.write("a/c d+%2F.json", b"", replaces=None)
    assert sorted(documents.names("a")) == ["b.json", "c d+%2F.json"]


def test_the_stores_time_is_reported(opener: Callable[[], Repository]) -> None:
    opener().check()
    assert abs(claims_of(store_of(opener())).now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_it_is_written_exactly_once(opener: Callable[[], Repository]) -> None:
    found = opener().check()
    assert (found.writable, found.create_once, found.obstacle) == (True, True, "")


@pytest.mark.parametrize("kind", ["apache", "nexus", "nginx"])
def test_a_claim_that_is_removed_while_we_lose_it_is_not_an_error(
    kind: str, tmp_path: Path
) -> None:
    """Its holder has published and cleaned up between the rejection and our look at it."""
    path = f"modules/{ID}/1.0.0/claim-0.json"
    with KINDS[kind](tmp_path) as opened:
        account: dict[str, Any] = {
            "token": opened.token, "username": opened.username, "password": opened.password
        }  # fmt: skip
        holder, late = objects_at(opened.url, **account), objects_at(opened.url, **account)
        late.probe()
        assert holder.create(path, b"1")
        change = late._client.request

        def clean_up(method: str, url: str, **options: Any) -> Any:
            sent = change(method, url, **options)
            if "claim-0" in url and not sent.ok:
                holder.delete(path)
            return sent

        late._client.request = clean_up
        assert late.create(path, b"2") is False
