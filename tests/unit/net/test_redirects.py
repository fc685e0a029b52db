from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError
from ign_deploy.net.credentials import HostAuth, token_auth
from ign_deploy.net.redirects import follow
from ign_deploy.net.session import open_session
from tests.support.file_server import Fault, FileServer, file_server
from tests.support.http_server import Answer, scripted_server
from tests.support.tls import server_context

HEADERS = {"PRIVATE-TOKEN": "t0ken", "Range": "bytes=1-", "Accept": "*/*"}


@pytest.fixture
def own() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/there"] = b"content"
        yield store


@pytest.fixture
def other() -> Iterator[FileServer]:
    with file_server() as store:
        store.files["/there"] = b"content"
        yield store


def content_of(server: FileServer, *, auth: HostAuth | None = None) -> bytes:
    with (
        open_session(auth=auth) as session,
        follow(session, "GET", f"{server.url}/a/b", headers=HEADERS) as response,
    ):
        return response.content


def moved(location: str, status: int = 302) -> Fault:
    return Fault(status=status, headers={"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/there", "../there", "//{netloc}/there"])
def test_a_redirect_on_the_same_host_keeps_everything(
    status: int, location: str, own: FileServer
) -> None:
    netloc = own.url.removeprefix("http://")
    own.faults = [moved(location.format(netloc=netloc), status)]
    assert content_of(own, auth=token_auth("a", url=own.url)) == b"ontent"
    assert own.seen[1].headers["Authorization"] == "Bearer a"
    assert own.seen[1].headers["PRIVATE-TOKEN"] == "t0ken"


def test_another_host_gets_no_credentials_not_even_on_the_way_back(
    own: FileServer, other: FileServer
) -> None:
    own.faults = [moved(f"{other.url}/x")]
    other.faults = [moved(f"{own.url}/there")]
    assert content_of(own, auth=token_auth("a", url=own.url)) == b"ontent"
    assert own.seen[0].headers["Authorization"] == "Bearer a"
    (there,) = other.seen
    assert not {"Authorization", "PRIVATE-TOKEN"} & set(there.headers)
    assert there.headers["Range"] == "bytes=1-"
    assert "PRIVATE-TOKEN" not in own.seen[1].headers


def test_credentials_in_a_header_of_another_name_stay_with_their_origin(
    own: FileServer, other: FileServer
) -> None:
    own.faults = [moved(f"{other.url}/there")]
    content_of(own, auth=HostAuth("t0ken", url=own.url, name="JOB-TOKEN"))
    assert own.seen[0].headers["JOB-TOKEN"] == "t0ken"
    assert "JOB-TOKEN" not in other.seen[0].headers


def test_five_redirects_are_followed_and_no_more(own: FileServer) -> None:
    own.faults = [moved("/x")] * 4 + [moved("/there")]
    assert content_of(own) == b"ontent"
    own.faults = [moved("/x")] * 6
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 redirects more than 5 times"):
        content_of(own)
    assert len(own.seen) == 12


def test_a_redirect_without_a_target_is_an_answer(own: FileServer) -> None:
    own.faults = [Fault(status=302, body=b"where to")]
    assert content_of(own) == b"where to"


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd?s3cret", "redirects to what is no http or https URL"),
        ("http://[::1?s3cret", "redirects to what is no http or https URL"),
        ("http://h:99999/?s3cret", "redirects to what is no http or https URL"),
        ("https://u:s3cret@store.example/", "store.example with a password in the URL"),
    ],
)
def test_a_redirect_to_nonsense_is_refused_without_being_shown(
    location: str, message: str, own: FileServer
) -> None:
    own.faults = [moved(location)]
    with pytest.raises(NetworkError) as refusal:
        content_of(own)
    assert message in refusal.value.message
    assert "s3cret" not in refusal.value.message + refusal.value.hint


def test_https_never_leads_to_http_but_on_this_machine(tmp_path: Path, own: FileServer) -> None:
    context, authority = server_context(tmp_path)
    away = Answer(302, headers={"Location": "http://store.example/a"})
    near = Answer(302, headers={"Location": f"{own.url}/there"})
    with scripted_server(away, near) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"https://localhost:{server.server_address[1]}/"
        with open_session(ca=authority) as session:
            with pytest.raises(NetworkError, match=r"from https to http://store\.example"):
                follow(session, "GET", url, headers={})
            assert follow(session, "GET", url, headers={}).content == b"content"
