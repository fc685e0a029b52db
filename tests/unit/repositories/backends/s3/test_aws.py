"""The standard AWS settings: read from the given environment and its files, and nowhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.aws import AwsSettings
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.s3.bucket import s3_settings
from tests.contract.stores_s3 import s3_server
from tests.support.servers import moto
from tests.support.serving import Reply, scripted_server, unused_port
from tests.support.tls import make_tls
from tests.unit.repositories.backends.s3.conftest import BucketEnv

ENV = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_SESSION_TOKEN": "t0ken",
}
CONFIG = """\
[default]
region = eu-south-1
[profile plant]
region = eu-north-1
endpoint_url = https://all.example
services = plant-services
[profile other]
endpoint_url = https://other.example
[services plant-services]
s3 =
  endpoint_url = https://s3.example
"""
CREDENTIALS = """\
[plant]
aws_access_key_id = plant-id
aws_secret_access_key = plant-secret
aws_session_token = plant-token
"""


def settings(env: Mapping[str, str], **options: str) -> AwsSettings:
    return s3_settings(Access(env=env, **options))  # type: ignore[arg-type]  # user name, password


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(CONFIG)
    (tmp_path / ".aws" / "credentials").write_text(CREDENTIALS)
    return tmp_path


def test_keys_are_the_users_else_the_environments() -> None:
    assert settings(ENV).credentials()[:3] == ("id", "s3cret", "t0ken")
    assert settings(ENV, username="u", password="p").credentials()[:3] == ("u", "p", None)
    assert "s3cret" not in repr(settings(ENV))


@pytest.mark.parametrize(
    "access",
    [
        Access(username="u"),
        Access(password="s3cret"),
        Access(env={"AWS_ACCESS_KEY_ID": "id"}),
        Access(env={"AWS_SECRET_ACCESS_KEY": "s3cret"}),
        Access(env={**ENV, "AWS_SECRET_ACCESS_KEY": "s3cret\n"}),
    ],
)
def test_unusable_keys_are_rejected_without_showing_them(access: Access) -> None:
    with pytest.raises(ConfigurationError) as caught:
        s3_settings(access).credentials()
    assert caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_secrets_are_masked_before_anything_else() -> None:
    masked: list[str] = []

    class Masking(SilentReporter):
        def mask(self, secret: str) -> None:
            masked.append(secret)

    access = Access(username="u", password="p4ssword", env=ENV)
    open_repository("s3://bucket/x", access=access, reporter=Masking())
    assert masked == ["p4ssword", "s3cret", "t0ken"]


def test_a_profile_has_region_endpoint_and_credentials(home: Path) -> None:
    env = {"HOME": str(home), "AWS_PROFILE": "plant"}
    assert settings(env).region == "eu-north-1"
    assert settings(env).endpoint() == "https://s3.example"
    assert settings(env).endpoint("sts") == "https://all.example"
    assert settings(env).credentials()[:3] == ("plant-id", "plant-secret", "plant-token")
    assert settings({**ENV, **env}).credentials().access_key == "id"  # keys win, as in the AWS CLI
    assert settings({"HOME": str(home)}).region == "eu-south-1"


def test_the_files_may_be_elsewhere(home: Path, tmp_path: Path) -> None:
    env = {
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
        "AWS_PROFILE": "plant",
    }
    assert settings(env).region == "eu-north-1"
    assert settings(env).credentials().access_key == "plant-id"


def test_a_profile_that_is_not_there_is_an_error(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="ProfileNotFound") as caught:
        open_repository(
            "s3://bucket", access=Access(env={"HOME": str(home), "AWS_PROFILE": "none"})
        )
    assert "AWS_PROFILE" in caught.value.hint


@pytest.mark.parametrize(
    ("env", "endpoint"),
    [
        ({}, ""),
        ({"AWS_ENDPOINT_URL": "https://a.example"}, "https://a.example"),
        (
            {"AWS_ENDPOINT_URL": "https://a.example", "AWS_ENDPOINT_URL_S3": "https://b.example"},
            "https://b.example",
        ),
        ({"AWS_PROFILE": "other"}, "https://other.example"),
        ({"AWS_PROFILE": "plant", "AWS_ENDPOINT_URL": "https://a.example"}, "https://a.example"),
        ({"AWS_PROFILE": "plant", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, ""),
    ],
)
def test_the_most_specific_endpoint_holds(home: Path, env: dict[str, str], endpoint: str) -> None:
    assert settings({"HOME": str(home), **env}).endpoint() == endpoint


def test_the_region_is_that_of_the_environment(home: Path) -> None:
    env = {"HOME": str(home), "AWS_DEFAULT_REGION": "eu-west-2"}
    assert settings(env).region == "eu-west-2"
    assert settings({**env, "AWS_REGION": "eu-west-1"}).region == "eu-west-1"
    assert settings({}).region == "us-east-1"
    host = settings({"AWS_USE_FIPS_ENDPOINT": "true"}).amazon_host("us-gov-west-1")
    assert host == "s3-fips.us-gov-west-1.amazonaws.com"


def test_a_region_that_amazon_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="no region europe"):
        settings({}).amazon_host("europe")


def test_a_service_that_is_not_there_is_a_network_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    env = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{unused_port()}",
    }
    with pytest.raises(NetworkError, match="cannot fetch the credentials"):
        settings(env).credentials()


def test_the_process_environment_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        **ENV,
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws" / "credentials"),
        "AWS_PROFILE": "plant",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL": "https://evil.example",
        "AWS_ENDPOINT_URL_S3": "https://evil.example",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/evil",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / ".aws" / "config"),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
    }.items():
        monkeypatch.setenv(name, value)
    closed = settings({"AWS_EC2_METADATA_DISABLED": "true"})
    assert (closed.region, closed.endpoint()) == ("us-east-1", "")
    with pytest.raises(ConfigurationError, match="no credentials") as caught:
        closed.credentials()
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_a_job_has_a_web_identity(bucket: BucketEnv, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("header.payload.signature")
    env = {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": s3_server(moto).url,
    }
    assert open_repository(bucket.url, access=Access(env=env)).check().writable
    sent = dict(bucket.proxy.rules.requests[-1].headers)
    assert sent["X-Amz-Security-Token"]


def test_a_container_has_a_role() -> None:
    role = {
        "AccessKeyId": "role-id",
        "SecretAccessKey": "role-secret",
        "Token": "role-token",
        "Expiration": "2999-01-01T00:00:00Z",
    }
    with scripted_server(Reply(body=json.dumps(role).encode())) as server:
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/role"}
        assert settings(env).credentials()[:3] == ("role-id", "role-secret", "role-token")


def test_a_rejected_web_identity_is_explained(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken")
    error = b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>"
    with scripted_server(Reply(400, body=error)) as server:
        env = {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL": server.url,
        }
        with pytest.raises(ConfigurationError, match="AWS settings") as caught:
            settings(env).credentials()
    assert "t0ken" not in str(caught.value)


ROLE = b"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>role-id</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>
<SessionToken>role-token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


def test_a_role_is_fetched_with_the_stores_authority_or_amazons_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t0ken")
    tls = make_tls(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca))
    with scripted_server(*[Reply(200, body=ROLE)] * 2, tls=tls.context) as server:
        env = {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/publisher",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": server.url,
            "AWS_MAX_ATTEMPTS": "1",
        }
        with pytest.raises(NetworkError, match="cannot fetch the credentials"):
            settings(env).credentials()
        for found in (
            s3_settings(Access(env=env, ca=tls.ca)),
            settings({**env, "AWS_CA_BUNDLE": str(tls.ca)}),
        ):
            assert found.credentials()[:3] == ("role-id", "role-secret", "role-token")


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    access = Access(env=ENV, ca=tmp_path / "ca.pem")
    with pytest.raises(ConfigurationError, match=r"ca\.pem are not a file"):
        open_repository("s3://bucket", access=access).check()


def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(ConfigurationError, match="botocore") as caught:
        open_repository("s3://bucket")
    assert "pip install 'ign-deploy[s3]'" in caught.value.hint
