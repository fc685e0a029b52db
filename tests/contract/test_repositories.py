"""The contract that every kind of repository keeps; a new kind gets these tests for free."""

from __future__ import annotations

import hashlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NotInRepository, RepositoryError, VersionConflict
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.backends import BACKENDS, open_repository
from ign_deploy.repositories.maintenance import StatusChange, remove, yank
from ign_deploy.repositories.mirror import mirror
from ign_deploy.repositories.record import FileRole
from ign_deploy.repositories.search import ListFilter, choose_version, list_modules
from tests.contract.kinds import KINDS, Kind
from tests.contract.opened import Opened
from tests.contract.page import shown_on_page
from tests.contract.publishing import content_of, run_publishers, visible, without_retries
from tests.support.releases import release_of, verified_module


def test_no_kind_of_repository_is_left_out() -> None:
    covered = [scheme for kind in KINDS.values() for scheme in kind.schemes]
    assert sorted(set(covered)) == sorted(BACKENDS)


def test_a_published_module_is_read_back_byte_identical(store: Opened, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    release, files = release_of(tmp_path / "in", content=content, notes="Größe ✓", future_field=[1])
    done = 0

    def count(advance: int) -> None:
        nonlocal done
        done += advance

    publication = store.open().publish(release, files=files, progress=count)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert done == len(content)
    stream = io.BytesIO()
    read = store.open().fetch(release.id, version=release.version, to=stream)
    assert stream.getvalue() == content
    assert read == release
    assert read.to_json() == release.to_json()


def test_every_role_is_read_back(store: Opened, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(b"zip")
    release, files = release_of(tmp_path / "in")
    release = release.model_copy(
        update={
            "files": (
                *release.files,
                release.module_file.model_copy(
                    update={
                        "name": "b.zip",
                        "role": "bundle",
                        "size": 3,
                        "sha256": hashlib.sha256(b"zip").hexdigest(),
                    }
                ),
            )
        }
    )
    store.open().publish(release, files={**files, "b.zip": bundle})
    stream = io.BytesIO()
    store.open().fetch(release.id, version=release.version, to=stream, role=FileRole.BUNDLE)
    assert stream.getvalue() == b"zip"
    with pytest.raises(NotInRepository, match="sbom"):
        store.open().fetch(release.id, version=release.version, to=stream, role=FileRole.SBOM)


def test_the_same_bytes_again_are_already_published(store: Opened, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in", notes="first")
    store.open().publish(release, files=files)
    before = visible(store.open())
    again, files = release_of(tmp_path / "in", notes="second")
    publication = store.open().publish(again, files=files)
    assert publication.outcome is PublishOutcome.ALREADY_PUBLISHED
    assert publication.release.notes == "first"
    assert visible(store.open()) == before


def test_other_bytes_for_a_published_version_are_refused(store: Opened, tmp_path: Path) -> None:
    first, files = release_of(tmp_path / "in", content=b"one")
    store.open().publish(first, files=files)
    before = visible(store.open())
    second, files = release_of(tmp_path / "in", content=b"two")
    with pytest.raises(VersionConflict) as caught:
        store.open().publish(second, files=files)
    assert first.module_file.sha256 in caught.value.message
    assert second.module_file.sha256 in caught.value.message
    assert "raise the module's version" in caught.value.hint
    assert caught.value.exit_code == 6
    assert visible(store.open()) == before


def test_a_file_that_changed_since_its_record_was_made_is_not_published(
    store: Opened, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path / "in", content=b"one")
    files[release.module_file.name].write_bytes(b"two")
    with pytest.raises(RepositoryError, match="changed while it was being"):
        store.open().publish(release, files=files)
    assert store.open().catalogue() == ()


def test_a_file_that_is_gone_is_not_published(store: Opened, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in")
    files[release.module_file.name].unlink()
    with pytest.raises(RepositoryError, match="cannot read"):
        store.open().publish(release, files=files)
    with pytest.raises(RepositoryError, match="no such file was given"):
        store.open().publish(release, files={})
    assert store.open().catalogue() == ()


def test_what_was_never_published_is_not_found(store: Opened, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in")
    store.open().publish(release, files=files)
    repository = store.open()
    assert repository.catalogue("com.acme.other") == ()
    for module_id, version in (
        (release.id, "9.9.9"),
        ("com.acme.other", "1.0.0"),
        ("..", "1.0.0"),
        ("a/b", "x"),
    ):
        with pytest.raises(NotInRepository):
            repository.fetch(module_id, version=version)


def test_the_catalogue_has_the_newest_of_each_module_and_all_versions_of_one(
    store: Opened, tmp_path: Path
) -> None:
    for version in ("1.9.0", "2.0.0-rc1", "1.10.0", "1.2.0"):
        release, files = release_of(tmp_path / "in", version=version, description=f"of {version}")
        store.open().publish(release, files=files)
    release, files = release_of(tmp_path / "in", module_id="com.acme.all", version="0.1.0-rc1")
    store.open().publish(release, files=files)
    modules = store.open().catalogue()
    assert [(each.id, each.version, each.versions) for each in modules] == [
        ("com.acme.all", "0.1.0-rc1", 1),
        ("com.acme.thing", "1.10.0", 4),
    ]
    assert modules[1].description == "of 1.10.0"
    versions = [each.version for each in store.open().catalogue("com.acme.thing")]
    assert versions == ["2.0.0-rc1", "1.10.0", "1.9.0", "1.2.0"]


def test_of_twelve_concurrent_writers_of_one_version_exactly_one_wins(store: Opened) -> None:
    rounds = int(os.environ.get("IGN_DEPLOY_CONTRACT_ROUNDS", "3"))
    orders: list[dict[str, Any]] = [
        {
            "store": store.order(),
            "jobs": [
                [["com.acme.thing", f"1.{number}.0", f"bytes {number} of {writer} " * 5000]]
                for writer in range(12)
            ],
        }
        for number in range(rounds)
    ]
    answers = [without_retries(each) for each in run_publishers(*orders)]
    for number, answer in enumerate(answers):
        winners = [writer for writer, outcomes in enumerate(answer) if outcomes == ["published"]]
        losers = [outcomes for outcomes in answer if outcomes[0].startswith("conflict:")]
        assert (len(winners), len(losers)) == (1, 11)
        content = content_of(store.open(), "com.acme.thing", f"1.{number}.0")
        assert content == f"bytes {number} of {winners[0]} ".encode() * 5000
    assert store.open().catalogue()[0].versions == rounds


def test_concurrent_writers_of_the_same_bytes_all_succeed(store: Opened) -> None:
    answers = run_publishers(
        {"store": store.order(), "jobs": [[["com.acme.thing", "1.0.0", "same"]] for _ in range(12)]}
    )
    outcomes = [outcomes[0] for outcomes in answers[0]]
    assert outcomes.count("published") == 1
    assert outcomes.count("already-published") == 11


@pytest.mark.long
def test_fifty_writers_of_different_versions_lose_none_of_them(store: Opened) -> None:
    jobs = [
        [
            [f"com.acme.m{number % 3}", f"1.{process}.{number}", f"{process}/{number}"]
            for number in range(10)
        ]
        for process in range(5)
    ]
    (answer,) = run_publishers({"store": store.order(), "jobs": jobs})
    outcomes = [[each for each in job if not each.startswith("warning:")] for job in answer]
    assert outcomes == [["published"] * 10] * 5
    found = store.open().maintenance.reindex()
    assert (found.modules, found.versions) == (3, 50)
    repository = store.open()
    for process, job in enumerate(jobs):
        for number, (module_id, version, _) in enumerate(job):
            assert content_of(repository, module_id, version) == f"{process}/{number}".encode()
    modules = repository.catalogue()
    listed = {(each.id, each.version) for m in modules for each in repository.catalogue(m.id)}
    assert listed == {(module_id, version) for job in jobs for module_id, version, _ in job}


@pytest.mark.long
def test_everything_published_is_listed(store: Opened) -> None:
    """Without a reindex: 24 versions by 8 processes, in so many rounds."""
    rounds = int(os.environ.get("IGN_DEPLOY_CONTRACT_ROUNDS", "2"))
    published: set[tuple[str, str]] = set()
    for number in range(rounds):
        jobs = [
            [[f"com.acme.m{(job + each) % 3}", f"{number}.{job}.{each}", "x"] for each in range(3)]
            for job in range(8)
        ]
        (answer,) = run_publishers({"store": store.order(), "jobs": jobs})
        assert without_retries(answer) == [["published"] * 3] * 8
        published |= {(module_id, version) for job in jobs for module_id, version, _ in job}
        repository = store.open()
        modules = repository.catalogue()
        listed = {(each.id, each.version) for m in modules for each in repository.catalogue(m.id)}
        assert listed == published
        assert sum(module.versions for module in modules) == len(published)
        assert shown_on_page(repository) in (None, dict.fromkeys(published, False))


def test_what_is_said_of_a_version_is_kept(store: Opened, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        release, files = release_of(tmp_path / "in", version=version, content=version.encode())
        store.open().publish(release, files=files)
    said = StatusChange("ann", datetime(2026, 2, 1, tzinfo=UTC), "bad")
    assert yank(store.open(), release, change=said)
    assert choose_version(store.open(), module_id=release.id, wanted=None) == "1.0.0"
    assert content_of(store.open(), release.id, "1.1.0") == b"1.1.0"
    assert {each.version: each.yanked for each in store.open().catalogue(release.id)} == {
        "1.0.0": None,
        "1.1.0": "bad",
    }
    shown = shown_on_page(store.open())
    assert shown in (None, {(release.id, "1.0.0"): False, (release.id, "1.1.0"): "bad"})


def test_a_removed_version_never_comes_back(store: Opened, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in", content=b"one")
    store.open().publish(release, files=files)
    said = StatusChange("ann", datetime(2026, 2, 1, tzinfo=UTC), "leaked")
    for _ in range(2):  # again, it finishes what was interrupted
        remove(store.open(), release, change=said)
    assert store.open().catalogue() == ()
    assert shown_on_page(store.open()) in (None, {})
    with pytest.raises(NotInRepository, match="removed on 2026-02-01 by ann: leaked"):
        content_of(store.open(), release.id, release.version)
    for content in (b"one", b"two"):
        again, files = release_of(tmp_path / "in", content=content)
        with pytest.raises(VersionConflict, match="nothing was changed"):
            store.open().publish(again, files=files)


def test_small_documents_are_added_listed_and_read(store: Opened) -> None:
    documents = store.open().maintenance.documents
    assert documents.names("ledger/deployments/line-3") == []
    assert documents.read("ledger/deployments/line-3/a.json") is None
    for number in range(12):
        documents.add(f"ledger/deployments/line-3/d-{number}.json", b"%d" % number)
    documents.add("ledger/deployments/line-3/d-0.json", b"0")  # a lost acknowledgement
    again = store.open().maintenance.documents
    names = again.names("ledger/deployments/line-3")
    assert sorted(names) == sorted(f"d-{number}.json" for number in range(12))
    found = again.read("ledger/deployments/line-3/d-7.json")
    assert found is not None
    assert found.data == b"7"
    assert again.names("ledger/deployments/other") == []


def test_a_mirror_gives_the_same_repository(store: Opened, tmp_path: Path) -> None:
    """From a folder into the store, and from the store into another folder."""
    first = open_repository(str(tmp_path / "first"))
    for version in ("1.0.0", "1.1.0"):
        release, files = release_of(tmp_path / "in", version=version, content=version.encode())
        first.publish(release, files=files)
    last = open_repository(str(tmp_path / "last"))
    for source, target in ((first, store.open()), (store.open(), last)):
        entries = list_modules(source, ListFilter(every_version=True))
        mirror(
            source,
            target,
            entries,
            verify=lambda path: verified_module(
                path, version=path.stem.rpartition("-")[2], licence_crc=None
            ),
            reporter=SilentReporter(),
        )
    assert visible(last) == visible(first)


def test_what_the_store_can_do_is_stated(store: Opened, kind: Kind) -> None:
    found = store.open().check()
    assert found.writable
    assert found.obstacle == ""
    assert kind.creates_once in (found.create_once, None)
    assert found.create_once or found.remarks
    assert found.location
    assert "@" not in found.location
