"""What is read from the workspace: notes, trust anchors and CA files, each of them once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.workspace import Once, read_notes, read_trust
from tests.support.identities import pem_files, self_signed
from tests.support.runs import run_context


def test_notes_are_text_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_text("# Grüße\n", encoding="utf-8")
    assert read_notes(str(path)) == "# Grüße\n"
    for text in ("", "just text", "two\nlines", str(tmp_path), "x" * 5000, "n" * 300):
        assert read_notes(text) == text


def test_notes_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"NOTES\.md"):
        read_notes(str(path))
    path.write_text("x" * ((512 << 10) + 1))
    for notes in (str(path), "x\n" * (300 << 10)):
        with pytest.raises(ConfigurationError, match="more than"):
            read_notes(notes)


def test_trust_anchors_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match=name):
            read_trust([str(tmp_path / name)])


def test_a_ca_file_that_cannot_be_read_is_rejected(tmp_path: Path) -> None:
    context = run_context(repository_ca=str(tmp_path / "missing.pem"), repository_url="https://x/y")
    with context, pytest.raises(ConfigurationError, match=r"missing\.pem"):
        _ = context.repository


def test_what_a_build_changes_later_is_not_read_again(tmp_path: Path) -> None:
    notes, ca = tmp_path / "notes", tmp_path / "ca.pem"
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    anchor = tmp_path / "signing.cert.pem"
    notes.write_text("before")
    ca.write_text("before")
    with run_context(
        notes=str(notes), trust_anchor=(str(anchor),), repository_ca=str(ca)
    ) as context:
        workspace = context.workspace
        first = (workspace.notes, workspace.trust, workspace.ca_file(str(ca)))
        copy = first[2]
        assert copy is not None
        assert not copy.is_relative_to(tmp_path)
        for path in (notes, anchor, ca):
            path.write_text("after")
        assert (workspace.notes, workspace.trust, workspace.ca_file(str(ca))) == first
        assert (workspace.notes, copy.read_text()) == ("before", "before")
    assert not copy.exists()


def test_a_value_is_acquired_once_whichever_threads_ask() -> None:
    barrier = threading.Barrier(8)
    acquired: list[int] = []

    def acquire() -> int:
        acquired.append(1)
        return len(acquired)

    once = Once(acquire)

    def ask(_: int) -> int:
        barrier.wait()
        return once.get()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1}
    assert acquired == [1]


def test_a_failure_is_not_kept() -> None:
    answers = iter([ConfigurationError("not yet"), None])

    def acquire() -> str:
        problem = next(answers)
        if problem is not None:
            raise problem
        return "now"

    once = Once(acquire)
    with pytest.raises(ConfigurationError):
        once.get()
    assert once.get() == "now"
