from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.backends.s3.address import Address, read_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://bucket", Address("bucket")),
        ("s3://bucket/a/b%20c/", Address("bucket", "a/b c")),
        ("s3://my.bucket-1/a?region=eu-central-1", Address("my.bucket-1", "a", "", "eu-central-1")),
        (
            "s3://bucket?endpoint=https://minio.example:9000/",
            Address("bucket", "", "https://minio.example:9000", "", path_style=True),
        ),
        (
            "s3://bucket?endpoint=https://host&path-style=false",
            Address("bucket", "", "https://host"),
        ),
        (
            "s3://bucket?endpoint=http://127.0.0.1:9000",
            Address("bucket", "", "http://127.0.0.1:9000", "", path_style=True),
        ),
        ("s3://bucket?path-style=true", Address("bucket", path_style=True)),
    ],
)
def test_a_url_is_read(url: str, address: Address) -> None:
    assert read_address(url, env={}) == address


def test_the_region_of_the_url_wins_over_the_environments() -> None:
    env = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert read_address("s3://bucket?region=eu-west-3", env=env).region == "eu-west-3"
    assert read_address("s3://bucket", env=env).region == "eu-west-1"
    env = {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert read_address("s3://bucket", env=env).region == "eu-west-2"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://ab/x", "names no bucket"),
        ("s3://under_score/x", "names no bucket"),
        ("s3://minio.example:9000/bucket", "names no bucket"),
        ("s3:///bucket", "can't be read"),
        ("s3://key:s3cret@bucket/x", "holds credentials"),
        ("s3://bucket?endpoint=http://minio.example", "isn't encrypted"),
        ("s3://bucket?endpoint=https://key:s3cret@minio.example", "more than scheme"),
        ("s3://bucket?endpoint=https://minio.example/path", "more than scheme"),
        ("s3://bucket?endpoint=minio.example:9000", "have the form http"),
        ("s3://bucket?region=EU_1", "region"),
        ("s3://bucket?path-style=yes", "path-style"),
        ("s3://bucket/a/../b", "beginning of keys"),
        ("s3://bucket/a//b", "beginning of keys"),
        ("s3://bucket/a%0Ab", "beginning of keys"),
        ("s3://bucket/" + "x" * 500, "beginning of keys"),
        ("s3://bucket?secret=s3cret", "unknown option"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained_without_its_secrets(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refusal:
        read_address(url, env={})
    assert refusal.value.hint
    assert "s3cret" not in refusal.value.message + refusal.value.hint
