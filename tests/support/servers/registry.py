"""The CNCF registry (docker-registry): an OCI store on a local disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers.processes import (
    Credentials,
    WebServer,
    answers,
    find_program,
    free_port,
    output_of,
    running,
)

PACKAGES = "docker-registry apache2-utils"


class RegistryServer(WebServer):
    """A running registry; ``root`` is its storage."""


@contextmanager
def registry(
    folder: Path,
    *,
    credentials: Credentials | None = None,
    tokens: Mapping[str, str] | None = None,
    delete: bool = False,
) -> Iterator[RegistryServer]:
    """Run a registry with its storage in the folder; ``delete`` allows deleting manifests.

    ``tokens`` are its settings for a token server (``auth: token``).
    """
    program = find_program("docker-registry", packages=PACKAGES)
    root = folder / "storage"
    root.mkdir(parents=True)
    port = free_port()
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": delete},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if credentials:
        users = folder / "users"
        users.write_text(_bcrypt_line(credentials), "utf-8")
        settings["auth"] = {"htpasswd": {"realm": "store", "path": str(users)}}
    if tokens:
        settings["auth"] = {"token": dict(tokens)}
    configuration = folder / "registry.yml"
    # JSON is YAML.
    configuration.write_text(json.dumps(settings), "utf-8")
    command = (program, "serve", str(configuration))
    with running(command, name="registry", folder=folder, ready=lambda: answers(port, "/v2/")):
        yield RegistryServer(
            url=f"http://127.0.0.1:{port}",
            version=output_of(program, "--version"),
            root=root,
            credentials=credentials,
        )


def _bcrypt_line(credentials: Credentials) -> str:
    """Return the user's line of a password file; the registry takes bcrypt only."""
    done = subprocess.run(
        [find_program("htpasswd", packages=PACKAGES), "-niBC4", credentials.username],
        input=credentials.password,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip() + "\n"
