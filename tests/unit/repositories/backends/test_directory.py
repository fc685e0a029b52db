from __future__ import annotations

import io
import json
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError
from ign_deploy.files import locked, try_lock
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import Publication, PublishOutcome
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.directory.documents import DirectoryDocuments
from ign_deploy.repositories.backends.directory.publisher import LEFTOVER_AGE
from tests.support.releases import release_of, tree
from tests.support.reporting import Recorder

DAY_AGO = LEFTOVER_AGE + 60


class World:
    """A directory repository, with what it said."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repository"
        self.inbox = folder / "in"
        self.reporter = Recorder()
        self.repository = open_repository(str(self.root), reporter=self.reporter)

    def publish(
        self, content: bytes = b"module", *, module_id: str = "com.acme.thing",
        version: str = "1.0.0", **fields: object,
    ) -> Publication:  # fmt: skip
        release, files = release_of(
            self.inbox, content=content, module_id=module_id, version=version, **fields
        )
        return self.repository.publish(release, files=files)

    def folder(self, version: str = "1.0.0", module_id: str = "com.acme.thing") -> Path:
        return self.root / "modules" / module_id / version

    def versions(self) -> list[str]:
        return [entry.version for entry in self.repository.catalogue("com.acme.thing")]

    def index(self) -> Path:
        return self.root / "modules" / "com.acme.thing" / "index.json"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def age(path: Path, seconds: float = DAY_AGO) -> None:
    moment = time.time() - seconds
    for each in (*path.rglob("*"), path):
        os.utime(each, (moment, moment), follow_symlinks=False)


@pytest.mark.parametrize(
    ("umask", "folders", "files"),
    [(0o022, 0o755, 0o644), (0o002, 0o775, 0o664), (0o077, 0o700, 0o600)],
)
def test_the_umask_decides_who_may_read_and_write_what_is_published(
    world: World, umask: int, folders: int, files: int
) -> None:
    before = os.umask(umask)
    try:
        publication = world.publish()
    finally:
        os.umask(before)
    assert publication.location == str(world.folder())
    published = [world.folder(), *world.folder().iterdir(), world.index(), world.root]
    published += [world.root / "modules", world.root / "index.json", world.folder().parent]
    modes = {path.stat().st_mode & 0o777 for path in published if path.is_dir()}
    assert modes == {folders}
    assert {path.stat().st_mode & 0o777 for path in published if path.is_file()} == {files}
    assert list((world.root / ".staging").iterdir()) == []


def as_user(uid: int, gid: int, action: Callable[[], object]) -> None:
    """Do something in a child process as another user, with the umask of a shared folder."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            os.umask(0o002)
            action()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_accounts_of_one_group_share_a_repository() -> None:
    group, first, second = 54321, 54001, 54002
    with tempfile.TemporaryDirectory() as name:  # pytest's folders are closed to other users
        Path(name).chmod(0o755)
        world = World(Path(name))
        world.publish(version="0.9.0")  # loads what is needed, before the user changes
        for path in (world.root, *world.root.rglob("*")):
            os.chown(path, first, group)
            path.chmod(0o2775 if path.is_dir() else 0o664)
        for path in (world.inbox, *world.inbox.rglob("*")):
            path.chmod(0o777)
        as_user(first, group, lambda: world.publish(version="1.0.0"))
        as_user(second, group, lambda: world.publish(version="1.1.0"))
        as_user(second, group, world.repository.maintenance.reindex)
        as_user(first, group, lambda: world.publish(version="1.2.0"))
        assert world.versions() == ["1.2.0", "1.1.0", "1.0.0", "0.9.0"]
        assert {path.stat().st_gid for path in world.root.rglob("*")} == {group}
        assert all(path.stat().st_mode & 0o2070 == 0o2070 for path in world.root.rglob("*/"))


@pytest.mark.parametrize("content", [None, "file"])
def test_a_repository_that_is_a_file_or_has_no_parent_is_rejected(
    content: str | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "x").write_text(content)
    root = tmp_path / "x" / "repository" if content is None else tmp_path / "x"
    repository = open_repository(str(root), reporter=SilentReporter())
    release, files = release_of(tmp_path / "in")
    with pytest.raises(RepositoryError, match=r"cannot use the repository .*: N") as caught:
        repository.check()
    assert "--repository-url" in caught.value.hint
    with pytest.raises(RepositoryError, match=r": No such file|: Not a directory|not a folder"):
        repository.publish(release, files=files)
    with pytest.raises(RepositoryError):
        repository.catalogue()


def test_reading_a_repository_that_is_not_there_says_so(world: World) -> None:
    with pytest.raises(RepositoryError, match="there is no repository at"):
        world.repository.catalogue()
    with pytest.raises(RepositoryError, match="there is no repository at"):
        world.repository.fetch("com.acme.thing", version="1.0.0")


