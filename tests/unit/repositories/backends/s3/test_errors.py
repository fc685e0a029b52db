"""What the store's errors mean, and what to do about them; no message contains a secret."""

from __future__ import annotations

import re

import pytest

from ign_deploy.errors import ConfigurationError, IgnDeployError, NetworkError, RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3 import errors
from ign_deploy.repositories.backends.s3.bucket import read_bucket, s3_settings
from ign_deploy.repositories.backends.s3.client import open_client
from tests.support.faults import AnswerInstead
from tests.support.serving import unused_port
from tests.unit.repositories.backends.s3.conftest import SECRET, BucketEnv, s3_error


@pytest.mark.parametrize(
    ("reply", "message", "hint"),
    [
        (s3_error(403, "AccessDenied"), "lack s3:ListBucket", "allow s3:ListBucket on arn:aws:s3"),
        (s3_error(403, "InvalidAccessKeyId"), "rejects the access keys", "set both keys again"),
        (s3_error(403, "SignatureDoesNotMatch"), "rejects the access keys", "set both keys again"),
        (s3_error(400, "ExpiredToken"), "session token .* has expired", "fetch new credentials"),
        (s3_error(403, "RequestTimeTooSkewed"), "clock", "set the clock"),
        (s3_error(404, "NoSuchBucket"), "has no bucket test-", "create the bucket"),
        (
            AnswerInstead(301, {"x-amz-bucket-region": "eu-west-1"}),
            "is in the region eu-west-1",
            r"\?region=eu-west-1",
        ),
        (
            s3_error(400, "AuthorizationHeaderMalformed", Region="eu-west-2"),
            "is in the region eu-west-2",
            r"\?region=eu-west-2",
        ),
        (s3_error(301, "PermanentRedirect"), "in another region", r"\?region="),
        (AnswerInstead(302, {"Location": "https://evil.example/"}), "isn't followed", "URL"),
        (s3_error(507, "XMinioStorageFull"), "no space", "quota"),
        (s3_error(400, "::error:: two words"), r"returned 400 \(no code\)", "endpoint"),
        (AnswerInstead(405, {}, b"<!DOCTYPE html><p>hello"), "returned 405", "endpoint"),
        (
            AnswerInstead(200, {}, b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"),
            "something other than S3's XML",
            "endpoint",
        ),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(
    bucket: BucketEnv, reply: AnswerInstead, message: str, hint: str
) -> None:
    rule = bucket.proxy.rules.add(reply, times=None)
    with pytest.raises(IgnDeployError, match=message) as caught:
        bucket.objects().probe()
    assert isinstance(caught.value, RepositoryError | ConfigurationError)
    assert caught.match(message)
    assert re.search(hint, caught.value.hint)
    assert rule.hits == 1  # no other request is made, here or elsewhere
    text = caught.value.message + caught.value.hint
    assert SECRET not in text
    assert "t0ken-of-the-test" not in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("GetObject", "s3:GetObject"),
        ("PutObject", "s3:PutObject"),
        ("DeleteObject", "s3:DeleteObject"),
        ("CreateMultipartUpload", "s3:PutObject"),
    ],
)
def test_the_missing_right_is_named(bucket: BucketEnv, operation: str, action: str) -> None:
    bucket.proxy.rules.add(s3_error(403, "AccessDenied"))
    with pytest.raises(RepositoryError, match=f"lack {action}") as caught:
        bucket.client().call(operation, "a")
    assert f"allow {action} on arn:aws:s3:::{bucket.name}/team/*" in caught.value.hint


@pytest.mark.parametrize(
    "reply",
    [
        s3_error(409, "ConditionalRequestConflict"),
        s3_error(503, "SlowDown"),
        s3_error(400, "RequestTimeout"),
        s3_error(500, "InternalError"),
        AnswerInstead(429, {"Retry-After": "0"}),
        AnswerInstead(502, {}, b"<!DOCTYPE html><p>bad gateway"),
    ],
)
def test_transient_errors_are_retried(bucket: BucketEnv, reply: AnswerInstead) -> None:
    rule = bucket.proxy.rules.add(reply, times=2)
    bucket.client().call("PutObject", "a", body=b"x")
    assert rule.hits == 2
    assert len(bucket.reporter.warnings) == 2
    assert bucket.read("a") == b"x"


def test_the_fifth_attempt_is_the_last(bucket: BucketEnv) -> None:
    rule = bucket.proxy.rules.add(s3_error(503, "SlowDown"), times=None)
    with pytest.raises(NetworkError, match="returned 503"):
        bucket.client().call("PutObject", "a", body=b"x")
    assert rule.hits == 5


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    url = f"s3://bucket?endpoint=http://127.0.0.1:{unused_port()}"
    access = Access(username="a", password=SECRET)
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 refused the connection") as caught:
        open_client(url, access=access).call("GetObject", "a")
    assert SECRET not in str(caught.value)


def test_a_proxy_that_is_not_there_is_named() -> None:
    proxy = f"http://user:{SECRET}@127.0.0.1:{unused_port()}"
    access = Access(username="a", password="b", env={"https_proxy": proxy})
    client = open_client("s3://bucket?endpoint=https://s3.example", access=access)
    with pytest.raises(NetworkError, match=r"s3\.example through the proxy 127") as caught:
        client.call("GetObject", "a")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("style", ["false", "true"])
def test_a_bucket_without_a_host_of_its_own_is_advised_to_use_paths(style: str) -> None:
    """Nothing listens there, or the name can't be resolved: the bucket's host doesn't exist."""
    endpoint = f"http://localhost:{unused_port()}"
    url = f"s3://bucket?endpoint={endpoint}&path-style={style}"
    client = open_client(url, access=Access(username="a", password="b"))
    with pytest.raises(NetworkError) as caught:
        client.call("GetObject", "a", retry=RetryPolicy(attempts=1))
    assert ("remove path-style=false" in caught.value.hint) is (style == "false")


def test_a_policy_that_requires_encryption_headers_is_said_not_to_be_supported() -> None:
    body = b"<Error><Code>AccessDenied</Code></Error>"
    bucket = read_bucket("s3://bucket", settings=s3_settings(Access()))
    for operation, is_said in (("PutObject", True), ("GetObject", False)):
        problem = errors.s3_error(operation, Response(403, body=body), bucket=bucket)
        assert ("x-amz-server-side-encryption" in problem.hint) is is_said
