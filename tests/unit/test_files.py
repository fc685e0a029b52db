"""Files: atomic and private output, nothing but regular files opened, locks, clear errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.files import (
    atomic_output,
    explain_os_error,
    is_same_file,
    locked,
    open_regular,
    sync_folder,
    try_lock,
    write_atomically,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a" / "b" / "made"
    with atomic_output(path, durable=durable) as stream:
        stream.write(b"half ")
        stream.flush()
        assert not path.exists()
        assert all(name.startswith(".made.") for name in names(path.parent))
        stream.write(b"and half")
    assert path.read_bytes() == b"half and half"
    assert names(path.parent) == ["made"]


def test_what_was_there_stays_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_output(path) as stream:
        stream.writelines([b"new", None])  # type: ignore[list-item]  # fails half-way
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["made"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, BrokenPipeError])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, kind: type[BaseException]) -> None:
    with pytest.raises(kind), atomic_output(tmp_path / "made"):
        raise kind
    assert names(tmp_path) == []


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o644)
    before = os.umask(0)
    try:
        with atomic_output(path, mode=0o600) as stream:
            assert os.fstat(stream.fileno()).st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_without_a_mode_the_umask_decides(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "made", b"x")
        write_atomically(tmp_path / "exact", b"x", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == mode
    assert (tmp_path / "exact").stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "made").symlink_to("precious")
    write_atomically(tmp_path / "made", b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "made").is_symlink()


@pytest.mark.parametrize("location", ["file/made", "folder", f"{'n' * 250}"])
def test_a_location_that_cannot_be_written_is_named(tmp_path: Path, location: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    before = names(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        write_atomically(tmp_path / location, b"x")
    assert location in caught.value.message
    assert caught.value.hint
    assert names(tmp_path) == before


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="No space left on device"),
        open("/dev/full", "wb", buffering=0) as full,
        atomic_output(tmp_path / "made"),
    ):
        full.write(b"x")
    assert names(tmp_path) == []


def test_one_file_under_two_names_is_known(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    (tmp_path / "other").touch()
    assert is_same_file(tmp_path / "one", tmp_path / "two")
    assert is_same_file(tmp_path / "x" / ".." / "one", tmp_path / "one") is False
    assert not is_same_file(tmp_path / "one", tmp_path / "other")
    assert not is_same_file(tmp_path / "missing", tmp_path / "missing")


def test_a_folder_is_synced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sync_folder(tmp_path)
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")


def test_a_link_is_followed_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    link = tmp_path / "link"
    link.symlink_to("file")
    with pytest.raises(OSError) as caught:
        open_regular(link)
    assert caught.value.errno == errno.ELOOP
    with os.fdopen(open_regular(link, follow_links=True), "rb") as stream:
        assert stream.read() == b"content"


@pytest.mark.parametrize(("kind", "expected"), [("pipe", errno.EINVAL), ("folder", errno.EISDIR)])
def test_what_is_not_a_regular_file_is_not_opened_and_not_waited_for(
    tmp_path: Path, kind: str, expected: int
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="not a regular file") as caught:
        open_regular(tmp_path / kind)
    assert caught.value.errno == expected


def test_a_missing_file_is_distinguished(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


def test_a_lock_is_held_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), path.open() as other:
        assert not try_lock(other.fileno())
    with path.open() as other:
        assert try_lock(other.fileno())


def test_a_lock_that_stays_taken_is_given_up(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(TimeoutError) as caught,
        locked(tmp_path / "lock", timeout=0.05),
    ):
        pass
    assert caught.value.errno == errno.ETIMEDOUT


def test_a_lock_file_that_is_a_link_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(OSError), locked(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_an_error_of_the_system_is_explained_with_the_hint_for_its_number(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with (
        pytest.raises(RepositoryError) as caught,
        explain_os_error(
            "read", missing, error=RepositoryError, hint="else", hints={errno.ENOENT: "create it."}
        ),
    ):
        missing.read_bytes()
    assert caught.value.message == f"cannot read {missing}: No such file or directory"
    assert caught.value.hint == "create it."
    assert isinstance(caught.value.__cause__, FileNotFoundError)
