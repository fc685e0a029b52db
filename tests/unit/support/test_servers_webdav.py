"""nginx and Apache as WebDAV stores behave as the design of the repositories counts on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element

import pytest
import requests
from defusedxml.ElementTree import fromstring

from tests.support.servers import ApacheServer, Credentials, NginxServer, apache, nginx

USER = Credentials("publisher", "pässword: with a colon")
DAV = "{DAV:}"
Caller = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def nginx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    with nginx(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture(scope="module")
def apache_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheServer]:
    with apache(tmp_path_factory.mktemp("apache")) as server:
        yield server


@pytest.fixture(params=["nginx", "apache"])
def dav_server(request: pytest.FixtureRequest) -> NginxServer | ApacheServer:
    server: NginxServer | ApacheServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def home(dav_server: NginxServer | ApacheServer, request: pytest.FixtureRequest) -> str:
    """Return the path of a collection for this test alone."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    (dav_server.root / name).mkdir()
    return f"/{name}"


def test_versions_are_what_the_programs_say(
    nginx_server: NginxServer, apache_server: ApacheServer
) -> None:
    assert nginx_server.version.startswith("nginx version: nginx/1.")
    assert apache_server.version.startswith("Server version: Apache/2.4.")


def test_a_file_is_put_and_got(dav_server: NginxServer, home: str, ask: Caller) -> None:
    content = os.urandom(1_000_000)
    assert ask(dav_server, "PUT", f"{home}/file", data=content).status_code == 201
    answer = ask(dav_server, "GET", f"{home}/file")
    assert answer.content == content
    assert {"Date", "ETag", "Last-Modified", "Content-Length"} <= set(answer.headers)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert (dav_server.root / home[1:] / "file").read_bytes() == content
    assert ask(dav_server, "PUT", f"{home}/file", data=b"").status_code == 204


def test_a_collection_is_made_by_one_only(dav_server: NginxServer, home: str, ask: Caller) -> None:
    statuses = [ask(dav_server, "MKCOL", f"{home}/claim/").status_code for _ in range(3)]
    assert statuses == [201, 405, 405]


