"""What the store's refusals mean, and what to do about them; no message has a secret."""

from __future__ import annotations

import re

import pytest

from ign_deploy.errors import ConfigurationError, IgnDeployError, NetworkError, RepositoryError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.address import read_address
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.client import Keys, make_client
from tests.support.faults import AnswerInstead
from tests.support.http_server import unused_port
from tests.support.transfers import Warnings
from tests.unit.repositories.backends.s3.conftest import SECRET, Bucket, refusal


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (refusal(403, "AccessDenied"), "lack s3:ListBucket", "allow s3:ListBucket on arn:aws:s3"),
        (refusal(403, "InvalidAccessKeyId"), "doesn't know these keys", "set both keys anew"),
        (refusal(403, "SignatureDoesNotMatch"), "doesn't know these keys", "set both keys anew"),
        (refusal(400, "ExpiredToken"), "session token .* has expired", "fetch new credentials"),
        (refusal(403, "RequestTimeTooSkewed"), "clock", "set this machine's clock"),
        (refusal(404, "NoSuchBucket"), "has no bucket test-", "make the bucket"),
        (
            AnswerInstead(301, {"x-amz-bucket-region": "eu-west-1"}),
            "is in the region eu-west-1",
            r"\?region=eu-west-1",
        ),
        (
            refusal(400, "AuthorizationHeaderMalformed", Region="eu-west-2"),
            "is in the region eu-west-2",
            r"\?region=eu-west-2",
        ),
        (refusal(301, "PermanentRedirect"), "in another region", r"\?region="),
        (AnswerInstead(302, {"Location": "https://evil.example/"}), "isn't followed", "endpoint"),
        (refusal(507, "XMinioStorageFull"), "no room", "quota"),
        (refusal(400, "::error:: two words"), r"answered 400 \(no code\)", "endpoint"),
        (AnswerInstead(405, {}, b"<!DOCTYPE html><p>hello"), "answered 405", "endpoint"),
        (
            AnswerInstead(200, {}, b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"),
            "document type",
            "endpoint",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(
    bucket: Bucket, answer: AnswerInstead, message: str, hint: str
) -> None:
    rule = bucket.proxy.rules.add(answer, times=None)
    with pytest.raises(IgnDeployError, match=message) as caught:
        bucket.objects().probe()
    assert isinstance(caught.value, RepositoryError | ConfigurationError)
    assert caught.match(message)
    assert re.search(hint, caught.value.hint)
    assert rule.hits == 1  # it isn't asked again, nor anywhere else
    text = caught.value.message + caught.value.hint
    assert SECRET not in text
    assert "t0ken-of-the-test" not in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("operation", "options", "action"),
    [
        ("get_object", {}, "s3:GetObject"),
        ("head_object", {}, "s3:GetObject"),
        ("put_object", {"Body": b""}, "s3:PutObject"),
        ("delete_object", {}, "s3:DeleteObject"),
        ("create_multipart_upload", {}, "s3:PutObject"),
    ],
)
def test_the_missing_right_is_named(
    bucket: Bucket, operation: str, options: dict[str, bytes], action: str
) -> None:
    bucket.proxy.rules.add(refusal(403, "AccessDenied"))
    with pytest.raises(RepositoryError, match=f"lack {action}") as caught:
        bucket.calls().ask(operation, path="a", **options)
    assert f"allow {action} on arn:aws:s3:::{bucket.name}/team/*" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        refusal(409, "ConditionalRequestConflict"),
        refusal(503, "SlowDown"),
        refusal(400, "RequestTimeout"),
        refusal(500, "InternalError"),
        AnswerInstead(429, {"Retry-After": "0"}),
        AnswerInstead(502, {}, b"<!DOCTYPE html><p>bad gateway"),
    ],
)
def test_what_may_pass_is_tried_again(bucket: Bucket, answer: AnswerInstead) -> None:
    rule = bucket.proxy.rules.add(answer, times=2)
    bucket.calls().ask("put_object", path="a", Body=b"x")
    assert rule.hits == 2
    assert len(bucket.reporter.warnings) == 2
    assert bucket.read("a") == b"x"


def test_it_is_given_up_after_five_attempts(bucket: Bucket) -> None:
    rule = bucket.proxy.rules.add(refusal(503, "SlowDown"), times=None)
    with pytest.raises(NetworkError, match=r"answered 503 \(SlowDown\) to PutObject"):
        bucket.calls().ask("put_object", path="a", Body=b"x")
    assert rule.hits == 5


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    address = read_address(f"s3://bucket?endpoint=http://127.0.0.1:{unused_port()}", env={})
    client = make_client(address, access=Access(), keys=Keys("a", SECRET))
    calls = Calls(address, client=lambda: client, reporter=Warnings())
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1 refused the connection") as caught:
        calls.ask("get_object", path="a")
    assert SECRET not in str(caught.value)


def test_a_proxy_that_is_not_there_is_named() -> None:
    address = read_address("s3://bucket?endpoint=https://s3.example", env={})
    proxy = f"http://user:{SECRET}@127.0.0.1:{unused_port()}"
    access = Access(env={"https_proxy": proxy})
    client = make_client(address, access=access, keys=Keys("a", "b"))
    calls = Calls(address, client=lambda: client, reporter=Warnings())
    with pytest.raises(NetworkError, match=r"the proxy for s3\.example") as caught:
        calls.ask("get_object", path="a")
    assert SECRET not in str(caught.value)
