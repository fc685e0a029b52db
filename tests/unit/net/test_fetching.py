from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import TransientAnswer
from ign_deploy.net.fetching import SmallAnswer, read_small
from ign_deploy.net.session import open_session
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.transfers import FakeTime, Warnings


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/index.json"] = b"{}"
        yield store


def read(server: FileServer, path: str = "/index.json", **options: Any) -> SmallAnswer:
    with open_session() as session:
        return read_small(
            session,
            server.url + path,
            title="reading",
            reporter=Warnings(),
            policy=FakeTime().policy(),
            **{"limit": 100, **options},
        )


def test_a_document_is_read_whole(server: FileServer) -> None:
    answer = read(server, headers={"Accept": "application/json"})
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["etag"].startswith('"')
    assert server.seen[0].headers["Accept"] == "application/json"
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_a_missing_document_is_an_answer(server: FileServer) -> None:
    assert read(server, "/none").status == 404


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(cut=1),
        Fault(status=403, body=b"API rate limit exceeded"),
        Fault(status=429, headers={"Retry-After": "5"}),
    ],
)
def test_a_passing_failure_is_tried_again(fault: Fault, server: FileServer) -> None:
    server.faults = [fault]
    assert read(server).body == b"{}"
    assert len(server.seen) == 2


def test_a_lasting_failure_is_raised(server: FileServer) -> None:
    server.faults = [Fault(status=500)] * 5
    with pytest.raises(TransientAnswer):
        read(server)


def test_a_document_beyond_the_limit_is_refused(server: FileServer) -> None:
    server.files["/index.json"] = b"x" * 100
    assert len(read(server).body) == 100
    server.files["/index.json"] = b"x" * 101
    with pytest.raises(RepositoryError, match=r"the answer of 127\.0\.0\.1 has more than 100"):
        read(server)


def test_a_long_error_page_is_cut_off(server: FileServer) -> None:
    server.faults = [Fault(status=400, body=b"x" * 500)]
    assert read(server).body == b"x" * 100


def test_a_compressed_document_is_refused(server: FileServer) -> None:
    server.faults = [Fault(status=200, headers={"Content-Encoding": "br"}, body=b"x")]
    with pytest.raises(RepositoryError, match="its answer with the encoding br"):
        read(server)


def test_questions_with_a_body_are_asked(server: FileServer) -> None:
    answer = read(server, method="PROPFIND", data=b"<propfind/>", headers={"Depth": "1"})
    assert answer.status == 200
    assert (server.seen[0].method, server.seen[0].headers["Content-Length"]) == ("PROPFIND", "11")


def test_connections_are_used_again(server: FileServer) -> None:
    with open_session() as session:
        for chunked in (False, True, False):
            server.chunked = chunked
            for path in ("/index.json", "/none"):
                read_small(
                    session, server.url + path, limit=100, title="reading", reporter=Warnings()
                )
    assert server.connections == 1
