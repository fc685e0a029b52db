"""The contract that every kind of repository keeps; a new kind gets these tests for free."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NotInRepository, RepositoryError, VersionConflict
from ign_deploy.repositories import BACKENDS, Outcome, Repository, open_repository
from ign_deploy.repositories.records import FileRole
from tests.support.releases import release_of, tree

PUBLISHER = Path(__file__).parents[1] / "support" / "publisher.py"


@dataclass(frozen=True)
class Store:
    """An empty store of some kind.

    ``url`` opens it, ``snapshot`` returns all it holds, ``indexed`` the (id, version) pairs that
    its stored indexes list, without looking at the records.
    """

    url: str
    snapshot: Callable[[], Mapping[str, bytes | None]]
    indexed: Callable[[], set[tuple[str, str]]]

    def open(self) -> Repository:
        return open_repository(self.url)


def directory_store(folder: Path) -> Store:
    root = folder / "repository"

    def indexed() -> set[tuple[str, str]]:
        pairs = set()
        for module in json.loads((root / "index.json").read_bytes())["modules"]:
            data = (root / "modules" / module["id"] / "index.json").read_bytes()
            versions = json.loads(data)["versions"]
            assert len(versions) == module["count"]
            pairs |= {(module["id"], version) for version in versions}
        return pairs

    return Store(root.as_uri(), lambda: tree(root), indexed)


STORES: Mapping[str, Callable[[Path], Store]] = {"file": directory_store}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path / "store")


@pytest.fixture(autouse=True)
def _store_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()


def run_publishers(*orders: dict[str, Any]) -> list[list[list[str]]]:
    """Let other processes publish; see tests/support/publisher.py."""
    done = subprocess.run(
        [sys.executable, str(PUBLISHER)],
        input=json.dumps(orders),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[list[list[str]]] = json.loads(done.stdout)
    return answer


def content_of(repository: Repository, module_id: str, version: str) -> bytes:
    stream = io.BytesIO()
    repository.fetch(module_id, version=version, to=stream)
    return stream.getvalue()


def require_whole(repository: Repository) -> None:
    """Everything that can be seen can be fetched; fetching compares with the record."""
    for module in repository.catalogue():
        versions = repository.catalogue(module.id)
        assert len(versions) == module.versions
        for entry in versions:
            content_of(repository, entry.id, entry.version)


def test_no_kind_of_repository_is_left_out() -> None:
    assert set(STORES) == set(BACKENDS)


def test_a_published_module_is_read_back_byte_identical(store: Store, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    release, files = release_of(tmp_path / "in", content=content, notes="Größe ✓", future_field=[1])
    done = 0

    def count(advance: int) -> None:
        nonlocal done
        done += advance

    publication = store.open().publish(release, files=files, progress=count)
    assert publication.outcome is Outcome.PUBLISHED
    assert done == len(content)
    stream = io.BytesIO()
    read = store.open().fetch(release.id, version=release.version, to=stream)
    assert stream.getvalue() == content
    assert read == release
    assert read.to_json() == release.to_json()


def test_every_role_is_read_back(store: Store, tmp_path: Path) -> None:
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


def test_the_same_bytes_again_are_already_published(store: Store, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in", notes="first")
    store.open().publish(release, files=files)
    before = store.snapshot()
    again, files = release_of(tmp_path / "in", notes="second")
    publication = store.open().publish(again, files=files)
    assert publication.outcome is Outcome.ALREADY_PUBLISHED
    assert publication.release.notes == "first"
    assert store.snapshot() == before


def test_other_bytes_for_a_published_version_are_refused(store: Store, tmp_path: Path) -> None:
    first, files = release_of(tmp_path / "in", content=b"one")
    store.open().publish(first, files=files)
    before = store.snapshot()
    second, files = release_of(tmp_path / "in", content=b"two")
    with pytest.raises(VersionConflict) as refusal:
        store.open().publish(second, files=files)
    assert first.module_file.sha256 in refusal.value.message
    assert second.module_file.sha256 in refusal.value.message
    assert "raise the module's version" in refusal.value.hint
    assert refusal.value.exit_code == 6
    assert store.snapshot() == before


def test_a_file_that_changed_since_its_record_was_made_is_not_published(
    store: Store, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path / "in", content=b"one")
    files[release.module_file.name].write_bytes(b"two")
    with pytest.raises(RepositoryError, match="changed while it was being published"):
        store.open().publish(release, files=files)
    assert store.open().catalogue() == ()


def test_a_file_that_is_gone_is_not_published(store: Store, tmp_path: Path) -> None:
    release, files = release_of(tmp_path / "in")
    files[release.module_file.name].unlink()
    with pytest.raises(RepositoryError, match="cannot read"):
        store.open().publish(release, files=files)
    with pytest.raises(RepositoryError, match="no such file was given"):
        store.open().publish(release, files={})
    assert store.open().catalogue() == ()


def test_what_was_never_published_is_not_found(store: Store, tmp_path: Path) -> None:
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
    store: Store, tmp_path: Path
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


def test_of_twelve_concurrent_writers_of_one_version_exactly_one_wins(store: Store) -> None:
    rounds = 5
    orders: list[dict[str, Any]] = [
        {
            "url": store.url,
            "jobs": [
                [["com.acme.thing", f"1.{number}.0", f"bytes {number} of {writer} " * 5000]]
                for writer in range(12)
            ],
        }
        for number in range(rounds)
    ]
    answers = run_publishers(*orders)
    for number, answer in enumerate(answers):
        winners = [writer for writer, outcomes in enumerate(answer) if outcomes == ["published"]]
        losers = [outcomes for outcomes in answer if outcomes[0].startswith("conflict:")]
        assert (len(winners), len(losers)) == (1, 11)
        content = content_of(store.open(), "com.acme.thing", f"1.{number}.0")
        assert content == f"bytes {number} of {winners[0]} ".encode() * 5000
    assert store.open().catalogue()[0].versions == rounds


def test_concurrent_writers_of_the_same_bytes_all_succeed(store: Store) -> None:
    answers = run_publishers(
        {"url": store.url, "jobs": [[["com.acme.thing", "1.0.0", "same"]] for _ in range(12)]}
    )
    outcomes = [outcomes[0] for outcomes in answers[0]]
    assert outcomes.count("published") == 1
    assert outcomes.count("already-published") == 11


def test_two_hundred_concurrent_uploads_lose_nothing(store: Store) -> None:
    jobs = [
        [
            [f"com.acme.m{(number + process) % 7}", f"1.{process}.{number}", f"{process}/{number}"]
            for number in range(25)
        ]
        for process in range(8)
    ]
    (answer,) = run_publishers({"url": store.url, "jobs": jobs})
    assert answer == [["published"] * 25] * 8  # so there was no warning about an index either
    repository = store.open()
    for process, job in enumerate(jobs):
        for number, (module_id, version, _) in enumerate(job):
            assert content_of(repository, module_id, version) == f"{process}/{number}".encode()
    published = {(module_id, version) for job in jobs for module_id, version, _ in job}
    modules = repository.catalogue()
    listed = {(each.id, each.version) for m in modules for each in repository.catalogue(m.id)}
    assert listed == published
    assert store.indexed() == published
    assert sum(module.versions for module in modules) == 200


def test_killed_at_every_step_it_shows_all_or_nothing_and_converges(tmp_path: Path) -> None:
    """A run is killed before each step that touches a file, then run again."""
    job = [[["com.acme.thing", "1.1.0", "new content"]]]
    last = 80
    stores = [directory_store(tmp_path / str(step)) for step in range(1, last + 1)]
    for step, each in enumerate(stores, start=1):
        (tmp_path / str(step)).mkdir()
        if step % 2:  # half of them into a repository that exists, half into none
            release, files = release_of(tmp_path / "in", content=b"old content")
            each.open().publish(release, files=files)
    answers = run_publishers(
        *({"url": each.url, "jobs": job, "kill_at": step} for step, each in enumerate(stores, 1))
    )
    killed = [step for step, answer in enumerate(answers, start=1) if answer == [["killed"]]]
    assert len(killed) > 25
    assert answers[-2:] == [[["published"]], [["published"]]], "raise `last`"
    seen_before_rename = 0
    for step in killed:
        repository = stores[step - 1].open()
        root = tmp_path / str(step) / "repository"
        if root.exists():
            require_whole(repository)
            seen = [each.version for each in repository.catalogue("com.acme.thing")]
            seen_before_rename += "1.1.0" not in seen
        release, files = release_of(tmp_path / "in", content=b"new content", version="1.1.0")
        repository.publish(release, files=files)
        assert content_of(repository, "com.acme.thing", "1.1.0") == b"new content"
        assert repository.catalogue()[0].versions == (2 if step % 2 else 1)
        require_whole(repository)
        assert ("com.acme.thing", "1.1.0") in stores[step - 1].indexed()
    assert 0 < seen_before_rename < len(killed)
    # The same module by another writer is still a conflict: nothing was loosened by the repair.
    other, files = release_of(tmp_path / "in", content=b"other", version="1.1.0")
    with pytest.raises(VersionConflict):
        stores[0].open().publish(other, files=files)


def test_a_disk_that_gets_full_publishes_nothing(store: Store) -> None:
    ((outcomes,), ((good,))) = run_publishers(
        {
            "url": store.url,
            "jobs": [[["com.acme.thing", "1.0.0", "x" * 300_000]]],
            "file_size_limit": 100_000,
        },
        {"url": store.url, "jobs": [[["com.acme.thing", "1.0.0", "y"]]]},
    )
    assert outcomes[0].startswith("repository: cannot write")
    assert "File too large" in outcomes[0]
    assert "raise the file size limit" in outcomes[0]
    assert good == ["published"]
    assert content_of(store.open(), "com.acme.thing", "1.0.0") == b"y"


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_without_write_access_is_refused_and_unchanged(
    public_folder: Path, tmp_path: Path
) -> None:
    store = directory_store(public_folder)
    release, files = release_of(tmp_path / "in")
    store.open().publish(release, files=files)
    before = store.snapshot()
    # Root may write everywhere, so as root the writer becomes somebody else.
    uid = {"uid": 65534} if os.geteuid() == 0 else {}
    folders = [path for path in (public_folder, *public_folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        ((outcomes,), (same,)) = run_publishers(
            *(
                {"url": store.url, "jobs": [[["com.acme.thing", *what]]], **uid}
                for what in (("1.1.0", "x"), ("1.0.0", "module"))
            )
        )
    finally:
        for path in folders:
            path.chmod(0o755)
    assert outcomes[0].startswith("repository: cannot write to the repository")
    assert "Permission denied" in outcomes[0]
    assert "give this user write access" in outcomes[0]
    assert same == ["already-published"]
    assert store.snapshot() == before


def test_what_the_store_can_do_is_stated(store: Store) -> None:
    found = store.open().check()
    assert found.writable
    assert found.obstacle == ""
    assert found.create_once
    assert found.location
