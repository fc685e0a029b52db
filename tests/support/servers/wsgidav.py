"""WsgiDAV, a WebDAV server in Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.support.servers.processes import Credentials, WebServer, accepts, free_port, running


@contextmanager
def wsgidav(folder: Path, *, credentials: Credentials) -> Iterator[WebServer]:
    """Run WsgiDAV with its files in the folder; what it serves is in ``root``."""
    root = folder / "served"
    root.mkdir(parents=True)
    port = free_port()
    user = {credentials.username: {"password": credentials.password}}
    configuration = folder / "wsgidav.json"
    configuration.write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "port": port,
                "provider_mapping": {"/": str(root)},
                "simple_dc": {"user_mapping": {"*": user}},
                "http_authenticator": {"accept_digest": False, "default_to_digest": False},
            }
        ),
        "utf-8",
    )
    # Isolated, so that nothing of the folder it runs in is imported.
    run = "from wsgidav.server.server_cli import run; run()"
    command = (sys.executable, "-I", "-c", run, "--config", str(configuration))
    with running(command, name="wsgidav", folder=folder, ready=lambda: accepts(port)):
        yield WebServer(
            url=f"http://127.0.0.1:{port}",
            version=f"WsgiDAV {version('wsgidav')}",
            root=root,
            credentials=credentials,
        )
