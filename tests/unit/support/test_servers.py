"""The real servers start, and behave as the design of the repositories counts on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import requests
from defusedxml.ElementTree import fromstring

from tests.support.http_server import unused_port
from tests.support.servers import (
    ApacheServer,
    Credentials,
    NginxServer,
    RegistryServer,
    S3Server,
    apache,
    moto,
    nginx,
    registry,
    s3_client,
    swift,
)
from tests.support.servers.processes import ServerProblem, find_program, free_port, running

USER = Credentials("publisher", "pässword: with a colon")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DAV = "{DAV:}"
Caller = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="module")
def nginx_server(folder: Path) -> Iterator[NginxServer]:
    with nginx(folder / "nginx") as server:
        yield server


@pytest.fixture(scope="module")
def apache_server(folder: Path) -> Iterator[ApacheServer]:
    with apache(folder / "apache") as server:
        yield server


@pytest.fixture(scope="module")
def registry_server(folder: Path) -> Iterator[RegistryServer]:
    with registry(folder / "registry") as server:
        yield server


@pytest.fixture(scope="module")
def moto_server(folder: Path) -> Iterator[S3Server]:
    with moto(folder / "moto") as server:
        s3_client(server).create_bucket(Bucket="bucket")
        yield server


@pytest.fixture(scope="module")
def swift_server(folder: Path) -> Iterator[S3Server]:
    with swift(folder / "swift") as server:
        s3_client(server).create_bucket(Bucket="bucket")
        yield server


@pytest.fixture(params=["nginx", "apache"])
def dav_server(request: pytest.FixtureRequest) -> NginxServer | ApacheServer:
    server: NginxServer | ApacheServer = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(params=["moto", "swift"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture
def ask(session: requests.Session, request: pytest.FixtureRequest) -> Caller:
    """Return a function that makes a request of the server in a collection of this test."""

    def call(server: Any, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("allow_redirects", False)
        return session.request(method, server.url + path, timeout=30, **options)

    return call


@pytest.fixture
def home(dav_server: NginxServer | ApacheServer, request: pytest.FixtureRequest) -> str:
    """Return the path of a collection for this test alone."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    (dav_server.root / name).mkdir()
    # Also for Apache, which under root runs as somebody else.
    (dav_server.root / name).chmod(0o777)
    return f"/{name}"


def test_versions_are_what_the_programs_say(
    nginx_server: NginxServer,
    apache_server: ApacheServer,
    registry_server: RegistryServer,
    moto_server: S3Server,
    swift_server: S3Server,
) -> None:
    assert nginx_server.version.startswith("nginx version: nginx/1.")
    assert apache_server.version.startswith("Server version: Apache/2.4.")
    assert " 2." in registry_server.version
    assert moto_server.version.startswith("moto 5.")
    assert swift_server.version.startswith("swift 2.")


# WebDAV


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


def test_only_nginx_wants_the_slash_of_a_collection(
    dav_server: NginxServer, home: str, ask: Caller
) -> None:
    strict = isinstance(dav_server, NginxServer)
    assert ask(dav_server, "MKCOL", f"{home}/made").status_code == (409 if strict else 201)
    ask(dav_server, "MKCOL", f"{home}/made/")
    ask(dav_server, "PUT", f"{home}/made/file", data=b"1")
    assert ask(dav_server, "DELETE", f"{home}/made").status_code == (409 if strict else 204)
    # With everything in it.
    assert ask(dav_server, "DELETE", f"{home}/made/").status_code == (204 if strict else 404)


