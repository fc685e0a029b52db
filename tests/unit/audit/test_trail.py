from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from ign_deploy.audit.entry import AuditEntry, read_line
from ign_deploy.audit.trail import append_entry
from ign_deploy.audit.verify import verify_trail
from ign_deploy.errors import ConfigurationError
from tests.support.trails import NOON, add, as_is, entry, start_writer, trail


def rejected(path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as failure:
        add(path)
    return failure.value


def test_a_line_says_who_did_what_and_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.jsonl"
    first, second = add(path, 1), add(path, 2, reason="because")
    lines = path.read_bytes().splitlines(keepends=True)
    documents = [json.loads(line) for line in lines]
    assert documents[0]["previous"] == "0" * 64
    assert documents[1]["previous"] == hashlib.sha256(lines[0]).hexdigest() == first.head
    assert hashlib.sha256(lines[1]).hexdigest() == second.head
    assert (first.seq, second.seq) == (1, 2)
    own = documents[1].pop("hash")
    canonical = json.dumps(documents[1], sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(canonical).hexdigest() == own
    assert documents[1] == {
        "seq": 2,
        "time": "2026-01-31T12:00:00.000000Z",
        "actor": "octocat",
        "host": "runner-1",
        "action": "install",
        "result": "deployed",
        "subject": {
            "module": "com.example.pump",
            "version": "1.0.2",
            "environment": "production",
            "gateway": "https://gw1:8043",
        },
        "digests": {"sha256": "ab" * 32},
        "details": {"reason": "because"},
        "previous": first.head,
    }


def test_times_are_utc(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    local = datetime(2026, 1, 31, 12, 0, tzinfo=timezone(timedelta(hours=5)))
    append_entry(path, entry(), time=local, redact=as_is)
    assert json.loads(path.read_bytes())["time"] == "2026-01-31T07:00:00.000000Z"


def test_no_secret_gets_into_the_trail(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    secret = AuditEntry(
        "s3cret", "s3cret", "s3cret", "s3cret", digests={"s3cret": "s3cret"},
        details={"s3cret": "s3cret"},
    )  # fmt: skip
    append_entry(path, secret, time=NOON, redact=lambda text: text.replace("s3cret", "***"))
    assert b"s3cret" not in path.read_bytes()
    assert path.read_bytes().count(b"***") == 8


def test_hostile_and_huge_texts_stay_one_readable_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    hostile = "\n\r\0\u2028\ud800\u202e::error::" + "😀" * 100_000
    details = {f"{hostile[:20]}{number}": hostile for number in range(100)}
    append_entry(
        path,
        AuditEntry(hostile, hostile, hostile, hostile, digests=details, details=details),
        time=NOON,
        redact=as_is,
    )
    add(path)
    data = path.read_bytes()
    assert data.count(b"\n") == 2
    assert data.isascii()
    assert verify_trail(path).is_intact


def test_entries_of_several_processes_and_threads_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [start_writer(path, count=40, name=f"w{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(lambda number: add(path, number, writer="thread").head, range(40)))
    assert [writer.wait(120) for writer in writers] == [0] * 4
    report = verify_trail(path)
    assert (report.findings, report.count) == ((), 200)
    seen = Counter(json.loads(line)["details"]["writer"] for line in path.read_bytes().splitlines())
    assert seen == dict.fromkeys(("w0", "w1", "w2", "w3", "thread"), 40)
    assert len(set(heads)) == 40
    assert all(verify_trail(path, expect_head=head).since_anchor is not None for head in heads[:3])


def test_writers_killed_at_any_moment_leave_a_chain_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(1, 4):
        writers = [start_writer(path, count=100_000, name=name) for name in ("a", "b")]
        until(partial(has_grown, path, number * 20_000))
        for writer in writers:
            writer.kill()
            writer.wait(60)
        add(path, number)
        assert verify_trail(path).findings == ()


def has_grown(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size > size


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("kept", [1, 9, 40, -1])
def test_a_line_torn_by_a_kill_is_kept_and_the_chain_continues(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path, length=3)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:kept])
    assert [each.code for each in verify_trail(path).findings] == ["audit-torn"]
    assert verify_trail(path).is_intact
    assert add(path, 9).seq == 4
    report = verify_trail(path)
    assert (report.findings, report.count) == ((), 4)
    [aside] = tmp_path.glob("audit.jsonl.torn-*")
    assert aside.read_bytes() == lines[2][:kept]
    recovered = json.loads(path.read_bytes().splitlines()[2])
    assert recovered["action"] == "audit.recovered"
    assert recovered["details"] == {
        "file": aside.name,
        "bytes": str(len(lines[2][:kept])),
    }
    assert recovered["digests"]["sha256"] == hashlib.sha256(lines[2][:kept]).hexdigest()


def test_a_torn_first_line_begins_the_chain_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    [line] = trail(path, length=1)
    path.write_bytes(line[:30])
    assert add(path).seq == 2
    assert verify_trail(path).findings == ()


def test_zero_bytes_left_by_a_power_cut_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path, length=2)
    with path.open("ab") as stream:
        stream.write(b"\0" * 4096)
    add(path)
    assert verify_trail(path).findings == ()


@pytest.mark.parametrize(
    "content",
    [b"hello", b"hello\n", b'{"seq":1}\n', b"\x89PNG\r\n\x1a\n\0\0", b"x" * 3_000_000, b"[]\n"],
)
def test_a_file_that_is_not_a_trail_is_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(content)
    assert "not a valid audit entry" in rejected(path).message
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "audit.jsonl", tmp_path / "victim"
    path.symlink_to(victim)
    assert "symbolic link" in rejected(path).message
    assert not victim.exists()
    victim.write_bytes(b"")
    assert "symbolic link" in rejected(path).message
    assert victim.read_bytes() == b""
    with pytest.raises(ConfigurationError, match="symbolic link"):
        verify_trail(path)


def test_what_is_not_a_regular_file_is_rejected_without_waiting(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        assert str(path) in rejected(path).message
        with pytest.raises(ConfigurationError):
            verify_trail(path)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "folder of the audit trail" in rejected(tmp_path / "file" / "audit.jsonl").message


def test_a_writer_that_hangs_is_not_waited_for_endlessly(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path, length=1)
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="still locked by another process"):
            append_entry(path, entry(), time=NOON, redact=as_is, timeout=0.05)
    assert verify_trail(path).count == 1


def test_a_full_disk_leaves_the_chain_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    before = b"".join(trail(path, length=2))
    real = os.write

    def short(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:20])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        assert "disk is full" in rejected(path).message
    assert path.read_bytes() == before

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        assert "Input/output error" in rejected(path).message
    assert path.read_bytes() == before


def test_a_trail_that_was_moved_away_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    add(path)
    path.rename(tmp_path / "audit.1.jsonl")
    assert add(path).seq == 1
    assert verify_trail(tmp_path / "audit.1.jsonl").count == 1


def test_the_clock_of_the_machine_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for year in (2030, 2000):
        append_entry(path, entry(), time=datetime(year, 1, 1, tzinfo=UTC), redact=as_is)
    assert verify_trail(path).findings == ()


def test_a_line_that_is_too_long_is_none() -> None:
    assert read_line(b"{" * 60_000 + b"\n") is None
    assert read_line(b"1" * (1 << 20) + b"\n") is None
