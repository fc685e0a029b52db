"""The command audit: what is known of the trail, and its entries for people and programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace
from tests.support.trails import add, trail


@pytest.fixture
def workspace(tmp_path: Path) -> CliWorkspace:
    """A working folder with a trail of three entries."""
    trail(tmp_path / "audit.jsonl", length=3)
    return CliWorkspace(tmp_path)


def test_an_emptied_trail_is_not_called_intact(workspace: CliWorkspace) -> None:
    (workspace.folder / "audit.jsonl").write_bytes(b"")
    shown = workspace.call("audit", "verify", "audit.jsonl").must(0).stdout
    assert shown.splitlines()[0] == (
        "⚠ EMPTY: whether entries were removed was not checked (give --expect-head)"
    )
    document = workspace.call("audit", "verify", "audit.jsonl", "--json").must(0).document
    assert (document["entries"], document["end_checked"]) == (0, False)
    assert document["verdict"].startswith("⚠ EMPTY")
    head = ("--expect-head", "ab" * 32)
    workspace.call("audit", "verify", "audit.jsonl", *head).must(5)


def test_a_cut_off_end_is_noticed_only_with_the_head_and_that_is_said(
    workspace: CliWorkspace,
) -> None:
    path = workspace.folder / "audit.jsonl"
    head = add(path, 4).head
    arguments = ("audit", "verify", "audit.jsonl")
    expected = ("--expect-head", head)
    whole = workspace.call(*arguments, *expected).must(0).stdout
    assert whole.startswith("✓ intact: 4 entries, with the expected end\n")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    unnoticed = workspace.call(*arguments).must(0).stdout
    assert unnoticed.startswith(
        "✓ 2 entries, none changed; a cut-off end was not checked (give --expect-head)\n"
    )
    noticed = workspace.call(*arguments, *expected).must(5)
    assert noticed.stdout.startswith("✗ NOT INTACT: 2 entries\n")


def test_a_count_does_not_check_the_end(workspace: CliWorkspace) -> None:
    shown = workspace.call("audit", "verify", "audit.jsonl", "--expect-count", "2").must(0).stdout
    assert shown.startswith("✓ 3 entries, none changed; a cut-off end was not checked")


def test_entries_after_the_expected_head_are_counted(workspace: CliWorkspace) -> None:
    path = workspace.folder / "audit.jsonl"
    head = add(path, 4).head
    add(path, 5)
    shown = workspace.call("audit", "verify", "audit.jsonl", "--expect-head", head).must(0).stdout
    assert shown.startswith("✓ intact: 5 entries, 1 of them after the expected head\n")


@pytest.mark.parametrize("data", [b"PK\x03\x04 another file", b"\xff" * 100, b"no entry"])
def test_another_file_is_neither_empty_nor_unfinished(workspace: CliWorkspace, data: bytes) -> None:
    (workspace.folder / "other").write_bytes(data)
    result = workspace.call("audit", "verify", "other").must(5)
    assert result.stdout.startswith("✗ NOT INTACT: 0 entries\n")
    assert "do nothing" not in result.stderr


def test_show_lists_the_entries(workspace: CliWorkspace) -> None:
    shown = workspace.call("audit", "show", "audit.jsonl").must(0).stdout.splitlines()
    assert shown[0].startswith("✓ 3 entries")
    rows = [line.split() for line in shown if "octocat" in line]
    assert rows[2] == [
        *("3", "2026-01-31", "12:00:00", "UTC", "octocat", "install", "deployed"),
        *("com.example.pump", "1.0.3", "production", "https://gw1:8043"),
    ]
    assert len(rows) == 3
    document = workspace.call("audit", "show", "audit.jsonl", "--json").must(0).document
    assert [line["seq"] for line in document["lines"]] == [1, 2, 3]
    assert document["lines"][0]["subject"]["module"] == "com.example.pump"
    verified = workspace.call("audit", "verify", "audit.jsonl", "--json").must(0).document
    assert "lines" not in verified


def test_show_marks_what_can_not_be_trusted(workspace: CliWorkspace) -> None:
    path = workspace.folder / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    forged = lines[1].replace(b"octocat", b"\\u001b[2Jme")
    path.write_bytes(lines[0] + forged + b"junk\n" + lines[2])
    result = workspace.call("audit", "show", "audit.jsonl").must(5)
    assert result.stdout.startswith("✗ NOT INTACT: 3 entries\n")
    assert "2 (changed)" in result.stdout
    assert "line 3: not a valid entry" in result.stdout
    assert "\x1b" not in result.stdout
    document = workspace.call("audit", "show", "audit.jsonl", "--json").must(5).document
    assert [line["is_valid"] for line in document["lines"]] == [True, False, False, True]


def test_show_keeps_the_newest_entries(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ign_deploy.cli.audit._MOST_SHOWN", 2)
    document = workspace.call("audit", "show", "audit.jsonl", "--json").must(0).document
    assert [line["seq"] for line in document["lines"]] == [2, 3]
    assert document["entries"] == 3
