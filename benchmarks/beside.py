"""Bytes of a publication beside few and many modules: what it reads and writes of the others.

The server is nginx on loopback, behind a relay that counts whole messages, headers included.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.measure import Row
from benchmarks.workspace import Workspace
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.record import Release, make_release
from tests.contract.opened import EAGER
from tests.contract.page import shown_on_page
from tests.support.releases import release_fields, release_of
from tests.support.servers import nginx

_FEW, _MANY = 50, 500
_MOST = 512
_TEXTS: dict[str, Any] = {
    "name": "Energy Meters of Line",
    "description": "Reads energy meters over Modbus TCP and M-Bus into tags, with alarms.",
    "tags": ["production", "energy"],
    "notes": "- a reconnect storm after a switch restarts\n- negative values\n" * 20,
}


def measure_beside(workspace: Workspace) -> list[Row]:
    """Publish one version beside 50 modules and beside 500, as a job does: with the probe."""
    found = {}
    for modules in (_FEW, _MANY):
        with tempfile.TemporaryDirectory(dir=workspace.folder) as folder:
            found[modules] = _publish_beside(modules, Path(folder))
    (few_down, few_up), (down, up) = found[_FEW], found[_MANY]
    return [
        Row(
            f"nginx, publication beside {_MANY} modules: bytes down / up, for each of them",
            f"{down / _MANY:.0f} / {up / _MANY:.0f}",
            f"{_MOST} each",
            max(down, up) <= _MOST * _MANY,
        ),
        Row(
            f"nginx, publication beside {_MANY} modules / beside {_FEW}: bytes down / up",
            f"{down / few_down:.1f} x / {up / few_up:.1f} x",
            f"{_MANY // _FEW} x",
            down <= few_down * _MANY / _FEW and up <= few_up * _MANY / _FEW,
        ),
    ]


def _publish_beside(modules: int, folder: Path) -> tuple[int, int]:
    """Return how many bytes came down and went up."""
    with nginx(folder / "nginx") as server:
        _fill(server.root / "store", modules=modules)
        open_repository(f"{server.url}/store").maintenance.reindex()
        with counting_relay(server.url) as relay:
            repository = open_repository(f"{relay.url}/store", access=Access(wait_policy=EAGER))
            _publish(repository, folder / "in")
            found = relay.down, relay.up
        shown = shown_on_page(repository)
        assert shown is not None
        assert len(shown) == modules + 1
    return found


def _publish(repository: Repository, folder: Path) -> None:
    release, files = release_of(folder, module_id="com.example.m7", version="2.0.0", **_TEXTS)
    repository.publish(release, files=files)


def _fill(root: Path, *, modules: int) -> None:
    for number in range(modules):
        fields = release_fields(module_id=f"com.example.m{number}") | _TEXTS
        release: Release = make_release(**fields)
        folder = root / "modules" / release.id / release.version
        folder.mkdir(parents=True)
        (folder / release.module_file.name).write_bytes(b"module")
        (folder / "release.json").write_bytes(release.to_json())


@dataclass
class CountingRelay:
    """Passes connections on to a server, and counts their bytes."""

    host: str
    port: int
    listener: socket.socket
    counting: threading.Lock = field(default_factory=threading.Lock)
    down: int = 0
    up: int = 0

    @property
    def url(self) -> str:
        """The address to use instead of the server's."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection((self.host, self.port))
                for source, target in ((client, server), (server, client)):
                    is_up = source is client
                    pump = threading.Thread(target=self._pump, args=(source, target, is_up))
                    pump.daemon = True
                    pump.start()

    def _pump(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:  # noqa: FBT001 - a thread's argument
        with suppress(OSError):
            while data := source.recv(1 << 16):
                with self.counting:
                    if is_up:
                        self.up += len(data)
                    else:
                        self.down += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def counting_relay(url: str) -> Iterator[CountingRelay]:
    """Run a relay for the server at this URL."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = CountingRelay(parts.hostname or "", parts.port or 80, listener)
        thread = threading.Thread(target=relay.run, daemon=True)
        thread.start()
        yield relay


if __name__ == "__main__":
    from benchmarks.measure import print_table

    with tempfile.TemporaryDirectory() as scratch:
        print_table(measure_beside(Workspace.open(Path(scratch))))
