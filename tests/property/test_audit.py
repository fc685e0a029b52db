"""The audit trail: verification detects every change to a file, and never crashes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from ign_deploy.audit.entry import AuditEntry, Subject, line_digest, make_line, read_line
from ign_deploy.audit.trail import may_be_unfinished
from ign_deploy.audit.verify import AuditReport, verify_trail
from tests.support.trails import NOON, as_is

TEXTS = st.text(max_size=40) | st.characters(categories=["Cs", "Cc"])
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
ENTRIES = st.builds(
    AuditEntry,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    st.builds(Subject, TEXTS, TEXTS, TEXTS, TEXTS),
    MAPS,
    MAPS,
)


def lines_of(entries: list[AuditEntry]) -> list[bytes]:
    lines: list[bytes] = []
    previous = "0" * 64
    for seq, entry in enumerate(entries, 1):
        lines.append(make_line(entry, seq=seq, previous=previous, time=NOON, redact=as_is))
        previous = line_digest(lines[-1])
    return lines


def report_on(data: bytes, *, expect_head: str = "") -> AuditReport:
    with TemporaryDirectory() as folder:
        path = Path(folder, "audit.jsonl")
        path.write_bytes(data)
        return verify_trail(path, expect_head=expect_head)


@given(st.lists(ENTRIES, max_size=5))
def test_written_entries_are_read_back_as_an_intact_chain(entries: list[AuditEntry]) -> None:
    lines = lines_of(entries)
    report = report_on(b"".join(lines))
    assert report.findings == ()
    assert report.count == len(entries)
    for line in lines:
        assert line.isascii()
        assert line.count(b"\n") == 1


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_report(data: bytes) -> None:
    report = report_on(data)
    assert report.count == 0
    assert report.is_intact == (b"\n" not in data and may_be_unfinished(data))


@given(st.binary(max_size=500))
def test_any_bytes_are_an_entry_or_none(data: bytes) -> None:
    assert read_line(data) is None
    read_line(data + b"\n")


@given(st.lists(ENTRIES, min_size=2, max_size=5), st.data())
@settings(max_examples=200)
def test_every_changed_byte_is_detected(entries: list[AuditEntry], data: st.DataObject) -> None:
    whole = b"".join(lines_of(entries))
    head = line_digest(lines_of(entries)[-1])
    location = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[location]))
    changed = whole[:location] + bytes([byte]) + whole[location + 1 :]
    assert not report_on(changed, expect_head=head).is_intact


@given(st.lists(ENTRIES, min_size=2, max_size=5, unique_by=repr), st.data())
def test_every_other_order_or_selection_of_lines_is_detected(
    entries: list[AuditEntry], data: st.DataObject
) -> None:
    lines = lines_of(entries)
    head = line_digest(lines[-1])
    other = data.draw(
        st.lists(st.sampled_from(lines), max_size=7).filter(lambda chosen: chosen != lines)
    )
    assert not report_on(b"".join(other), expect_head=head).is_intact
