"""A store of objects in memory: many writers at once, killed at any step, slow, or forgetful."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import NotInRepository, RepositoryError
from ign_deploy.report import Progress
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import Document


class Killed(BaseException):
    """The process would be dead now; nothing of ours catches it."""


@dataclass
class Memory:
    """What several writers share. ``ahead`` moves the store's clock (seconds)."""

    objects: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ahead: float = 0.0
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class MemoryObjects:
    """One writer's view; ``before_step(number)`` is called before each request."""

    memory: Memory
    before_step: Callable[[int], None] = lambda _: None
    after_step: Callable[[int], None] = lambda _: None
    swaps: bool = True
    steps: int = 0

    def _step(self) -> None:
        self.steps += 1
        self.before_step(self.steps)

    def _done(self) -> None:
        self.after_step(self.steps)

    def exists(self) -> bool:
        return True

    def probe(self) -> Capabilities:
        self._step()
        return Capabilities(
            "memory:", True, "", create_once=True, compare_and_swap=self.swaps,
            server_digest=True, resume=False,
        )  # fmt: skip

    def compares(self) -> bool:
        return self.swaps

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.memory.ahead)

    def url(self, path: str) -> str:
        return f"memory:///{path}"

    def get(self, path: str, *, limit: int) -> Document | None:
        self._step()
        with self.memory.lock:
            data = self.memory.objects.get(path)
        self._done()
        return None if data is None else Document(data[: limit + 1], self._tag(data))

    def _tag(self, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest() if self.swaps else ""

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        self._step()
        with self.memory.lock:
            present = self.memory.objects.get(path)
            if self.swaps and present != (None if replaces is None else replaces.data):
                return False
            self.memory.objects[path] = data
        self._done()
        return True

    def create(self, path: str, data: bytes) -> bool:
        self._step()
        with self.memory.lock:
            if path in self.memory.objects:
                return False
            self.memory.objects[path] = data
        self._done()
        return True

    def created(self, path: str) -> bytes | None:
        document = self.get(path, limit=1 << 30)
        return None if document is None else document.data

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        self._step()
        try:
            data = source.read_bytes()
        except OSError as cause:
            raise RepositoryError(f"cannot read {source}") from cause
        if hashlib.sha256(data).hexdigest() != expected.sha256:
            raise RepositoryError(f"{source} changed while it was being published")
        half = len(data) // 2
        with self.memory.lock:
            self.memory.objects[path] = data[:half]
        self._step()
        with self.memory.lock:
            self.memory.objects[path] = data
        progress(len(data))
        self._done()

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        document = self.get(path, limit=1 << 40)
        if document is None:
            raise NotInRepository(f"{path} is gone")
        assert hashlib.sha256(document.data).hexdigest() == expected.sha256, "mixed bytes"
        to.write(document.data)
        progress(len(document.data))

    def names(self, folder: str) -> list[Name]:
        self._step()
        prefix = f"{folder}/"
        with self.memory.lock:
            rests = [path[len(prefix) :] for path in self.memory.objects if path.startswith(prefix)]
        self._done()
        found = {rest.partition("/")[0]: "/" in rest for rest in rests}
        return [Name(text, is_folder) for text, is_folder in found.items()]

    def delete(self, path: str) -> None:
        self._step()
        with self.memory.lock:
            self.memory.objects.pop(path, None)
        self._done()


class CountedObjects(MemoryObjects):
    """Counts reads and writes by path; ``fails`` are paths that can't be deleted."""

    def __init__(self, memory: Memory, *, fails: str = "") -> None:
        super().__init__(memory)
        self.reads: Counter[str] = Counter()
        self.writes: Counter[str] = Counter()
        self.fails = fails

    def get(self, path: str, *, limit: int) -> Document | None:
        self.reads[path] += 1
        return super().get(path, limit=limit)

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        self.writes[path] += 1
        return super().put(path, data, replaces=replaces)

    def create(self, path: str, data: bytes) -> bool:
        self.writes[path] += 1
        return super().create(path, data)

    def delete(self, path: str) -> None:
        if path == self.fails:
            raise RepositoryError("the disk is broken", hint="")
        super().delete(path)