def test_an_obstacle_to_writing_is_stated_by_the_check(world: World) -> None:
    # /proc refuses new folders to everybody, root too.
    found = open_repository("/proc", reporter=SilentReporter()).check()
    assert not found.writable
    assert found.obstacle.startswith("cannot write to /proc: ")


def test_an_empty_version_folder_is_replaced(world: World) -> None:
    world.folder().mkdir(parents=True)
    assert world.versions() == []
    assert world.publish().outcome is PublishOutcome.PUBLISHED
    assert world.versions() == ["1.0.0"]


def test_a_folder_without_a_record_is_not_counted_and_blocks_for_a_day(world: World) -> None:
    world.publish(version="0.9.0")
    world.folder().mkdir()
    (world.folder() / "part.modl").write_bytes(b"half")
    assert world.versions() == ["0.9.0"]
    with pytest.raises(NotInRepository):
        world.repository.fetch("com.acme.thing", version="1.0.0")
    before = tree(world.root)
    with pytest.raises(RepositoryError, match=r"no release\.json: another tool") as caught:
        world.publish()
    assert "remove the folder" in caught.value.hint
    assert {k: v for k, v in tree(world.root).items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }
    age(world.folder())
    assert world.publish().outcome is PublishOutcome.PUBLISHED
    assert world.versions() == ["1.0.0", "0.9.0"]
    (aside,) = (world.root / ".set-aside").iterdir()
    assert (aside / "part.modl").read_bytes() == b"half"
    assert "was moved to" in world.reporter.warnings[0]


def test_a_corrupt_record_is_rejected_in_its_folder_and_skipped_elsewhere(world: World) -> None:
    world.publish(version="0.9.0")
    world.publish()
    (world.folder() / "release.json").write_text("{}")
    world.index().unlink()
    with pytest.raises(RepositoryError, match="not a valid release record"):
        world.repository.fetch("com.acme.thing", version="1.0.0")
    with pytest.raises(RepositoryError, match="not a valid release record"):
        world.publish()
    assert world.versions() == ["0.9.0"]
    assert "1.0.0 is skipped" in world.reporter.warnings[-1]
    assert world.publish(version="1.1.0").outcome is PublishOutcome.PUBLISHED


def test_a_record_in_another_versions_folder_is_rejected(world: World) -> None:
    world.publish()
    world.folder().rename(world.folder("2.0.0"))
    with pytest.raises(RepositoryError, match=r"is that of com\.acme\.thing 1\.0\.0"):
        world.repository.fetch("com.acme.thing", version="2.0.0")
    assert world.versions() == []


def test_a_name_that_differs_only_in_case_is_rejected(world: World) -> None:
    world.publish()
    with pytest.raises(RepositoryError, match="only in letter case"):
        world.publish(module_id="com.Acme.thing")
    world.publish(version="1.0.0-rc1")
    with pytest.raises(RepositoryError, match="only in letter case"):
        world.publish(version="1.0.0-RC1")


@pytest.mark.parametrize("level", ["module", "version", "record", "file"])
def test_a_symbolic_link_is_never_followed(level: str, world: World, tmp_path: Path) -> None:
    world.publish()
    path = {
        "module": world.folder().parent,
        "version": world.folder(),
        "record": world.folder() / "release.json",
        "file": world.folder() / "com.acme.thing-1.0.0.modl",
    }[level]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RepositoryError):
        world.repository.fetch("com.acme.thing", version="1.0.0", to=io.BytesIO())
    if level != "file":
        with pytest.raises(RepositoryError):
            world.publish(b"other")
    world.repository.catalogue()  # doesn't fail for the others


def test_a_pipe_in_the_place_of_a_file_does_not_hang(world: World) -> None:
    world.publish()
    path = world.folder() / "com.acme.thing-1.0.0.modl"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RepositoryError, match="not a regular file"):
        world.repository.fetch("com.acme.thing", version="1.0.0", to=io.BytesIO())


def test_a_pipe_in_the_place_of_a_file_to_publish_does_not_hang(world: World) -> None:
    release, files = release_of(world.inbox, content=b"module", module_id="com.acme.thing")
    (path,) = files.values()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RepositoryError, match="not a regular file"):
        world.repository.publish(release, files=files)


@pytest.mark.parametrize("found", [b"", b"modulE", b"module and more", b"x" * 5_000_000])
def test_a_file_that_isnt_what_its_record_says_is_noticed(found: bytes, world: World) -> None:
    world.publish()
    (world.folder() / "com.acme.thing-1.0.0.modl").write_bytes(found)
    target = io.BytesIO()
    with pytest.raises(VerificationError) as caught:
        world.repository.fetch("com.acme.thing", version="1.0.0", to=target)
    assert [finding.code for finding in caught.value.findings] == ["digest-mismatch"]
    assert len(target.getvalue()) <= 2 << 20


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"files": 1}', b"null"])
def test_a_corrupt_index_is_ignored_and_made_again(content: bytes, world: World) -> None:
    world.publish()
    sound = world.index().read_bytes(), (world.root / "index.json").read_bytes()
    world.index().write_bytes(content)
    (world.root / "index.json").write_bytes(content)
    assert world.versions() == ["1.0.0"]
    assert world.repository.catalogue()[0].versions == 1
    assert world.publish().outcome is PublishOutcome.ALREADY_PUBLISHED
    assert (world.index().read_bytes(), (world.root / "index.json").read_bytes()) == sound


