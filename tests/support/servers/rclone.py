"""rclone's WebDAV server, which is that of Go's x/net/webdav: it locks files by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers.processes import (
    Credentials,
    WebServer,
    accepts,
    find_program,
    free_port,
    output_of,
    running,
)


@contextmanager
def rclone(folder: Path, *, credentials: Credentials) -> Iterator[WebServer]:
    """Run rclone with its files in the folder; what it serves is in ``root``."""
    program = find_program("rclone", packages="rclone")
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    command = (
        *(program, "serve", "webdav", str(root), "--addr", f"127.0.0.1:{port}"),
        *("--config", str(folder / "rclone.conf"), "--cache-dir", str(folder / "cache")),
        *("--user", credentials.username, "--pass", credentials.password),
    )
    with running(command, name="rclone", folder=folder, ready=lambda: accepts(port)):
        yield WebServer(
            url=f"http://127.0.0.1:{port}",
            version=output_of(program, "version").splitlines()[0],
            root=root,
            credentials=credentials,
        )
