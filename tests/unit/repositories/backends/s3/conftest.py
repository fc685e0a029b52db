"""Fixtures: an empty bucket of moto behind a proxy that can break everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.s3.client import S3Client, open_client
from ign_deploy.repositories.backends.s3.objects import S3ObjectStore
from ign_deploy.repositories.record import ReleaseFile
from tests.contract.stores_s3 import new_bucket, s3_server
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.faults import AnswerInstead
from tests.support.reporting import Recorder
from tests.support.servers import S3Server, moto, s3_client

PROBE = r"/\.ign-deploy/probe-"
SECRET = "s3cr3t-of-the-test"


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait_before", lambda *_: 0.001)


@dataclass
class BucketEnv:
    """A bucket, its objects through the proxy, and directly (``direct``)."""

    name: str
    server: S3Server
    proxy: FaultProxy
    reporter: Recorder = field(default_factory=Recorder)

    @property
    def url(self) -> str:
        return f"s3://{self.name}/team?endpoint={self.proxy.url}"

    @property
    def direct(self) -> Any:
        return s3_client(self.server)

    def client(self) -> S3Client:
        env = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": "t0ken-of-the-test",
        }
        return open_client(self.url, access=Access(env=env, reporter=self.reporter))

    def objects(self) -> S3ObjectStore:
        return S3ObjectStore(self.client(), wait_policy=WaitPolicy(grace=0.05, poll=0.01))

    def read(self, path: str) -> bytes:
        found = self.direct.get_object(Bucket=self.name, Key=f"team/{path}")
        data: bytes = found["Body"].read()
        return data

    def stored(self) -> list[str]:
        found = self.direct.list_objects_v2(Bucket=self.name)
        return [each["Key"] for each in found.get("Contents", ())]


@pytest.fixture
def bucket() -> Iterator[BucketEnv]:
    server = s3_server(moto)
    with fault_proxy(server.url) as proxy:
        yield BucketEnv(new_bucket(server), server, proxy)


def s3_error(status: int, code: str, **fields: str) -> AnswerInstead:
    """Return an error as S3 words it."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    said = f"<Code>{code}</Code><Message>so {{says}} the store</Message>{more}"
    text = f"<?xml version='1.0'?><Error>{said}</Error>"
    return AnswerInstead(status, {"Content-Type": "application/xml"}, text.encode())


def file_of(folder: Path, content: bytes) -> tuple[Path, ReleaseFile]:
    """Write a file; return it and what its record says."""
    import hashlib

    path = folder / "thing.modl"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return path, ReleaseFile(name="thing.modl", sha256=digest, size=len(content), role="module")
