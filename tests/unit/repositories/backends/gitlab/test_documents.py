from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.gitlab.packages import DOCUMENTS, PackageLocation, Packages
from ign_deploy.repositories.store import Store
from tests.support.gitlab_packages import DEVELOPER, World, gitlab_world
from tests.support.reporting import Recorder
from tests.support.serving import Fault
from tests.support.stores import claims_of, store_below

MARKS = "ledger/status-events/com.acme.thing"


def documents(opened: World, reporter: SilentReporter | None = None) -> Store:
    return store_below(open_repository(opened.url, access=opened.access(), reporter=reporter))


def content(store: Store, path: str) -> bytes | None:
    document = store.documents.read(path)
    return None if document is None else document.data


def test_a_document_is_read_back(opened: World) -> None:
    store = documents(opened)
    assert content(store, "index.json") is None
    assert store.documents.write("index.json", b"one", replaces=None)
    assert store.documents.write("modules/com.acme.thing/index.json", b"two", replaces=None)
    assert content(store, "index.json") == b"one"
    assert content(store, "modules/com.acme.thing/index.json") == b"two"


def test_the_newest_copy_counts_and_older_ones_go(opened: World) -> None:
    store = documents(opened)
    for data in (b"one", b"two", b"three"):
        store.documents.write("index.json", data, replaces=store.documents.read("index.json"))
    assert content(store, "index.json") == b"three"
    assert opened.snapshot() == {(DOCUMENTS, "root", "index.json"): [b"three"]}


def test_a_write_that_was_overtaken_does_not_count(
    opened: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer copy came between our upload and our look."""
    store = documents(opened)
    upload = Packages.put

    def overtaken(
        self: Packages, location: PackageLocation, name: str, *rest: Any, **more: Any
    ) -> Response:
        sent = upload(self, location, name, *rest, **more)
        opened.server.registry.upload(opened.project, location, name, b"newer")
        return sent

    monkeypatch.setattr(Packages, "put", overtaken)
    assert not store.documents.write("index.json", b"ours", replaces=None)
    assert content(store, "index.json") == b"newer"


def test_a_developer_leaves_older_copies_and_says_so_once(tmp_path: Path) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        reported = Recorder()
        store = documents(opened, reported)
        for data in (b"one", b"two", b"three"):
            store.documents.write("index.json", data, replaces=store.documents.read("index.json"))
        assert content(store, "index.json") == b"three"
        assert len(opened.snapshot()[DOCUMENTS, "root", "index.json"]) == 3
        assert len(reported.infos) == 1
        assert len(opened.server.matching("DELETE ")) == 1


def test_names_are_those_directly_in_the_folder(opened: World) -> None:
    store = documents(opened)
    assert store.documents.names(MARKS) == []
    store.documents.add(f"{MARKS}/a.json", b"1")
    store.documents.add(f"{MARKS}/b ü.json", b"2")
    store.documents.add(f"{MARKS}2/c.json", b"3")
    store.documents.add(f"{MARKS}/below/d.json", b"4")
    for untrusted in ("+zz", "+2E+2E", "+2E", "a+2Fb", "a+0Ab"):
        location = (DOCUMENTS, "ledger+2Fmarks+2Fcom.acme.thing")
        opened.server.registry.upload(opened.project, location, untrusted, b"foreign")
    assert store.documents.names(MARKS) == ["a.json", "b ü.json"]
    assert content(store, f"{MARKS}/b ü.json") == b"2"


def test_a_mark_whose_acknowledgement_got_lost_is_there_once(opened: World) -> None:
    store = documents(opened)
    opened.server.faults.append(Fault(r"PUT .*a\.json", "lost"))
    store.documents.add(f"{MARKS}/a.json", b"1")
    assert list(opened.snapshot().values()) == [[b"1"]]


def test_where_duplicates_are_rejected_the_same_mark_again_is_not_an_error(opened: World) -> None:
    opened.project.duplicates = False
    store = documents(opened)
    store.documents.add(f"{MARKS}/a.json", b"1")
    store.documents.add(f"{MARKS}/a.json", b"1")
    with pytest.raises(RepositoryError, match="Duplicate package"):
        store.documents.add(f"{MARKS}/a.json", b"2")


def test_where_duplicates_are_rejected_a_document_is_replaced(opened: World) -> None:
    opened.project.duplicates = False
    store = documents(opened)
    store.documents.write("index.json", b"one", replaces=None)
    store.documents.write("index.json", b"two", replaces=None)
    assert opened.snapshot() == {(DOCUMENTS, "root", "index.json"): [b"two"]}


def test_an_exception_for_the_documents_is_enough_for_developers(tmp_path: Path) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        opened.project.duplicates = False
        opened.project.duplicate_exceptions = DOCUMENTS
        store = documents(opened)
        store.documents.write("index.json", b"one", replaces=None)
        store.documents.write("index.json", b"two", replaces=None)
        assert content(store, "index.json") == b"two"


def test_the_stores_time_is_that_of_its_last_response(tmp_path: Path) -> None:
    then = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with gitlab_world() as opened:
        opened.server.date = then.timestamp()
        store = documents(opened)
        assert claims_of(store).now() > then + timedelta(days=1)
        store.documents.read("index.json")
        assert then <= claims_of(store).now() < then + timedelta(seconds=30)
        opened.server.date = then.timestamp() + 60
        store.documents.add("ledger/a.json", b"1")
        assert claims_of(store).now() >= then + timedelta(seconds=60)
