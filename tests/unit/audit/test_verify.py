from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from ign_deploy.audit.entry import make_line, read_line
from ign_deploy.audit.verify import verify_trail
from ign_deploy.errors import ConfigurationError
from tests.support.trails import NOON, add, as_is, entry, trail


def codes(path: Path) -> list[tuple[str, str]]:
    return [(each.code, each.location) for each in verify_trail(path).findings]


def test_an_intact_trail_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path, length=5)
    last = add(path, 6)
    report = verify_trail(path)
    assert report.is_intact
    assert report.findings == ()
    assert report.count == 6
    assert report.head == last.head
    assert report.first is not None
    assert report.last is not None
    assert (report.first.seq, report.last.seq) == (1, 6)
    assert report.first.time == "2026-01-31T12:00:00.000000Z"
    assert report.since_anchor is None


def test_an_empty_trail_is_intact(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"")
    report = verify_trail(path)
    assert (report.is_intact, report.count, report.head, report.first) == (True, 0, "", None)


def test_a_changed_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    lines[2] = lines[2].replace(b"octocat", b"nobody!")
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-changed", "line 3")]


def test_a_changed_line_with_a_new_hash_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    before = read_line(lines[2])
    assert before is not None
    lines[2] = make_line(entry(99), seq=3, previous=before.previous, time=NOON, redact=as_is)
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-changed", "line 4")]


def test_other_bytes_of_the_same_content_are_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    lines[2] = json.dumps(json.loads(lines[2])).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-unreadable", "line 3")]


@pytest.mark.parametrize("index", range(5))
def test_a_removed_line_is_found(tmp_path: Path, index: int) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    del lines[index]
    path.write_bytes(b"".join(lines))
    [finding] = verify_trail(path).findings
    assert finding.code == "audit-removed"
    assert f"entry {index + 1} was removed" in finding.message


@pytest.mark.parametrize("index", range(1, 7))
def test_an_inserted_line_is_found(tmp_path: Path, index: int) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    lines.insert(index, lines[0])
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-inserted", f"line {index + 1}")]


@pytest.mark.parametrize(
    "junk", [b"junk\n", b"\n", b"\xff\xfe\n", b"{}\n", b"x" * (3 << 20) + b"\n"]
)
@pytest.mark.parametrize("index", range(7))
def test_junk_between_lines_is_one_finding(tmp_path: Path, index: int, junk: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    lines.insert(index, junk)
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-unreadable", f"line {index + 1}")]
    assert verify_trail(path).count == 6


@pytest.mark.parametrize("index", range(5))
def test_lines_that_changed_places_are_found(tmp_path: Path, index: int) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    lines[index], lines[index + 1] = lines[index + 1], lines[index]
    path.write_bytes(b"".join(lines))
    assert codes(path) == [("audit-reordered", f"line {index + 2}")]


def test_several_changes_are_all_found_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path, length=12)
    lines[1] = lines[1].replace(b"octocat", b"nobody!")
    lines[9] = lines[9].replace(b"deployed", b"rejected")
    del lines[5]
    path.write_bytes(b"".join(lines))
    assert codes(path) == [
        ("audit-changed", "line 2"),
        ("audit-removed", "line 6"),
        ("audit-changed", "line 9"),
    ]


def test_lines_cut_off_at_the_end_show_against_an_anchor_only(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    lines = trail(path)
    head = verify_trail(path).head
    path.write_bytes(b"".join(lines[:4]))
    assert verify_trail(path).is_intact
    [by_head] = verify_trail(path, expect_head=head).findings
    assert by_head.code == "audit-anchor"
    [by_count] = verify_trail(path, expect_count=6).findings
    assert by_count.code == "audit-truncated"
    assert "there are 4 entries, but at least 6" in by_count.message


def test_an_anchor_stays_good_while_the_trail_grows(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    head = add(path).head
    assert verify_trail(path, expect_head=head, expect_count=1).since_anchor == 0
    add(path)
    add(path)
    report = verify_trail(path, expect_head=head, expect_count=1)
    assert (report.since_anchor, report.findings) == (2, ())


def test_a_trail_that_was_wholly_rewritten_shows_against_an_anchor_only(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path)
    head = verify_trail(path).head
    path.unlink()
    for number in range(6):
        add(path, number, by="another person")
    assert verify_trail(path).is_intact
    assert [each.code for each in verify_trail(path, expect_head=head).findings] == ["audit-anchor"]


@pytest.mark.parametrize("head", ["x", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_an_anchor_that_is_not_a_hash_is_rejected(tmp_path: Path, head: str) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path, length=1)
    with pytest.raises(ConfigurationError, match="not a SHA-256"):
        verify_trail(path, expect_head=head)


def test_a_missing_trail_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        verify_trail(tmp_path / "audit.jsonl")


def test_a_line_of_a_gigabyte_is_one_finding_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)  # sparse: takes no room on the disk
        stream.seek(0, 2)
        stream.write(b"\n")
    add_line = make_line(entry(), seq=1, previous="0" * 64, time=NOON, redact=as_is)
    with path.open("ab") as stream:
        stream.write(add_line)
    tracemalloc.start()
    try:
        report = verify_trail(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(each.code, each.location) for each in report.findings] == [
        ("audit-unreadable", "line 1")
    ]
    assert report.count == 1
    assert peak < 8 << 20


def test_memory_does_not_grow_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"junk\n" * 20_000)
    tracemalloc.start()
    try:
        report = verify_trail(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(report.findings) == 101
    assert "19900 more findings" in report.findings[-1].message
    assert peak < 4 << 20


def test_a_number_far_ahead_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail(path, length=1)
    with path.open("ab") as stream:
        stream.write(make_line(entry(), seq=10**15, previous="0" * 64, time=NOON, redact=as_is))
    [finding] = verify_trail(path).findings
    assert finding.code == "audit-removed"
    assert "entries 2 to 999999999999999" in finding.message
