from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import token_auth
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response, error_for_response
from ign_deploy.net.session import open_http_session
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.transfers import FakeTime


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/index.json"] = b"{}"
        yield store


def client_of(server: FileServer, **options: Any) -> Client:
    given = {"base": server.url, "retry": FakeTime().policy(), "error": RepositoryError, **options}
    return Client(open_http_session(), **given)


def read(server: FileServer, path: str = "/index.json", **options: Any) -> Response:
    with client_of(server) as client:
        return client.request("GET", path, title="reading", **{"limit": 100, **options})


def test_a_document_is_read_whole(server: FileServer) -> None:
    response = read(server, headers={"Accept": "application/json"})
    assert (response.status, response.ok, response.body) == (200, True, b"{}")
    assert response.headers["etag"].startswith('"')
    assert server.seen[0].headers["Accept"] == "application/json"
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_an_expected_status_is_returned_and_any_other_an_error(server: FileServer) -> None:
    assert read(server, "/none", expect={404}).status == 404
    assert read(server, "/none", expect=ANY_STATUS).status == 404
    with pytest.raises(RepositoryError) as failure:
        read(server, "/none", expect={410})
    assert failure.value.message == "reading failed: 127.0.0.1 returned 404"


def test_a_caller_says_what_a_status_means(server: FileServer) -> None:
    def explain(response: Response) -> RepositoryError:
        return RepositoryError(f"{response.title}: {response.status}, {response.host}")

    with (
        client_of(server, error_for_response=explain) as client,
        pytest.raises(RepositoryError, match=r"reading: 404, 127\.0\.0\.1"),
    ):
        client.request("GET", "/none", title="reading")
    hint = error_for_response(Response(403, title="x"), hints={403: "ask for access."}).hint
    assert hint == "ask for access."


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(cut=1),
        Fault(status=403, body=b"API rate limit exceeded"),
        Fault(status=429, headers={"Retry-After": "5"}),
    ],
)
def test_a_passing_failure_is_retried(fault: Fault, server: FileServer) -> None:
    server.faults = [fault]
    assert read(server).body == b"{}"
    assert len(server.seen) == 2


def test_a_lasting_failure_is_raised(server: FileServer) -> None:
    server.faults = [Fault(status=500)] * 5
    with pytest.raises(TransientResponse):
        read(server)


def test_a_document_beyond_the_limit_is_rejected_or_truncated(server: FileServer) -> None:
    server.files["/index.json"] = b"x" * 100
    assert len(read(server).body) == 100
    server.files["/index.json"] = b"x" * 101
    with pytest.raises(RepositoryError, match=r"reading failed: 127\.0\.0\.1 sent more than 100"):
        read(server)
    assert len(read(server, truncate=True).body) == 100


def test_a_long_error_page_is_truncated(server: FileServer) -> None:
    server.faults = [Fault(status=400, body=b"x" * 500)]
    assert read(server, expect={400}).body == b"x" * 100


def test_a_long_response_to_a_change_is_truncated(server: FileServer) -> None:
    server.faults = [Fault(status=201, body=b"x" * 500)]
    with client_of(server) as client:
        response = client.request("PUT", "/x", title="writing", body=b"x", limit=100)
    assert (response.status, response.body) == (201, b"x" * 100)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_compressed_response_is_rejected(method: str, server: FileServer) -> None:
    server.faults = [Fault(status=200, headers={"Content-Encoding": "br"}, body=b"x")]
    with client_of(server) as client, pytest.raises(RepositoryError, match="sent the encoding br"):
        client.request(method, "/index.json", title="reading")


def test_a_safe_method_may_have_a_body(server: FileServer) -> None:
    with client_of(server) as client:
        response = client.request(
            "PROPFIND", "/index.json", title="x", body=b"<propfind/>", headers={"Depth": "1"}
        )
    assert response.status == 200
    assert (server.seen[0].method, server.seen[0].headers["Content-Length"]) == ("PROPFIND", "11")


