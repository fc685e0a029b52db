"""moto and Swift as S3 stores behave as the design of the S3 repository counts on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fault_proxy import fault_proxy
from tests.support.servers import S3Server, moto, s3_client, swift


@pytest.fixture(scope="module")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as server:
        s3_client(server).create_bucket(Bucket="bucket")
        yield server


@pytest.fixture(scope="module")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with swift(tmp_path_factory.mktemp("swift")) as server:
        s3_client(server).create_bucket(Bucket="bucket")
        yield server


@pytest.fixture(params=["moto", "swift"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


def test_versions_are_what_the_programs_say(moto_server: S3Server, swift_server: S3Server) -> None:
    assert moto_server.version.startswith("moto 5.")
    assert swift_server.version.startswith("swift 2.")


def error_from(call: Callable[..., Any], **options: Any) -> tuple[int, str]:
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
    assert error_from(client.head_object, Bucket="bucket", Key="missing") == (404, "404")
    assert error_from(client.get_object, Bucket="bucket", Key="missing") == (404, "NoSuchKey")
    assert error_from(client.get_object, Bucket="no-bucket", Key="x") == (404, "NoSuchBucket")


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
    assert error_from(client.put_object, **once, Body=b"second") == (412, "PreconditionFailed")
    upload = {"Bucket": "bucket", "Key": "once"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    part = client.upload_part(**upload, PartNumber=1, Body=b"third")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    complete = error_from(
        client.complete_multipart_upload, **upload, MultipartUpload=parts, IfNoneMatch="*"
    )
    assert complete == (412, "PreconditionFailed")
    assert client.get_object(Bucket="bucket", Key="once")["Body"].read() == b"first"


def test_moto_compares_and_swaps(moto_server: S3Server) -> None:
    client = s3_client(moto_server)
    swap = {"Bucket": "bucket", "Key": "swap"}
    tag = client.put_object(**swap, Body=b"1")["ETag"]
    assert client.put_object(**swap, Body=b"2", IfMatch=tag)["ETag"] != tag
    stale = error_from(client.put_object, **swap, Body=b"3", IfMatch=tag)
    assert stale == (412, "PreconditionFailed")


def test_moto_believes_everybody_and_everything(moto_server: S3Server) -> None:
    client = s3_client(moto_server, secret_key="wrong")
    digest = "1B2M2Y8AsgTpgAmY7PhCfg=="  # of nothing
    client.put_object(Bucket="bucket", Key="believed", Body=b"1", ContentMD5=digest)


def test_swift_knows_no_conditions_and_says_so(swift_server: S3Server) -> None:
    # It refuses without reading the body: the connection may be closed before the response is read.
    client = s3_client(swift_server, attempts=3)
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"x"'}):
        options = {"Bucket": "bucket", "Key": "conditional", "Body": b"1", **condition}
        assert error_from(client.put_object, **options) == (501, "NotImplemented")
    assert error_from(client.head_object, Bucket="bucket", Key="conditional")[0] == 404


def test_swift_checks_the_signature(swift_server: S3Server) -> None:
    client = s3_client(swift_server, secret_key="wrong")
    wrong = error_from(client.list_objects_v2, Bucket="bucket")
    assert wrong == (403, "SignatureDoesNotMatch")


def test_swift_checks_digests_of_md5_only(swift_server: S3Server) -> None:
    client = s3_client(swift_server)
    wrong = {"Bucket": "bucket", "Key": "digest", "Body": b"1"}
    refused = error_from(client.put_object, **wrong, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert refused == (400, "BadDigest")
    nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    client.put_object(**wrong, ChecksumSHA256=nothing)


def test_both_are_reached_through_a_fault_proxy(s3_server: S3Server) -> None:
    # botocore waits for the go-ahead before it sends a body; its signature holds for the host.
    with fault_proxy(s3_server.url) as proxy:
        client = s3_client(replace(s3_server, url=proxy.url))
        content = os.urandom(300_000)
        client.put_object(Bucket="bucket", Key="through", Body=content)
        assert client.get_object(Bucket="bucket", Key="through")["Body"].read() == content
        keys = client.list_objects_v2(Bucket="bucket", Prefix="through")["Contents"]
        assert [each["Key"] for each in keys] == ["through"]
        (put,) = (each for each in proxy.rules.requests if each.method == "PUT")
        assert ("Expect", "100-continue") in put.headers