def test_an_index_that_disagrees_with_the_folders_loses(world: World) -> None:
    world.publish(version="1.1.0")
    world.publish(version="1.0.0")
    index = json.loads(world.index().read_bytes())
    ghost = {**index["files"][0], "version": "9.9.9"}
    world.index().write_text(json.dumps(index | {"files": [ghost], "latest": "9.9.9"}))
    assert world.versions() == ["1.1.0", "1.0.0"]
    root = json.loads((world.root / "index.json").read_bytes())
    root["modules"][0] |= {"count": 9, "latest": "9.9.9"}
    root["modules"].append({**root["modules"][0], "id": "com.ghost"})
    (world.root / "index.json").write_text(json.dumps(root))
    rows = world.repository.catalogue()
    assert [(row.id, row.version, row.versions) for row in rows] == [("com.acme.thing", "1.1.0", 2)]


def test_a_version_that_was_removed_by_hand_is_gone_from_the_index(world: World) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.publish(version=version, description=f"of {version}")
    for path in world.folder("1.2.0").iterdir():
        path.unlink()
    world.folder("1.2.0").rmdir()
    assert world.repository.catalogue()[0].description == "of 1.1.0"
    world.publish(version="1.0.1")
    index = json.loads(world.index().read_bytes())
    assert index["versions"] == ["1.0.0", "1.0.1", "1.1.0"]
    assert index["latest"] == "1.1.0"
    assert index["description"] == "of 1.1.0"


def test_publishing_reads_only_the_records_that_the_index_lacks(world: World) -> None:
    for version in ("1.0.0", "1.1.0"):
        world.publish(version=version)
    (world.folder("1.0.0") / "release.json").write_text("never read again")
    world.publish(version="1.2.0")
    assert world.reporter.warnings == []
    assert world.versions() == ["1.2.0", "1.1.0", "1.0.0"]


def test_an_index_that_cant_be_written_is_a_warning_and_the_publication_stands(
    world: World,
) -> None:
    world.publish()
    world.index().unlink()
    world.index().mkdir()
    assert world.publish(version="1.1.0").outcome is PublishOutcome.PUBLISHED
    assert "its index isn't up to date" in world.reporter.warnings[-1]
    assert world.versions() == ["1.1.0", "1.0.0"]
    world.index().rmdir()
    world.publish(version="1.1.0")
    assert json.loads(world.index().read_bytes())["versions"] == ["1.0.0", "1.1.0"]


def test_staging_folders_of_killed_runs_are_removed_after_a_day(world: World) -> None:
    world.publish()
    staging = world.root / ".staging"
    for name in ("old", "old-without-lock", "young", "alive"):
        (staging / name / "version").mkdir(parents=True)
        (staging / name / "version" / "part.modl").write_bytes(b"part")
        if name != "old-without-lock":
            (staging / name / "lock").touch()
        if name != "young":
            age(staging / name)
    with locked(staging / "alive" / "lock"):
        world.publish(version="1.1.0")
    assert sorted(path.name for path in staging.iterdir()) == ["alive", "young"]


def test_a_failed_publication_leaves_no_trace_but_the_folders(world: World) -> None:
    release, files = release_of(world.inbox)
    next(iter(files.values())).write_bytes(b"changed")
    with pytest.raises(RepositoryError):
        world.repository.publish(release, files=files)
    assert tree(world.root) == {".staging": None, "modules": None}


def test_threads_of_a_run_hold_the_lock_together_until_the_last_is_done(tmp_path: Path) -> None:
    documents = DirectoryDocuments(tmp_path)

    def is_free() -> bool:
        descriptor = os.open(tmp_path / ".lock", os.O_RDWR)
        try:
            return try_lock(descriptor)
        finally:
            os.close(descriptor)

    def add_to(path: str) -> None:
        for _ in range(20):
            while True:
                before = documents.read(path)
                data = b"x" if before is None else before.data + b"x"
                if documents.write(path, data, replaces=before):
                    break

    with documents.locked():
        map_parallel(add_to, ["a.json", "b.json", "a.json", "b.json"], workers=4)
        assert not is_free()
    assert is_free()
    for name in ("a.json", "b.json"):
        found = documents.read(name)
        assert found is not None
        assert found.data == b"x" * 40  # none replaced what another thread had written
