"""The ledger: how often it reads what it derives, and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from ign_deploy.repositories.backends.pending_writes import PendingGuard
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.ledger import Ledger
from ign_deploy.repositories.store import Document
from tests.support.reporting import Recorder

PATH = "ledger/deployment-indexes/production.json"


@dataclass
class Documents:
    """Documents in memory, compared when they are written; what is asked for is noted."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def read(self, path: str) -> Document | None:
        self.asked.append("read")
        return Document(self.files[path]) if path in self.files else None

    def write(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        self.asked.append("write")
        if self.files.get(path) != (None if replaces is None else replaces.data):
            return False
        self.files[path] = data
        return True

    def add(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def names(self, folder: str) -> list[str]:
        return [path.rpartition("/")[2] for path in self.files if path.startswith(f"{folder}/")]

    def now(self) -> datetime:
        return datetime(2026, 1, 31, tzinfo=UTC)

    def put_pending(self, name: str, data: bytes) -> None:
        self.asked.append("note")
        self.files[f"pending/{name}"] = data

    def pending_names(self) -> list[str]:
        self.asked.append("look")
        return self.names("pending")

    def remove_pending(self, name: str) -> None:
        self.asked.append("remove")
        del self.files[f"pending/{name}"]


@pytest.fixture
def documents() -> Documents:
    return Documents({PATH: b"1"})


def _guarded(documents: Documents) -> Ledger:
    return Ledger(documents, PendingGuard(documents, Recorder()), lists_cheaply=False)


def _comparing(documents: Documents) -> Ledger:
    return Ledger(documents, NoGuard(), lists_cheaply=False, sleep=lambda _: None)


def append(stored: bytes | None, *, is_complete: bool) -> bytes:
    assert is_complete
    return (stored or b"") + b"+"


def test_where_the_store_compares_what_was_read_is_not_read_again(documents: Documents) -> None:
    ledger = _comparing(documents)
    ledger.read_derived(PATH)
    ledger.update(PATH, key="production", change=append)
    ledger.update(PATH, key="production", change=append)
    assert documents.asked == ["read", "write", "write"]
    assert documents.files[PATH] == b"1++"


def test_where_the_store_compares_another_runs_write_is_noticed(documents: Documents) -> None:
    ledger = _comparing(documents)
    ledger.read_derived(PATH)
    documents.files[PATH] = b"2"
    ledger.update(PATH, key="production", change=append)
    assert documents.files[PATH] == b"2+"
    documents.files[PATH] = b"3"
    seen: list[bytes | None] = []

    def keep(stored: bytes | None, *, is_complete: bool) -> bytes:
        seen.append(stored)
        return stored or b""

    ledger.update(PATH, key="production", change=keep)
    assert seen[-1] == b"3"


def test_elsewhere_it_is_read_after_the_note(documents: Documents) -> None:
    ledger = _guarded(documents)
    ledger.read_derived(PATH)
    documents.files[PATH] = b"2"
    documents.asked.clear()
    ledger.update(PATH, key="production", change=append)
    assert documents.asked == ["note", "read", "write", "look", "remove"]
    assert documents.files == {PATH: b"2+"}


def test_in_a_session_it_is_read_once(documents: Documents) -> None:
    ledger = _guarded(documents)
    with ledger.session(PATH, key="production"):
        ledger.read_derived(PATH)
        ledger.read_derived(PATH)
        ledger.update(PATH, key="production", change=append)
    assert documents.asked == ["note", "read", "write", "look", "remove"]


def test_what_fails_before_it_writes_leaves_no_note(documents: Documents) -> None:
    ledger = _guarded(documents)
    with pytest.raises(ValueError, match="refused"), ledger.session(PATH, key="production"):
        raise ValueError("refused")
    assert documents.files == {PATH: b"1"}


def test_what_fails_when_it_may_have_written_leaves_its_note(documents: Documents) -> None:
    ledger = _guarded(documents)

    def lose() -> None:
        ledger.update(PATH, key="production", change=append)
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"), ledger.session(PATH, key="production"):
        lose()
    assert any(path.startswith("pending/") for path in documents.files)
