"""What is read from the workspace: notes, trust anchors and CA files, each of them once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.pipeline.workspace import Once, read_notes, read_trust
from tests.support.identities import pem_files, self_signed
from tests.support.reporting import Recorder
from tests.support.runs import run_context


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_notes_are_text(here: Path) -> None:
    for text in ("", "just text", "two\nlines", "x" * 5000, "n" * 300, "N/A", "fix/alarms", "1.2"):
        assert read_notes(text) == text


def test_notes_never_name_a_file(here: Path) -> None:
    """What exists elsewhere is text; a word that is meant as a file is a mistake."""
    assert read_notes("/proc/self/environ") == "/proc/self/environ"
    (here / "NOTES.md").write_text("content")
    for word in (
        "NOTES.md",
        "missing.md",
        "./missing",
        "/missing/file",
        "../CHANGES.txt",
        "a.MD\n",
    ):
        with pytest.raises(ConfigurationError, match="looks like a file") as caught:
            read_notes(word)
        assert "--notes-file" in caught.value.hint
    assert read_notes("see NOTES.md") == "see NOTES.md"


def test_a_notes_file_is_read(here: Path) -> None:
    path = here / "docs" / "NOTES.md"
    path.parent.mkdir()
    path.write_text("# Grüße\n", encoding="utf-8")
    for name in ("docs/NOTES.md", "./docs/NOTES.md", str(path)):
        assert read_notes("", name) == "# Grüße\n"
    with pytest.raises(ConfigurationError, match="both --notes and --notes-file"):
        read_notes("text", "docs/NOTES.md")


def test_a_notes_file_is_a_regular_file_in_the_working_directory(here: Path) -> None:
    (here / "secret").write_text("test-secret")
    inside = here / "inside"
    inside.mkdir()
    (inside / "real.md").write_text("content")
    (inside / "link.md").symlink_to("real.md")
    (inside / "environ").symlink_to("/proc/self/environ")
    (here / "folder").symlink_to(inside)
    os.mkfifo(inside / "pipe")
    os.chdir(inside)
    for name in (
        "/proc/self/environ",
        "../secret",
        str(here / "secret"),
        "link.md",
        "environ",
        ".",
        "pipe",
        "missing.md",
        "../folder/real.md",
        "../inside/real.md",
        "real.md/x",
    ):
        with pytest.raises(ConfigurationError, match="cannot read the release notes") as caught:
            read_notes("", name)
        assert "test-secret" not in str(caught.value)
    os.chdir(here)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        read_notes("", "folder/real.md")
    assert read_notes("", "inside/real.md") == "content"


def test_notes_that_cannot_be_read_are_rejected(here: Path) -> None:
    (here / "NOTES.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_notes("", "NOTES.md")
    (here / "NOTES.md").write_text("x" * ((512 << 10) + 1))
    with pytest.raises(ConfigurationError, match="more than"):
        read_notes("", "NOTES.md")
    with pytest.raises(ConfigurationError, match="more than"):
        read_notes("x\n" * (300 << 10))


def test_trust_anchors_that_cannot_be_read_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigurationError, match=name):
            read_trust([str(tmp_path / name)])


def test_a_ca_file_that_cannot_be_read_is_rejected(tmp_path: Path) -> None:
    context = run_context(repository_ca=str(tmp_path / "missing.pem"), repository_url="https://x/y")
    with context, pytest.raises(ConfigurationError, match=r"missing\.pem"):
        _ = context.repository


def test_what_a_build_changes_later_is_not_read_again(here: Path) -> None:
    tmp_path = here
    notes, ca = tmp_path / "notes", tmp_path / "ca.pem"
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    anchor = tmp_path / "signing.cert.pem"
    notes.write_text("before")
    ca.write_text("before")
    with run_context(
        notes_file=str(notes), trust_anchor=(str(anchor),), repository_ca=str(ca)
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


def test_ssl_cert_file_is_the_ca_of_whatever_has_none_and_read_once(tmp_path: Path) -> None:
    default, own = tmp_path / "default.pem", tmp_path / "own.pem"
    default.write_text("default")
    own.write_text("own")
    env = {"SSL_CERT_FILE": str(default)}
    with run_context(env, repository_ca=str(own)) as context:
        workspace = context.workspace
        found = workspace.ca_file("")
        assert found is not None
        default.write_text("changed by a build")
        assert workspace.ca_file("") == found
        assert found.read_text() == "default"
        chosen = workspace.ca_file(str(own))
        assert chosen is not None
        assert chosen.read_text() == "own"
    with run_context({}) as context:
        assert context.workspace.ca_file("") is None


def test_an_ssl_cert_file_that_is_not_here_is_ignored_with_one_warning() -> None:
    """A container sees what earlier steps set, but not the runner's files."""
    recorder = Recorder()
    with run_context({"SSL_CERT_FILE": "/not/here.pem"}, reporter=recorder) as context:
        assert context.workspace.ca_file("") is None
        assert context.workspace.ca_file("") is None
    (warning,) = recorder.warnings
    assert warning.startswith("SSL_CERT_FILE is ignored: ")
    assert "/not/here.pem" in warning


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
