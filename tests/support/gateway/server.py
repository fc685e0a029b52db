"""The simulated gateway itself: its HTTP, which goes down with it, and what tests look at."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.gateway.actions import GatewayRequest
from tests.support.gateway.modl import Modl, read_modl
from tests.support.gateway.options import Options
from tests.support.gateway.routes import Router
from tests.support.gateway.state import State, VirtualTime
from tests.support.serving import Handler, HttpServer, Reply, Request, serving
from tests.support.tls import Tls

_BLOCK = 1 << 16


class _Handler(Handler):
    """Keeps bodies in files: modules may be large."""

    server: Gateway
    timeout = 30

    def serve(self) -> None:
        if self.server.state.phase() == "down":
            self.reset()
            return
        if self.server.options.hangs:
            self._hang()
            return
        with tempfile.NamedTemporaryFile(suffix=".body") as file:
            path = Path(file.name)
            if not self._receive(path):
                return
            headers = dict(self.headers.items())
            is_tls = self.server.is_tls
            request = GatewayRequest(self.command, self.path, headers, file=path, is_tls=is_tls)
            response = self.server.take(request)
        self.send(response)

    def _hang(self) -> None:
        """Wait until the client gives up."""
        self.server.held += 1
        self.close_connection = True
        with suppress(OSError):
            while self.connection.recv(_BLOCK):
                pass

    def _receive(self, path: Path) -> bool:
        """Write the body to a file; False when the client broke off."""
        left = int(self.headers.get("Content-Length") or 0)
        with path.open("wb") as file:
            while left:
                block = self.rfile.read(min(left, _BLOCK))
                if not block:
                    self.close_connection = True
                    return False
                file.write(block)
                left -= len(block)
        return True


class Gateway(HttpServer):
    """A running simulated gateway.

    ``options`` and ``faults`` may be changed at any time; ``state`` is what it has.
    ``violations`` are requests that no careful client makes: tests assert that there are none.
    The bodies of ``requests`` are gone. ``held`` counts those that it let hang.
    """

    handler = _Handler
    methods = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

    def __init__(
        self, options: Options, *, clock: VirtualTime | None, port: int, tls: Tls | None
    ) -> None:
        super().__init__(port=port, tls=tls.context if tls else None)
        self.options = options
        self.clock = clock
        self.held = 0
        self.state = State(options, clock=clock or time.monotonic)
        self._router = Router(self.state)

    @property
    def violations(self) -> list[str]:
        """What was wrong with requests, in order."""
        return self._router.violations

    def take(self, request: Request) -> Reply:
        """Answer requests one at a time."""
        with self.state.lock:
            return super().take(request)

    def respond(self, request: Request) -> Reply:
        """See ``Router``."""
        assert isinstance(request, GatewayRequest)
        return self._router.answer(request)

    def has_held(self, count: int) -> bool:
        """Return whether it let exactly so many requests hang; the last may not have come yet."""
        end = time.monotonic() + 30
        while self.held < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.held == count

    def asked(self, path: str, *, method: str = "") -> int:
        """Count the requests of that method to a path with that end."""
        return len(self.matching(f"^{method}.*{re.escape(path)}$"))

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


@contextmanager
def running_gateway(
    options: Options | None = None,
    *,
    clock: VirtualTime | None = None,
    port: int = 0,
    tls: Tls | None = None,
) -> Iterator[Gateway]:
    """Run a gateway on loopback.

    Its time is real, shortened by ``options.scale``, unless a ``clock`` is given: then nothing
    happens by itself until someone sleeps on it.
    """
    with serving(Gateway(options or Options(), clock=clock, port=port, tls=tls)) as gateway:
        yield gateway
