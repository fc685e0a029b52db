"""Listings of a folder: what is in it, and nothing that a hostile server adds."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories.backends.http.listing import (
    ARTIFACTORY_ITEM,
    NEXUS_ASSETS,
    NEXUS_COMPONENTS,
    is_plain,
    parse_json_listing,
    parse_multistatus,
)
from ign_deploy.repositories.backends.object_store import Name

URL = "https://store.example/dav/my%20folder/"
SELF = ("/dav/my%20folder/", True)


def multistatus(*entries: tuple[str, bool]) -> bytes:
    parts = [
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>"
        f"{'<D:collection/>' if folder else ''}</D:resourcetype></D:prop>"
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        for href, folder in entries
    ]
    body = "".join(parts)
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{body}</D:multistatus>'.encode()


def listed(*entries: tuple[str, bool]) -> list[Name]:
    return parse_multistatus(multistatus(SELF, *entries), url=URL)


def test_files_and_folders_are_distinguished() -> None:
    assert listed(
        ("/dav/my%20folder/a%20%C3%A4&amp;.txt", False), ("/dav/my%20folder/sub/", True)
    ) == [
        Name("a ä&.txt", is_folder=False),
        Name("sub", is_folder=True),
    ]


@pytest.mark.parametrize(
    "href",
    [
        "https://store.example/dav/my%20folder/x",
        "https://store.example:443/dav/my%20folder/x",
        "/dav/%6dy%20folder/x",
        " /dav/my%20folder/x\n",
    ],
)
def test_addresses_may_be_written_in_several_ways(href: str) -> None:
    assert listed((href, False)) == [Name("x", is_folder=False)]


@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/dav/my%20folder/x",
        "http://store.example/dav/my%20folder/x",
        "https://user@store.example/dav/my%20folder/x",
        "//store.example/dav/my%20folder/x",
        "/dav/my%20folder/../x",
        "/dav/my%20folder/%2e%2e",
        "/dav/my%20folder/..",
        "/dav/my%20folder/a%2Fb",
        "/dav/my%20folder/a%5Cb",
        "/dav/my%20folder/a%00",
        "/dav/my%20folder/%FF",
        "/dav/my%20folder/a/b",
        "/dav/my%20folder//x",
        "/dav/my%20folder/x?y=1",
        "/dav/other/x",
        "/dav/x",
        "x",
        "",
        "javascript:alert(1)",
        "https://[broken/dav/my%20folder/x",
        "/dav/my%20folder/" + "x" * 1001,
    ],
)
def test_what_isnt_directly_in_the_folder_is_skipped(href: str) -> None:
    assert listed((href, False), ("/dav/my%20folder/good", False)) == [
        Name("good", is_folder=False)
    ]


def test_an_entry_that_is_gone_is_skipped() -> None:
    gone = (
        b"<D:response><D:href>/dav/my%20folder/x</D:href>"
        b"<D:status>HTTP/1.1 404 Not Found</D:status></D:response>"
    )
    data = multistatus(SELF).replace(b"</D:multistatus>", gone + b"</D:multistatus>")
    assert parse_multistatus(data, url=URL) == []


def test_a_name_that_comes_twice_is_one() -> None:
    assert len(listed(*[("/dav/my%20folder/x", True)] * 3)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>listing</body></html>",
        b"not xml",
        multistatus(("/elsewhere/", True), ("/elsewhere/x", False)),
        multistatus(),
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><D:multistatus xmlns:D="DAV:"/>',
        b'<?xml version="1.0" encoding="utf-99"?><D:multistatus xmlns:D="DAV:"/>',
        b'<?xml version="1.0" encoding="utf-7"?><D:multistatus xmlns:D="DAV:"/>',
        b"<a>" * 100_000,
    ],
)
def test_a_listing_of_another_folder_is_rejected(data: bytes) -> None:
    with pytest.raises(RepositoryError, match=r"cannot read the listing of store\.example"):
        parse_multistatus(data, url=URL)


def test_nginx_lists_as_json() -> None:
    data = json.dumps(
        [
            {"name": "sub", "type": "directory", "mtime": "x"},
            {"name": "ä b", "type": "file", "size": 1},
            {"name": "../up", "type": "file"},
            {"name": "..", "type": "directory"},
            {"name": 5},
            {"type": "file"},
            "text",
        ]
    ).encode()
    assert parse_json_listing(data, url=URL) == [
        Name("sub", is_folder=True),
        Name("ä b", is_folder=False),
    ]


@pytest.mark.parametrize("data", [b"", b"<html>", b"{}", b"null", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_listing_is_refused(data: bytes) -> None:
    with pytest.raises(RepositoryError, match="cannot read the listing"):
        parse_json_listing(data, url=URL)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_listing_or_refused(data: bytes) -> None:
    for parse in (parse_multistatus, parse_json_listing):
        try:
            names = parse(data, url=URL)
        except RepositoryError:
            continue
        assert all(is_plain(name.text) for name in names)


@given(st.lists(st.tuples(st.text(max_size=60), st.booleans()), max_size=8))
def test_no_address_leads_out_of_the_folder(entries: list[tuple[str, bool]]) -> None:
    escape = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    hrefs = [(f"/dav/my%20folder/{text}".translate(escape), folder) for text, folder in entries]
    try:
        names = listed(*hrefs)
    except RepositoryError:
        return
    assert all(is_plain(name.text) for name in names)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["items", "path", "checksum", "sha256", "continuationToken", "children", "uri",
             "folder", "name", "type", "format", "checksums"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(_JSON)
def test_any_json_is_a_listing_or_rejected(document: object) -> None:
    data = json.dumps(document).encode()
    response = Response(200, body=data, url=URL, error=RepositoryError)
    kinds: list[TypeAdapter[Any]] = [NEXUS_ASSETS, NEXUS_COMPONENTS, ARTIFACTORY_ITEM]
    for kind in kinds:
        with suppress(RepositoryError):
            response.parse(kind)
    try:
        names = parse_json_listing(data, url=URL)
    except RepositoryError:
        return
    assert all(is_plain(name.text) for name in names)
