"""Files that are being received."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError, VerificationError
from ign_deploy.repositories.partial_files import partial_file, remove_partial_files

SIZE = 4 << 20
DAY = 24 * 3600


def broken(path: Path, data: bytes, problem: Exception) -> None:
    def receive() -> None:
        with partial_file(path, size=SIZE) as stream:
            assert stream is not None
            stream.write(data)
            raise problem

    with pytest.raises(type(problem)):
        receive()


def test_what_was_received_stays_when_a_transfer_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "a"
    broken(path, b"x" * (2 << 20), NetworkError("broken"))
    with partial_file(path, size=SIZE) as stream:
        assert stream is not None
        assert len(stream.read()) == 2 << 20


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"x" * 1000, NetworkError("broken")), (b"x" * (2 << 20), VerificationError("wrong"))],
    ids=["too little", "wrong"],
)
def test_what_is_of_no_use_is_deleted(data: bytes, problem: Exception, tmp_path: Path) -> None:
    broken(tmp_path / "a", data, problem)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_file_can_have_is_not_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(11))
    with partial_file(tmp_path / "a", size=10) as stream:
        assert stream is not None
        assert stream.read() == b""


def test_a_file_that_another_run_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with partial_file(path, size=SIZE) as ours, partial_file(path, size=SIZE) as theirs:
        assert ours is not None
        assert theirs is None


def linked(path: Path) -> None:
    path.with_name("b").write_bytes(b"x")
    path.symlink_to(path.with_name("b"))


def hard_linked(path: Path) -> None:
    path.with_name("b").write_bytes(b"x")
    os.link(path.with_name("b"), path)


def shared(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0o666)


@pytest.mark.parametrize("place", [linked, hard_linked, shared, os.mkfifo, os.mkdir])
def test_what_others_may_write_is_not_continued(
    place: Callable[[Path], None], tmp_path: Path
) -> None:
    place(tmp_path / "a")
    with partial_file(tmp_path / "a", size=SIZE) as stream:
        assert stream is None


def test_only_old_leftovers_of_ours_are_removed(tmp_path: Path) -> None:
    names = {
        f".{'a' * 16}.partial": DAY + 1,
        f".{'b' * 16}.partial": DAY - 100,
        "c.partial": 2 * DAY,
    }
    for name, age in names.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_bytes(b"x")
        then = time.time() - age
        for path in (tmp_path / name / "a", tmp_path / name):
            os.utime(path, (then, then))
    remove_partial_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{'b' * 16}.partial", "c.partial"]
