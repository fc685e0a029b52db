"""A simulated Ignition gateway: stateful, strict, and changed by tests while it runs."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway.clock import VirtualTime
from tests.support.gateway.faults import Canned, Cut, Faults
from tests.support.gateway.modl import UNSIGNED, Modl, read_modl
from tests.support.gateway.options import Fault, Options
from tests.support.gateway.routes import Router
from tests.support.gateway.server import GatewayServer
from tests.support.gateway.state import State
from tests.support.gateway.wire import Request

__all__ = [
    "UNSIGNED",
    "Canned",
    "Cut",
    "Fault",
    "Faults",
    "Gateway",
    "Modl",
    "Options",
    "Request",
    "State",
    "VirtualTime",
    "running_gateway",
]


class Gateway:
    """A running simulated gateway.

    ``options`` and ``faults`` may be changed at any time; ``state`` is what it has.
    ``violations`` are requests that no careful client makes: tests assert that there are none.
    """

    def __init__(
        self,
        folder: Path,
        options: Options,
        *,
        clock: VirtualTime | None,
        port: int,
        tls: tuple[Path, Path] | None,
    ) -> None:
        self.options = options
        self.clock = clock
        self.faults = Faults()
        self.state = State(options, clock=clock or time.monotonic)
        self._router = Router(self.state, folder)
        self._server = GatewayServer(self._router, self.faults, port=port, tls=tls)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return self._server.url

    @property
    def violations(self) -> list[str]:
        """What was wrong with requests, in order."""
        return self._router.violations

    @property
    def requests(self) -> list[Request]:
        """Every request that arrived while it was up, in order; their bodies are gone."""
        return self._server.seen

    def asked(self, path: str, *, method: str = "") -> int:
        """Count the requests of that method to a path with that end."""
        return sum(
            request.path.endswith(path) and method in ("", request.method)
            for request in self.requests
        )

    def have(self, path: Path, *, state: str = "ACTIVE") -> Modl:
        """Have that module installed, accepted and in that state, as if it had always been."""
        modl = read_modl(path, file_name=path.name)
        with self.state.lock:
            self.state.put(modl, state=state)
        return modl

    def version_of(self, module_id: str) -> str:
        """Return the version that is listed, empty when there is none."""
        listed = self.state.listed.get(module_id)
        return listed.modl.version if listed is not None else ""

    def serve(self) -> None:
        """Answer until ``stop``."""
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        """End ``serve``."""
        self._server.shutdown()

    def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


@contextmanager
def running_gateway(
    options: Options | None = None,
    *,
    clock: VirtualTime | None = None,
    port: int = 0,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[Gateway]:
    """Run a gateway on loopback; ``tls`` is (certificate, key), both PEM.

    Its time is real, shortened by ``options.scale``, unless a ``clock`` is given: then nothing
    happens by itself until somebody sleeps on it.
    """
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), options or Options(), clock=clock, port=port, tls=tls)
        thread = threading.Thread(target=gateway.serve)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.stop()
            gateway.close()
            thread.join()
