"""Which bucket a URL and the AWS settings mean, and where its objects are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.bucket import Bucket, read_bucket, s3_settings

NO_ENV: Mapping[str, str] = {}


def read(url: str, env: Mapping[str, str] = NO_ENV) -> Bucket:
    return read_bucket(url, settings=s3_settings(Access(env=env)))


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        (
            "s3://bucket",
            Bucket("bucket", "", "https://bucket.s3.us-east-1.amazonaws.com", "us-east-1"),
        ),
        (
            "s3://my.bucket-1/a?region=eu-central-1",
            Bucket(
                "my.bucket-1",
                "a",
                "https://s3.eu-central-1.amazonaws.com/my.bucket-1",
                "eu-central-1",
            ),
        ),
        (
            "s3://bucket?region=cn-north-1",
            Bucket("bucket", "", "https://bucket.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ),
        (
            "s3://bucket?endpoint=https://minio.example:9000/",
            Bucket("bucket", "", "https://minio.example:9000/bucket", "us-east-1"),
        ),
        (
            "s3://bucket?endpoint=https://host&path-style=false",
            Bucket("bucket", "", "https://bucket.host", "us-east-1"),
        ),
        (
            "s3://bucket?endpoint=http://127.0.0.1:9000",
            Bucket("bucket", "", "http://127.0.0.1:9000/bucket", "us-east-1"),
        ),
        (
            "s3://bucket?path-style=true",
            Bucket("bucket", "", "https://s3.us-east-1.amazonaws.com/bucket", "us-east-1"),
        ),
    ],
)
def test_a_url_is_read(url: str, bucket: Bucket) -> None:
    assert read(url) == bucket


def test_keys_are_encoded_as_their_signature_needs_it() -> None:
    bucket = read("s3://bucket/a/b%20c/")
    assert bucket.prefix == "a/b c"
    assert bucket.url("d+e") == "s3://bucket/a/b c/d+e"
    address = bucket.request_url("d+e/\u00fc", {"b": "1/2", "a": "x y"})
    assert address.partition(".com")[2] == "/a/b%20c/d%2Be/%C3%BC?b=1%2F2&a=x%20y"


def test_the_url_wins_over_the_settings() -> None:
    env = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "https://minio.example"}
    bucket = read("s3://bucket?region=eu-west-3&endpoint=https://other.example", env)
    assert (bucket.region, bucket.host) == ("eu-west-3", "other.example")
    bucket = read("s3://bucket", env)
    assert (bucket.region, bucket.root) == ("eu-west-1", "https://minio.example/bucket")


def test_a_configured_endpoint_has_to_be_safe_as_well() -> None:
    with pytest.raises(ConfigurationError, match="not encrypted"):
        read("s3://bucket", {"AWS_ENDPOINT_URL_S3": "http://minio.example"})
    with pytest.raises(ConfigurationError, match="region"):
        read("s3://bucket", {"AWS_REGION": "EU_1"})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://ab/x", "no valid bucket name"),
        ("s3://under_score/x", "no valid bucket name"),
        ("s3://minio.example:9000/bucket", "no valid bucket name"),
        ("s3:///bucket", "is not valid"),
        ("s3://key:s3cret@bucket/x", "holds credentials"),
        ("s3://bucket?endpoint=http://minio.example", "is not encrypted"),
        ("s3://bucket?endpoint=https://key:s3cret@minio.example", "more than scheme"),
        ("s3://bucket?endpoint=https://minio.example/path", "more than scheme"),
        ("s3://bucket?endpoint=minio.example:9000", "http"),
        ("s3://bucket?region=EU_1", "region"),
        ("s3://bucket?path-style=yes", "path-style"),
        ("s3://bucket/a/../b", "not a valid key prefix"),
        ("s3://bucket/a//b", "not a valid key prefix"),
        ("s3://bucket/a%0Ab", "not a valid key prefix"),
        ("s3://bucket/" + "x" * 500, "not a valid key prefix"),
        ("s3://bucket?secret=s3cret", "unknown option"),
    ],
)
def test_an_invalid_url_is_explained_without_its_secrets(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(url)
    assert caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_an_access_point_s_arn_is_said_not_to_be_supported() -> None:
    with pytest.raises(ConfigurationError, match="ARN, which is not supported") as caught:
        read("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/modules/prefix")
    assert "s3://ALIAS-s3alias/prefix" in caught.value.hint
    alias = "modules-1a2b3c4d5e6f7g8h9i0j-s3alias"
    assert read(f"s3://{alias}/prefix").name == alias