def test_a_collection_without_its_parent_is_a_conflict(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    assert ask(dav_server, "MKCOL", f"{home}/no/parent/").status_code == 409


def test_only_nginx_requires_the_slash_of_a_collection(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    strict = isinstance(dav_server, NginxServer)
    assert ask(dav_server, "MKCOL", f"{home}/made").status_code == (409 if strict else 201)
    ask(dav_server, "MKCOL", f"{home}/made/")
    ask(dav_server, "PUT", f"{home}/made/file", data=b"1")
    assert ask(dav_server, "DELETE", f"{home}/made").status_code == (409 if strict else 204)
    # With everything in it.
    assert ask(dav_server, "DELETE", f"{home}/made/").status_code == (204 if strict else 404)


def test_a_file_into_a_missing_collection_is_rejected(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    answer = ask(dav_server, "PUT", f"{home}/missing/file", data=b"1")
    # nginx answers like a server in trouble, which a retry policy takes for passing.
    assert answer.status_code == (500 if isinstance(dav_server, NginxServer) else 409)
    assert not (dav_server.root / home[1:] / "missing").exists()


def test_nginx_ignores_conditions_of_a_put_and_apache_keeps_them(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    ignores = isinstance(dav_server, NginxServer)
    path = f"{home}/conditional"
    ask(dav_server, "PUT", path, data=b"first")
    for field in ({"If-None-Match": "*"}, {"If-Match": '"another"'}):
        answer = ask(dav_server, "PUT", path, data=b"second", headers=field)
        assert answer.status_code == (204 if ignores else 412)
    assert ask(dav_server, "GET", path).content == (b"second" if ignores else b"first")


def test_apache_gives_a_fresh_file_a_weak_tag_that_never_matches(
    apache_server: ApacheServer, ask: Caller
) -> None:
    ask(apache_server, "PUT", "/fresh", data=b"1")
    # A file is fresh for a second; this one stays so.
    os.utime(apache_server.root / "fresh", (4e9, 4e9))
    tag = ask(apache_server, "GET", "/fresh").headers["ETag"]
    assert tag.startswith('W/"')
    answer = ask(apache_server, "PUT", "/fresh", data=b"2", headers={"If-Match": tag})
    assert answer.status_code == 412


def test_apache_swaps_a_file_that_is_not_fresh(apache_server: ApacheServer, ask: Caller) -> None:
    ask(apache_server, "PUT", "/document", data=b"1")
    os.utime(apache_server.root / "document", (1e9, 1e9))
    tag = ask(apache_server, "GET", "/document").headers["ETag"]
    assert tag.startswith('"')
    statuses = [
        ask(apache_server, "PUT", "/document", data=b"2", headers={"If-Match": tag}).status_code
        for _ in range(2)
    ]
    assert statuses == [204, 412]


def test_a_tag_of_nginx_knows_time_and_size_only(nginx_server: NginxServer, ask: Caller) -> None:
    # The request's own Date becomes the file's time.
    fields = {"Date": "Mon, 01 Jan 2001 00:00:00 GMT"}
    tags = []
    for content in (b"one", b"two"):
        ask(nginx_server, "PUT", "/dated", data=content, headers=fields)
        answer = ask(nginx_server, "GET", "/dated")
        assert answer.headers["Last-Modified"] == fields["Date"]
        tags.append(answer.headers["ETag"])
    assert tags[0] == tags[1]


def test_moving_onto_something_is_rejected_when_asked(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    ask(dav_server, "PUT", f"{home}/from", data=b"1")
    target = {"Destination": f"{dav_server.url}{home}/to"}
    moved = ask(dav_server, "MOVE", f"{home}/from", headers=target).status_code
    assert moved == (204 if isinstance(dav_server, NginxServer) else 201)
    ask(dav_server, "PUT", f"{home}/from", data=b"2")
    keep = ask(dav_server, "MOVE", f"{home}/from", headers={**target, "Overwrite": "F"})
    assert keep.status_code == 412
    assert ask(dav_server, "MOVE", f"{home}/from", headers=target).status_code == 204
    assert ask(dav_server, "GET", f"{home}/to").content == b"2"


def test_a_listing_tells_names_sizes_and_times(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    ask(dav_server, "PUT", f"{home}/a%20%C3%A4&.txt", data=b"12345")
    ask(dav_server, "MKCOL", f"{home}/sub/")
    body = (
        b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getcontentlength/>'
        b"<getlastmodified/><resourcetype/></prop></propfind>"
    )
    answer = ask(dav_server, "PROPFIND", f"{home}/", headers={"Depth": "1"}, data=body)
    assert answer.status_code == 207
    entries = {
        # The case of the escapes differs.
        unquote(found.findtext(f"{DAV}href") or ""): found
        for found in fromstring(answer.content)
    }
    assert set(entries) == {f"{home}/", f"{home}/a ä&.txt", f"{home}/sub/"}
    file = entries[f"{home}/a ä&.txt"]
    assert found_property(file, "getcontentlength").text == "5"
    assert (found_property(file, "getlastmodified").text or "").endswith(" GMT")
    assert found_property(file, "resourcetype").find(f"{DAV}collection") is None
    for href in (f"{home}/", f"{home}/sub/"):
        kind = found_property(entries[href], "resourcetype")
        assert kind.find(f"{DAV}collection") is not None


def found_property(entry: Element, name: str) -> Element:
    """Return a property that the server says it has."""
    for group in entry.findall(f"{DAV}propstat"):
        if " 200 " in (group.findtext(f"{DAV}status") or ""):
            found = group.find(f"{DAV}prop/{DAV}{name}")
            if found is not None:
                return found
    raise AssertionError(f"no {name}")


def test_a_listing_of_everything_below_is_rejected(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    endless = {"Depth": "infinity"}
    assert ask(dav_server, "PROPFIND", f"{home}/", headers=endless).status_code == 403
    missing = ask(dav_server, "PROPFIND", f"{home}/missing/", headers={"Depth": "1"})
    assert missing.status_code == 404


def test_reading_a_collection_gives_no_listing(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    assert ask(dav_server, "GET", f"{home}/").status_code in (403, 404)


def test_a_part_of_a_file_is_read(dav_server: NginxServer, home: str, ask: Caller) -> None:
    ask(dav_server, "PUT", f"{home}/file", data=b"0123456789")
    part = ask(dav_server, "GET", f"{home}/file", headers={"Range": "bytes=7-"})
    assert (part.status_code, part.content) == (206, b"789")
    assert part.headers["Content-Range"] == "bytes 7-9/10"
    stale = {"Range": "bytes=7-", "If-Range": '"another"'}
    assert ask(dav_server, "GET", f"{home}/file", headers=stale).status_code == 200
    beyond = ask(dav_server, "GET", f"{home}/file", headers={"Range": "bytes=10-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("start", [nginx, apache])
def test_a_password_is_requested(tmp_path: Path, ask: Caller, start: Any) -> None:
    with start(tmp_path, credentials=USER) as server:
        assert server.credentials == USER
        refused = ask(server, "PUT", "/file", data=b"x" * 1_000_000)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        wrong = (USER.username, "another")
        assert ask(server, "PUT", "/file", data=b"1", auth=wrong).status_code == 401
        right = (USER.username.encode(), USER.password.encode())
        assert ask(server, "PUT", "/file", data=b"1", auth=right).status_code == 201


def test_nginx_lists_as_json_requires_a_token_and_speaks_tls(tmp_path: Path, ask: Caller) -> None:
    with nginx(tmp_path, token="s3cret-token", tls=True, json_listing=True) as server:
        assert server.url.startswith("https://")
        trust = str(server.ca_file)
        token = {"Authorization": f"Bearer {server.token}"}
        assert ask(server, "PUT", "/file", data=b"123", verify=trust).status_code == 401
        put = ask(server, "PUT", "/file", data=b"123", verify=trust, headers=token)
        assert put.status_code == 201
        (listed,) = ask(server, "GET", "/", verify=trust, headers=token).json()
        assert (listed["name"], listed["type"], listed["size"]) == ("file", "file", 3)
        assert listed["mtime"].endswith(" GMT")
        with pytest.raises(requests.exceptions.SSLError):
            ask(server, "GET", "/", verify=True)