def test_a_json_document_is_sent(server: FileServer) -> None:
    with client_of(server) as client:
        client.request("POST", "/x", title="writing", json={"a": 1})
    assert server.seen[0].headers["Content-Type"] == "application/json"
    assert server.seen[0].headers["Content-Length"] == "8"


def test_connections_are_used_again(server: FileServer) -> None:
    with client_of(server) as client:
        for chunked in (False, True, False):
            server.chunked = chunked
            for path in ("/index.json", "/none"):
                client.request("GET", path, title="reading", expect={404})
        client.request("PUT", "/x", title="writing", body=b"x")
    assert server.connections == 1


def test_a_change_is_retried_whole_and_never_redirected(server: FileServer) -> None:
    auth = token_auth("t0ken", url=server.url)
    with (
        open_http_session(auth=auth) as session,
        file_server() as other,
    ):
        client = Client(session, base=server.url, retry=FakeTime().policy(), error=RepositoryError)
        server.faults = [Fault(cut=1), Fault(status=500)]
        sent = client.request("PATCH", "/r", title="writing", body=b"{}", headers={"X": "1"})
        assert sent.status == 201
        assert [each.size for each in server.seen] == [1, 2, 2]
        assert server.seen[2].headers["X"] == "1"
        assert server.seen[2].headers["Authorization"] == "Bearer t0ken"
        for status in (301, 302, 303, 307, 308):
            target = f"{other.url}/b?token=s3cret"
            server.faults = [Fault(status=status, headers={"Location": target})]
            with pytest.raises(RepositoryError) as failure:
                client.request("PATCH", "/r", title="writing", body=b"{}", expect=ANY_STATUS)
            assert f"redirects to {other.url}, " in failure.value.message
            assert "s3cret" not in failure.value.message + failure.value.hint
        assert other.seen == []


def test_a_lost_acknowledgement_of_a_change_is_confirmed(server: FileServer) -> None:
    server.faults = [Fault(lost=True)]
    with client_of(server) as client:
        response = client.request("POST", "/r", title="writing", confirm=lambda: True)
    assert (response.status, response.ok, response.confirmed) == (0, True, True)
    assert server.seen[0].headers["Content-Length"] == "0"


def test_a_client_without_redirects_follows_none(server: FileServer) -> None:
    server.faults = [Fault(status=302, headers={"Location": "/index.json"})]
    with (
        client_of(server, redirects=False) as client,
        pytest.raises(RepositoryError, match="redirects to http"),
    ):
        client.request("GET", "/x", title="reading")
    assert len(server.seen) == 1


def test_a_redirect_is_followed_by_safe_methods(server: FileServer) -> None:
    server.faults = [Fault(status=302, headers={"Location": "/index.json"})]
    assert read(server, "/x").body == b"{}"


def test_the_servers_time_goes_on_from_its_last_response(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    client = client_of(server)
    assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=5)
    for date in (format_datetime(there, usegmt=True), "soon", ""):
        monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_, date=date: date)
        client.request("GET", "/index.json", title="reading")
        assert there <= client.now() < there + timedelta(seconds=5)


def test_an_attempt_is_not_repeated_and_may_be_anonymous(server: FileServer) -> None:
    server.faults = [Fault(status=503)]
    with open_http_session(auth=token_auth("t0ken", url=server.url)) as session:
        client = Client(session, base=server.url)
        with pytest.raises(TransientResponse):
            client.attempt("GET", "/index.json", title="reading")
        assert client.attempt("GET", "/none", title="reading", anonymous=True).status == 404
    assert len(server.seen) == 2
    assert "Authorization" not in server.seen[1].headers


def test_a_failure_of_the_network_is_not_the_callers_error() -> None:
    with file_server() as gone:
        pass
    with client_of(gone) as client, pytest.raises(NetworkError, match="refused the connection"):
        client.request("GET", "/x", title="reading")
