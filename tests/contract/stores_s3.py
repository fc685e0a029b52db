"""Empty S3 repositories: moto honours conditions, Swift has none and checks signatures.

A proxy in front of moto has the habits of two other stores.
"""

from __future__ import annotations

import atexit
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.contract.opened import Opened
from tests.support.fault_proxy import fault_proxy
from tests.support.faults import AnswerInstead
from tests.support.servers import S3Server, moto, s3_client, swift

Start = Callable[[Path], AbstractContextManager[S3Server]]
_running: dict[tuple[int, Start], S3Server] = {}


def s3_server(start: Start) -> S3Server:
    """Return this process's server of that kind; it is started once and stopped at the end."""
    key = (os.getpid(), start)
    if key not in _running:
        stack = ExitStack()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        _running[key] = stack.enter_context(start(folder / "server"))
        atexit.register(_stop, key[0], stack)
    return _running[key]


def _stop(pid: int, stack: ExitStack) -> None:
    if pid == os.getpid():
        stack.close()


def new_bucket(server: S3Server) -> str:
    """Make an empty bucket; return its name."""
    bucket = f"test-{secrets.token_hex(8)}"
    s3_client(server).create_bucket(Bucket=bucket)
    return bucket


@contextmanager
def s3_store(folder: Path) -> Iterator[Opened]:
    """Yield an empty bucket of moto; the keys are in the environment."""
    server = s3_server(moto)
    yield Opened(
        f"s3://{new_bucket(server)}?endpoint={server.url}",
        server=server.url,
        version=server.version,
        env={
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
        },
    )


@contextmanager
def s3_habits_store(folder: Path) -> Iterator[Opened]:
    """Yield a bucket of a store that refuses a quoted If-Match, and any checksum.

    Ceph's gateway compares the condition without quotes; Backblaze B2 takes no checksums.
    """
    with s3_store(folder) as opened, fault_proxy(opened.server) as proxy:
        proxy.rules.add(_refusal(412, "PreconditionFailed"), header='if-match: "', times=None)
        proxy.rules.add(
            _refusal(400, "InvalidArgument"), header="x-amz-(sdk-)?checksum", times=None
        )
        yield replace(opened.through(proxy.url), version=f"{opened.version} behind a proxy")


def _refusal(status: int, code: str) -> AnswerInstead:
    text = f"<Error><Code>{code}</Code><Message>Refused.</Message></Error>"
    return AnswerInstead(status, {"Content-Type": "application/xml"}, text.encode())


@contextmanager
def s3_swift_store(folder: Path) -> Iterator[Opened]:
    """Yield a folder in an empty bucket of Swift; the keys are user name and password."""
    server = s3_server(swift)
    yield Opened(
        f"s3://{new_bucket(server)}/team/modules?endpoint={server.url}&region={server.region}",
        server=server.url,
        version=server.version,
        username=server.access_key,
        password=server.secret_key,
    )
