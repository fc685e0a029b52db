"""The CNCF registry behaves as the design of the OCI repository counts on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.servers import Credentials, RegistryServer, registry

USER = Credentials("publisher", "pässword: with a colon")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Caller = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


def test_the_version_is_what_the_program_says(registry_server: RegistryServer) -> None:
    assert " 2." in registry_server.version


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob(ask: Caller, server: RegistryServer, name: str, content: bytes) -> str:
    begun = ask(server, "POST", f"/v2/{name}/blobs/uploads/")
    assert begun.status_code == 202
    # The upload location is an absolute URL, with a query.
    path = begun.headers["Location"].removeprefix(server.url)
    assert path.startswith(f"/v2/{name}/blobs/uploads/")
    digest = digest_of(content)
    done = ask(server, "PUT", f"{path}&digest={digest}", data=content)
    assert done.status_code == 201
    assert done.headers["Docker-Content-Digest"] == digest
    return digest


def manifest_of(digest: str, size: int, note: str = "") -> bytes:
    layer = {"mediaType": "application/octet-stream", "digest": digest, "size": size}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer]}
    return json.dumps({**document, "annotations": {"note": note}}).encode()


def push_manifest(
    ask: Caller, server: RegistryServer, where: str, content: bytes, **fields: str
) -> requests.Response:
    headers = {"Content-Type": MANIFEST, **fields}
    return ask(server, "PUT", where, data=content, headers=headers)


def test_a_blob_is_pushed_and_pulled(registry_server: RegistryServer, ask: Caller) -> None:
    digest = push_blob(ask, registry_server, "org/blob", b"hello")
    where = f"/v2/org/blob/blobs/{digest}"
    assert ask(registry_server, "HEAD", where).headers["Content-Length"] == "5"
    assert ask(registry_server, "GET", where).content == b"hello"
    part = ask(registry_server, "GET", where, headers={"Range": "bytes=3-"})
    assert (part.status_code, part.content) == (206, b"lo")
    mount = f"/v2/org/other/blobs/uploads/?mount={digest}&from=org/blob"
    assert ask(registry_server, "POST", mount).status_code == 201


def test_a_blob_that_is_not_what_it_should_be_is_rejected(
    registry_server: RegistryServer, ask: Caller
) -> None:
    begun = ask(registry_server, "POST", "/v2/org/wrong/blobs/uploads/")
    path = begun.headers["Location"].removeprefix(registry_server.url)
    digest = digest_of(b"something else")
    refused = ask(registry_server, "PUT", f"{path}&digest={digest}", data=b"hello")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "DIGEST_INVALID"
    assert ask(registry_server, "HEAD", f"/v2/org/wrong/blobs/{digest}").status_code == 404


def test_a_manifest_needs_its_blobs_and_its_digest(
    registry_server: RegistryServer, ask: Caller
) -> None:
    digest = push_blob(ask, registry_server, "org/needs", b"hello")
    where = "/v2/org/needs/manifests"
    content = manifest_of(digest, 5)
    wrong = push_manifest(ask, registry_server, f"{where}/{digest_of(b'')}", content)
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    missing = manifest_of(digest_of(b"never pushed"), 12)
    lacking = push_manifest(ask, registry_server, f"{where}/1.0", missing)
    assert lacking.status_code == 400
    assert lacking.json()["errors"][0]["code"] == "MANIFEST_BLOB_UNKNOWN"
    pushed = push_manifest(ask, registry_server, f"{where}/{digest_of(content)}", content)
    assert pushed.status_code == 201
    assert pushed.headers["Docker-Content-Digest"] == digest_of(content)


def test_a_tag_can_be_moved_whatever_the_condition(
    registry_server: RegistryServer, ask: Caller
) -> None:
    digest = push_blob(ask, registry_server, "org/tag", b"hello")
    where = "/v2/org/tag/manifests/1.0"
    for note in ("first", "second"):
        content = manifest_of(digest, 5, note)
        fields = {"If-None-Match": "*"}
        pushed = push_manifest(ask, registry_server, where, content, **fields)
        assert pushed.status_code == 201
    found = ask(registry_server, "GET", where, headers={"Accept": MANIFEST})
    assert found.headers["Docker-Content-Digest"] == digest_of(content)
    # Who doesn't say that it understands OCI's manifests gets none.
    assert ask(registry_server, "GET", where).status_code == 404


def test_tags_come_all_at_once_and_only_the_catalogue_is_paged(
    registry_server: RegistryServer, ask: Caller
) -> None:
    for name in ("org/page-a", "org/page-b"):
        digest = push_blob(ask, registry_server, name, b"hello")
        for tag in ("1.0", "1.1", "2.0"):
            push_manifest(
                ask, registry_server, f"/v2/{name}/manifests/{tag}", manifest_of(digest, 5)
            )
    tags = ask(registry_server, "GET", "/v2/org/page-a/tags/list?n=2")
    assert sorted(tags.json()["tags"]) == ["1.0", "1.1", "2.0"]
    assert "Link" not in tags.headers
    names: list[str] = []
    path = "/v2/_catalog?n=1"
    while path:
        page = ask(registry_server, "GET", path)
        names += page.json()["repositories"]
        path = page.links.get("next", {}).get("url", "")
    assert {"org/page-a", "org/page-b"} <= set(names)
    assert len(names) == len(set(names))


def test_there_are_no_referrers(registry_server: RegistryServer, ask: Caller) -> None:
    answer = ask(registry_server, "GET", f"/v2/org/blob/referrers/{digest_of(b'')}")
    assert answer.status_code == 404
    assert "json" not in answer.headers["Content-Type"]
    unknown = ask(registry_server, "GET", "/v2/org/unknown/tags/list")
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


def test_a_registry_with_a_password_and_deleting(tmp_path: Path, session: Any) -> None:
    with registry(tmp_path, credentials=USER, delete=True) as server:
        refused = session.get(f"{server.url}/v2/", timeout=30)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        session.auth = (USER.username.encode(), USER.password.encode())

        def ask(_: Any, method: str, path: str, **options: Any) -> requests.Response:
            answer: requests.Response = session.request(
                method, server.url + path, timeout=30, **options
            )
            return answer

        content = manifest_of(push_blob(ask, server, "org/mod", b"hello"), 5)
        push_manifest(ask, server, "/v2/org/mod/manifests/1.0", content)
        # By its digest only; the tags go with it.
        assert ask(server, "DELETE", "/v2/org/mod/manifests/1.0").status_code == 400
        where = f"/v2/org/mod/manifests/{digest_of(content)}"
        assert ask(server, "DELETE", where).status_code == 202
        assert ask(server, "GET", "/v2/org/mod/tags/list").json()["tags"] is None


def test_deleting_must_be_allowed(registry_server: RegistryServer, ask: Caller) -> None:
    content = manifest_of(push_blob(ask, registry_server, "org/kept", b"hello"), 5)
    where = f"/v2/org/kept/manifests/{digest_of(content)}"
    push_manifest(ask, registry_server, where, content)
    assert ask(registry_server, "DELETE", where).status_code == 405
