"""moto's server: S3 with conditional writes; it checks no credentials."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.support.servers.processes import accepts, free_port, running
from tests.support.servers.s3 import S3Server

# moto looks at a condition and writes afterwards, in as many threads as there are requests: unlike
# S3, it lets two writers win. Bodies have been read before these methods are called.
_ONE_WRITE_AT_A_TIME = """
import functools, sys, threading
from moto.s3.responses import S3Response
from moto.server import main
lock = threading.RLock()
def locked(method):
    @functools.wraps(method)
    def run(*arguments, **named):
        with lock:
            return method(*arguments, **named)
    return run
for name in ("_key_response_put", "_key_response_post", "_key_response_delete"):
    setattr(S3Response, name, locked(getattr(S3Response, name)))
main(sys.argv[1:])
"""


@contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """Run moto's server, which keeps everything in memory; the folder gets its log."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # Isolated, so that nothing of the folder it runs in is imported.
    command = (sys.executable, "-I", "-c", _ONE_WRITE_AT_A_TIME, "-H", "127.0.0.1", "-p", str(port))
    with running(command, name="moto", folder=folder, ready=lambda: accepts(port)):
        yield S3Server(
            url=f"http://127.0.0.1:{port}",
            version=f"moto {version('moto')}",
            access_key="testing",
            secret_key="testing",
            region="us-east-1",
        )
