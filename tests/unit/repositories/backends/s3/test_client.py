"""The client: which keys it has, what of the machine it looks at, and what it sends."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import botocore
import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import SilentReporter
from ign_deploy.repositories import open_repository
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.address import read_address
from ign_deploy.repositories.backends.s3.client import Keys, make_client, read_keys
from tests.unit.repositories.backends.s3.conftest import Bucket

ROOT = Path(__file__).resolve().parents[5]
ENV = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_SESSION_TOKEN": "t0ken",
}


def test_keys_are_the_users_else_the_environments_else_none() -> None:
    assert read_keys(Access(env=ENV)) == Keys("id", "s3cret", "t0ken")
    assert read_keys(Access(username="u", password="p", env=ENV)) == Keys("u", "p")
    assert read_keys(Access()) is None
    assert "s3cret" not in repr(read_keys(Access(env=ENV)))
    assert "t0ken" not in repr(read_keys(Access(env=ENV)))


@pytest.mark.parametrize(
    "access",
    [
        Access(username="u"),
        Access(password="s3cret"),
        Access(env={"AWS_ACCESS_KEY_ID": "id"}),
        Access(env={**ENV, "AWS_SECRET_ACCESS_KEY": "s3cret\n"}),
    ],
)
def test_keys_that_cannot_be_used_are_refused_without_showing_them(access: Access) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_keys(access)
    assert refusal.value.hint
    assert "s3cret" not in refusal.value.message + refusal.value.hint


def test_secrets_are_masked_before_anything_else() -> None:
    masked: list[str] = []

    class Masking(SilentReporter):
        def mask(self, secret: str) -> None:
            masked.append(secret)

    open_repository("s3://bucket/x", access=Access(env=ENV), reporter=Masking())
    assert masked == ["s3cret", "t0ken"]


def test_with_keys_nothing_of_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile other]\nregion = eu-north-1\nendpoint_url = https://evil.example\n")
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_PROFILE": "other",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL": "https://evil.example",
        "AWS_ENDPOINT_URL_S3": "https://evil.example",
        "AWS_CA_BUNDLE": "/no/such/file",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "HTTPS_PROXY": "http://evil.example",
    }.items():
        monkeypatch.setenv(name, value)
    address = read_address("s3://bucket", env={})
    client = make_client(address, access=Access(env=ENV), keys=Keys("id", "s3cret"))
    assert client.meta.region_name == "us-east-1"
    assert client.meta.endpoint_url == "https://s3.amazonaws.com"
    assert client.meta.config.proxies == {}
    assert client.meta.config.retries == {"total_max_attempts": 1, "mode": "standard"}


def test_proxies_come_from_the_given_environment() -> None:
    env = {**ENV, "https_proxy": "http://proxy.example:3128", "no_proxy": ".internal.example"}
    for url, proxies in {
        "s3://bucket": {"https": "http://proxy.example:3128"},
        "s3://bucket?endpoint=https://s3.internal.example": {},
    }.items():
        address = read_address(url, env={})
        client = make_client(address, access=Access(env=env), keys=Keys("id", "s3cret"))
        assert client.meta.config.proxies == proxies


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    access = Access(env=ENV, ca=tmp_path / "ca.pem")
    with pytest.raises(ConfigurationError, match=r"ca\.pem are not a file"):
        open_repository("s3://bucket", access=access).check()


def test_without_any_credentials_it_says_how_to_give_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="no credentials for s3://bucket") as refusal:
        open_repository("s3://bucket?endpoint=http://127.0.0.1:9").check()
    assert "AWS_ACCESS_KEY_ID" in refusal.value.hint


def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(ConfigurationError, match="botocore") as refusal:
        open_repository("s3://bucket")
    assert "pip install 'ign-deploy[s3]'" in refusal.value.hint


def test_the_signature_covers_the_body_and_small_ones_need_no_permission(bucket: Bucket) -> None:
    bucket.objects().put("index.json", b"content", replaces=None)
    (put,) = (each for each in bucket.proxy.rules.requests if each.method == "PUT")
    headers = {name.lower(): value for name, value in put.headers}
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
    assert headers["content-length"] == "7"
    assert headers["content-type"] == "application/json"
    assert "x-amz-checksum-sha256" in headers["authorization"]
    assert not {"expect", "transfer-encoding", "x-amz-trailer"} & headers.keys()


def test_the_image_keeps_of_botocore_what_is_needed(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    kept = re.findall(r"! -name (\S+)", text)
    dropped = re.findall(r"-name '([a-z]+-1\.json|[a-z]+-2\.json)'", text)
    assert dropped == ["examples-1.json", "waiters-2.json"]
    package = Path(botocore.__file__).parent
    (tmp_path / "botocore" / "data").mkdir(parents=True)
    for each in package.iterdir():
        if each.name not in {"data", "__pycache__"}:
            (tmp_path / "botocore" / each.name).symlink_to(each)
    for each in (package / "data").rglob("*.json*"):
        name = each.relative_to(package / "data")
        if (name.parts[0] in kept or len(name.parts) == 1) and each.name not in dropped:
            (tmp_path / "botocore" / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "botocore" / "data" / name).symlink_to(each)
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
import botocore
assert botocore.__file__.startswith({str(tmp_path)!r})
from botocore.session import Session
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.address import read_address
from ign_deploy.repositories.backends.s3.client import Keys, make_client
address = read_address("s3://bucket?region=eu-central-1", env={{}})
make_client(address, access=Access(), keys=Keys("a", "b"))
assert len(Session().get_available_services()) == 5
for service in ("sts", "sso", "sso-oidc", "signin"):
    Session().create_client(service, region_name="eu-central-1")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
