"""Objects in memory whose every request is a point at which another task may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from ign_deploy.errors import NotInRepository
from ign_deploy.net.retry import begin_attempt
from ign_deploy.report import Progress, Reporter, SilentReporter
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.backends.s3.client import Entry
from ign_deploy.repositories.backends.s3.objects import OrderedClaims
from ign_deploy.repositories.backends.s3.probe import WAIT
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document
from tests.support.interleaving import Turns
from tests.support.turn_transfers import Transfer

BEGIN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@dataclass
class TurnObjects:
    """One run's view of ``objects``; see ``ObjectStore``.

    ``ahead`` is how much later the store's time is to this run, in seconds; ``is_slow`` makes the
    response a point of its own: what a run measures is longer then. ``is_racy`` lets several runs
    make a folder. ``pauses`` are how long it is suspended before a request, by number; ``transfer``
    is how uploads go.
    """

    turns: Turns
    objects: dict[str, bytes]
    swaps: bool = False
    ahead: float = 0.0
    is_slow: bool = False
    is_racy: bool = False
    pauses: Mapping[int, float] = field(default_factory=dict)
    transfer: Transfer = field(default_factory=Transfer)
    _requests: int = 0

    def exists(self) -> bool:
        return True

    def probe(self) -> Capabilities:
        return Capabilities(
            "memory:", True, "", create_once=True, compare_and_swap=self.swaps,
            server_digest=True, resume=False,
        )  # fmt: skip

    def compares(self) -> bool:
        return self.swaps

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.turns.clock + self.ahead)

    def url(self, path: str) -> str:
        return f"memory:///{path}"

    def get(self, path: str, *, limit: int) -> Document | None:
        self._request(f"get {path}")
        data = self.objects.get(path)
        self._respond(path)
        if data is None:
            return None
        return Document(data[: limit + 1], data.decode("latin-1") if self.swaps else "")

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        self._request(f"put {path}")
        is_other = self.objects.get(path) != (None if replaces is None else replaces.data)
        if not (self.swaps and is_other):
            self.objects[path] = data
        self._respond(path)
        return not (self.swaps and is_other)

    def create(self, path: str, data: bytes) -> bool:
        self._request(f"create {path}")
        is_new = path not in self.objects
        if is_new:
            self.objects[path] = data
        self._respond(path)
        return is_new

    def created(self, path: str) -> bytes | None:
        document = self.get(path, limit=1 << 30)
        return None if document is None else document.data

    def make_once(self, folder: str) -> bool:
        """Make a folder; False if it is there already."""
        if not self.is_racy:
            return self.create(f"{folder}/", b"")
        # As sabre/dav does: it looks first, and ignores that it fails.
        self._request(f"look for {folder}")
        is_new = f"{folder}/" not in self.objects
        self._request(f"make {folder}")
        self.objects[f"{folder}/"] = b""
        return is_new

    def claims_folders(self) -> bool:
        return True

    def settle(self) -> None:
        """Responses are in time."""

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        self._request(f"send {path}")
        self.transfer.run(self.turns, size=expected.size, progress=progress)
        self.objects[path] = source.read_bytes()
        self._respond(path)

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        if path not in self.objects:
            raise NotInRepository(f"{path} is gone")
        to.write(self.objects[path])
        progress(expected.size)

    def names(self, folder: str) -> list[Name]:
        self._request(f"list {folder}")
        prefix = f"{folder}/"
        rests = [path[len(prefix) :] for path in self.objects if path.startswith(prefix)]
        self._respond(folder)
        found = {rest.partition("/")[0]: "/" in rest for rest in rests if rest}
        return [Name(text, is_folder) for text, is_folder in found.items()]

    def delete(self, path: str) -> None:
        self._request(f"delete {path}")
        self.objects.pop(path, None)
        self._respond(path)

    def _request(self, label: str) -> None:
        self._requests += 1
        self.turns.step(label)
        self.turns.sleep(self.pauses.get(self._requests, 0.0))
        begin_attempt()

    def _respond(self, path: str) -> None:
        if self.is_slow:
            self.turns.step(f"response for {path}")


@dataclass
class OrderedTurnObjects(TurnObjects):
    """Objects of a store that creates nothing only once: the oldest of several claims wins.

    ``times`` are when objects were written, in whole seconds.
    """

    times: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        client: Any = _Client(self)
        self._claims = OrderedClaims(client, wait=WAIT, sleep=self.turns.sleep)

    def create(self, path: str, data: bytes) -> bool:
        return self._claims.claim(path, data)

    def created(self, path: str) -> bytes | None:
        oldest = self._claims.oldest(path)
        return None if oldest is None else super().created(oldest)

    def delete(self, path: str) -> None:
        if not self._claims.remove(path):
            super().delete(path)


@dataclass
class _Client:
    """What ``OrderedClaims`` needs of a client."""

    objects: OrderedTurnObjects
    reporter: Reporter = field(default_factory=SilentReporter)

    def call(self, operation: str, path: str, *, body: bytes = b"", retry: object = None) -> None:
        if operation == "DeleteObject":
            TurnObjects.delete(self.objects, path)
            return
        self.objects._request(f"put {path}")
        self.objects.objects[path] = body
        self.objects.times[path] = f"{self.objects.turns.clock:09.0f}"
        self.objects._respond(path)

    def entries(self, folder: str) -> list[Entry]:
        found = self.objects.names(folder)
        times = self.objects.times
        return [
            Entry(each.text, times.get(f"{folder}/{each.text}", ""), each.is_folder)
            for each in found
        ]
