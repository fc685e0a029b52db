"""What only a folder has to keep: killed between any two file operations, full disk, rights."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ign_deploy.errors import VersionConflict
from ign_deploy.repositories import Repository
from ign_deploy.repositories.backends import open_repository
from tests.contract.page import shown_on_page
from tests.contract.publishing import content_of, require_whole, run_publishers
from tests.support.releases import release_of, tree


@dataclass(frozen=True)
class Folder:
    """A repository in a folder; ``indexed`` tells what its stored indexes list."""

    root: Path

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def open(self) -> Repository:
        return open_repository(self.url)

    def snapshot(self) -> Mapping[str, bytes | None]:
        return tree(self.root)

    def indexed(self) -> set[tuple[str, str]]:
        pairs = set()
        for module in json.loads((self.root / "index.json").read_bytes())["modules"]:
            data = (self.root / "modules" / module["id"] / "index.json").read_bytes()
            versions = json.loads(data)["versions"]
            assert len(versions) == module["count"]
            pairs |= {(module["id"], version) for version in versions}
        return pairs


def directory_store(folder: Path) -> Folder:
    return Folder(folder / "repository")


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    (tmp_path / "store").mkdir()
    return directory_store(tmp_path / "store")


def test_killed_at_every_step_it_shows_all_or_nothing_and_converges(tmp_path: Path) -> None:
    """A run is killed before each step that touches a file, then run again."""
    job = [[["com.acme.thing", "1.1.0", "new content"]]]
    last = 96
    stores = [directory_store(tmp_path / str(step)) for step in range(1, last + 1)]
    for step, each in enumerate(stores, start=1):
        (tmp_path / str(step)).mkdir()
        if step % 2:  # half of them into a repository that exists, half into none
            release, files = release_of(tmp_path / "in", content=b"old content")
            each.open().publish(release, files=files)
    answers = run_publishers(
        *(
            {"store": {"url": each.url}, "jobs": job, "kill_at": step}
            for step, each in enumerate(stores, 1)
        ),
        at_once=4,
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
        shown = shown_on_page(repository)
        assert shown is not None
        assert ("com.acme.thing", "1.1.0") in shown
    assert 0 < seen_before_rename < len(killed)
    # The same module by another writer is still a conflict: nothing was loosened by the repair.
    other, files = release_of(tmp_path / "in", content=b"other", version="1.1.0")
    with pytest.raises(VersionConflict):
        stores[0].open().publish(other, files=files)


def test_a_disk_that_gets_full_publishes_nothing(store: Folder) -> None:
    ((outcomes,), ((good,))) = run_publishers(
        {
            "store": {"url": store.url},
            "jobs": [[["com.acme.thing", "1.0.0", "x" * 300_000]]],
            "file_size_limit": 100_000,
        },
        {"store": {"url": store.url}, "jobs": [[["com.acme.thing", "1.0.0", "y"]]]},
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


def test_a_folder_without_write_access_is_rejected_and_unchanged(
    public_folder: Path, tmp_path: Path
) -> None:
    store = directory_store(public_folder)
    release, files = release_of(tmp_path / "in")
    store.open().publish(release, files=files)
    before = store.snapshot()
    # Root may write everywhere, so as root the writer becomes someone else.
    uid = {"uid": 65534} if os.geteuid() == 0 else {}
    folders = [path for path in (public_folder, *public_folder.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        ((outcomes,), (same,)) = run_publishers(
            *(
                {"store": {"url": store.url}, "jobs": [[["com.acme.thing", *what]]], **uid}
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


def test_two_hundred_concurrent_uploads_lose_nothing(store: Folder) -> None:
    jobs = [
        [
            [f"com.acme.m{(number + process) % 7}", f"1.{process}.{number}", f"{process}/{number}"]
            for number in range(25)
        ]
        for process in range(8)
    ]
    (answer,) = run_publishers({"store": {"url": store.url}, "jobs": jobs})
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