def test_a_file_into_a_missing_collection_is_refused(
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
    tag = ask(apache_server, "GET", "/fresh").headers["ETag"]
    assert tag.startswith('W/"')
    answer = ask(apache_server, "PUT", "/fresh", data=b"2", headers={"If-Match": tag})
    assert answer.status_code == 412


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


def test_moving_onto_something_is_refused_when_asked(
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
    entries = {found.findtext(f"{DAV}href"): found for found in fromstring(answer.content)}
    assert set(entries) == {f"{home}/", f"{home}/a%20%c3%a4&.txt", f"{home}/sub/"} or set(
        entries
    ) == {f"{home}/", f"{home}/a%20%C3%A4&.txt", f"{home}/sub/"}
    file = next(entry for href, entry in entries.items() if href and href.endswith(".txt"))
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


def test_a_listing_of_everything_below_is_refused(
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
def test_a_password_is_asked_for(tmp_path: Path, ask: Caller, start: Any) -> None:
    with start(tmp_path, credentials=USER) as server:
        assert server.credentials == USER
        refused = ask(server, "PUT", "/file", data=b"x" * 1_000_000)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        wrong = (USER.username, "another")
        assert ask(server, "PUT", "/file", data=b"1", auth=wrong).status_code == 401
        right = (USER.username.encode(), USER.password.encode())
        assert ask(server, "PUT", "/file", data=b"1", auth=right).status_code == 201


def test_nginx_lists_as_json_wants_a_token_and_speaks_tls(tmp_path: Path, ask: Caller) -> None:
    with nginx(tmp_path, token="s3cret-token", tls=True, json_listing=True) as server:
        assert server.url.startswith("https://")
        trust = {"verify": str(server.ca_file)}
        assert ask(server, "PUT", "/file", data=b"123", **trust).status_code == 401
        trust["headers"] = {"Authorization": f"Bearer {server.token}"}  # type: ignore[assignment]
        assert ask(server, "PUT", "/file", data=b"123", **trust).status_code == 201
        (listed,) = ask(server, "GET", "/", **trust).json()
        assert (listed["name"], listed["type"], listed["size"]) == ("file", "file", 3)
        assert listed["mtime"].endswith(" GMT")
        with pytest.raises(requests.exceptions.SSLError):
            ask(server, "GET", "/", verify=True)


# The registry


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob(ask: Caller, server: RegistryServer, name: str, content: bytes) -> str:
    begun = ask(server, "POST", f"/v2/{name}/blobs/uploads/")
    assert begun.status_code == 202
    # The place to upload to is a whole URL, with a query.
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


def test_a_blob_that_is_not_what_it_should_be_is_refused(
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


# S3


def refusal(call: Callable[..., Any], **options: Any) -> tuple[int, str]:
    """Return the status and the code with which the call is refused."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**options)
    answer: Any = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize("checksums", [True, False])
def test_an_object_is_put_and_got(s3_server: S3Server, checksums: bool) -> None:
    client = s3_client(s3_server, checksums=checksums)
    content = os.urandom(100_000)
    client.put_object(Bucket="bucket", Key="a/b ä.modl", Body=content, Metadata={"sha256": "x"})
    found = client.get_object(Bucket="bucket", Key="a/b ä.modl")
    assert found["Body"].read() == content
    assert found["Metadata"] == {"sha256": "x"}
    assert found["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert refusal(client.head_object, Bucket="bucket", Key="missing") == (404, "404")
    assert refusal(client.get_object, Bucket="bucket", Key="missing") == (404, "NoSuchKey")
    assert refusal(client.get_object, Bucket="no-bucket", Key="x") == (404, "NoSuchBucket")


def test_a_listing_is_paged(s3_server: S3Server) -> None:
    client = s3_client(s3_server)
    for number in range(5):
        client.put_object(Bucket="bucket", Key=f"page/{number}", Body=b"1")
    keys: list[str] = []
    options: dict[str, Any] = {}
    while True:
        page = client.list_objects_v2(Bucket="bucket", Prefix="page/", MaxKeys=2, **options)
        assert page["KeyCount"] <= 2
        keys += [each["Key"] for each in page["Contents"]]
        if not page["IsTruncated"]:
            break
        options["ContinuationToken"] = page["NextContinuationToken"]
    assert keys == [f"page/{number}" for number in range(5)]


def test_moto_creates_once(moto_server: S3Server) -> None:
    client = s3_client(moto_server)
    once = {"Bucket": "bucket", "Key": "once", "IfNoneMatch": "*"}
    client.put_object(**once, Body=b"first")
    assert refusal(client.put_object, **once, Body=b"second") == (412, "PreconditionFailed")
    upload = {"Bucket": "bucket", "Key": "once"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    part = client.upload_part(**upload, PartNumber=1, Body=b"third")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    complete = refusal(
        client.complete_multipart_upload, **upload, MultipartUpload=parts, IfNoneMatch="*"
    )
    assert complete == (412, "PreconditionFailed")
    assert client.get_object(Bucket="bucket", Key="once")["Body"].read() == b"first"


def test_moto_compares_and_swaps(moto_server: S3Server) -> None:
    client = s3_client(moto_server)
    swap = {"Bucket": "bucket", "Key": "swap"}
    tag = client.put_object(**swap, Body=b"1")["ETag"]
    assert client.put_object(**swap, Body=b"2", IfMatch=tag)["ETag"] != tag
    stale = refusal(client.put_object, **swap, Body=b"3", IfMatch=tag)
    assert stale == (412, "PreconditionFailed")


def test_moto_believes_everybody_and_everything(moto_server: S3Server) -> None:
    client = s3_client(moto_server, secret_key="wrong")
    digest = "1B2M2Y8AsgTpgAmY7PhCfg=="  # of nothing
    client.put_object(Bucket="bucket", Key="believed", Body=b"1", ContentMD5=digest)


def test_swift_knows_no_conditions_and_says_so(swift_server: S3Server) -> None:
    client = s3_client(swift_server)
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"x"'}):
        options = {"Bucket": "bucket", "Key": "conditional", "Body": b"1", **condition}
        assert refusal(client.put_object, **options) == (501, "NotImplemented")
    assert refusal(client.head_object, Bucket="bucket", Key="conditional")[0] == 404


def test_swift_checks_the_signature(swift_server: S3Server) -> None:
    client = s3_client(swift_server, secret_key="wrong")
    wrong = refusal(client.list_objects_v2, Bucket="bucket")
    assert wrong == (403, "SignatureDoesNotMatch")


def test_swift_checks_digests_of_md5_only(swift_server: S3Server) -> None:
    client = s3_client(swift_server)
    wrong = {"Bucket": "bucket", "Key": "digest", "Body": b"1"}
    refused = refusal(client.put_object, **wrong, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert refused == (400, "BadDigest")
    nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    client.put_object(**wrong, ChecksumSHA256=nothing)


# Starting and stopping


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(ServerProblem, match=r"^no-such-program is missing; .*install some-package"):
        find_program("no-such-program", packages="some-package")


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no configuration')")
    with (
        pytest.raises(ServerProblem, match=r"(?s)broken ended with 1; .*no configuration"),
        running(command, name="broken", folder=tmp_path, ready=lambda: False),
    ):
        pass


def test_the_children_of_a_server_end_with_it(tmp_path: Path) -> None:
    program = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    program += "; time.sleep(60)"
    log = tmp_path / "parent.log"
    with running(
        (sys.executable, "-c", program),
        name="parent",
        folder=tmp_path,
        ready=lambda: log.read_text().endswith("\n"),
        stop_signal=signal.SIGKILL,
    ):
        child = int(log.read_text())
        os.kill(child, 0)
    end = time.monotonic() + 10
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(child)


def is_running(number: int) -> bool:
    """Whether a process is there and not just waiting to be buried."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True, check=False
    )
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_a_free_port_is_none_that_a_client_gets() -> None:
    assert 15000 <= free_port() < 32000
    assert unused_port() != free_port()
