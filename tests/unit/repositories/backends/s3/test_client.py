"""What a request carries: its signature, its digest, and nothing that a server may not know."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import botocore
import pytest
from requests import Request

from ign_deploy.repositories.backends.s3.client import S3Auth
from tests.unit.repositories.backends.s3.conftest import BucketEnv

ROOT = Path(__file__).resolve().parents[5]


def test_the_signature_covers_the_body(bucket: BucketEnv) -> None:
    bucket.objects().put("index.json", b"content", replaces=None)
    (put,) = (each for each in bucket.proxy.rules.requests if "index.json" in each.path)
    headers = {name.lower(): value for name, value in put.headers}
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
    assert headers["content-length"] == "7"
    assert headers["content-type"] == "application/json"
    assert "content-type;host;if-none-match;x-amz-checksum-sha256" in headers["authorization"]
    assert headers["x-amz-security-token"] == "t0ken-of-the-test"
    assert not {"expect", "transfer-encoding", "x-amz-trailer"} & headers.keys()


def test_a_redirect_to_another_server_carries_no_signature(bucket: BucketEnv) -> None:
    auth = S3Auth(bucket.client().bucket, credentials=lambda: pytest.fail("was needed"))
    request = Request("GET", "https://other.example/x", headers={"Range": "bytes=1-"}, auth=auth)
    assert request.prepare().headers == {"Range": "bytes=1-"}


def test_the_image_keeps_what_is_needed_of_botocore(tmp_path: Path) -> None:
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
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.client import open_client
url = "s3://bucket?region=eu-central-1"
client = open_client(url, access=Access(username="a", password="b"))
assert client.bucket.host == "bucket.s3.eu-central-1.amazonaws.com"
assert len(Session().get_available_services()) == 4
for service in ("sts", "sso", "sso-oidc", "signin"):
    Session().create_client(service, region_name="eu-central-1")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
