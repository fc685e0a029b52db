"""Deployment records for tests, and documents that are kept in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from ign_deploy.deployment.history import History
from ign_deploy.deployment.record_reader import IndexChange
from ign_deploy.deployment.records import (
    DeploymentKind,
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    timestamp,
)
from ign_deploy.report import Reporter, SilentReporter

_BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
PUMP, PLANT = "com.example.pump", "https://plant-1:8043"


@dataclass(frozen=True)
class Stored:
    """A small file."""

    data: bytes


@dataclass
class MemoryDocuments:
    """Small files by path; one that is added is never changed."""

    files: dict[str, bytes] = field(default_factory=dict)
    lists_cheaply: bool = True

    def read(self, path: str) -> Stored | None:
        data = self.files.get(path)
        return None if data is None else Stored(data)

    def read_derived(self, path: str) -> Stored | None:
        return self.read(path)

    def session(self, path: str, *, key: str) -> AbstractContextManager[None]:
        return nullcontext()

    def add(self, path: str, data: bytes) -> None:
        assert self.files.setdefault(path, data) == data, path

    def names(self, folder: str) -> list[str]:
        found = [path.removeprefix(f"{folder}/") for path in self.files if path.startswith(folder)]
        return [name for name in found if "/" not in name]

    def update(self, path: str, *, key: str, change: IndexChange) -> None:
        self.files[path] = change(self.files.get(path), is_complete=True)


@dataclass
class Ledger:
    """Writes deployments, each a minute after the one before."""

    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    environment: str = "production"
    reporter: Reporter = field(default_factory=SilentReporter)
    _minutes: count[int] = field(default_factory=count)

    @property
    def history(self) -> History:
        """The history in the documents."""
        return History(self.documents, reporter=self.reporter)

    def begin(self, version: str, *, previous: str = "", **more: Any) -> DeploymentRecord:
        """Write down that a deployment begins; see ``record``."""
        minute = next(self._minutes)
        started = record(
            version,
            previous=previous,
            id=f"{minute:012x}",
            environment=self.environment,
            started_at=timestamp(_BEGIN + timedelta(minutes=minute)),
            **more,
        )
        self.history.append(started)
        return started

    def end(
        self, started: DeploymentRecord, outcome: Outcome, *, ended_at: str = "", **module: Any
    ) -> DeploymentRecord:
        """Write down how it ended: every module on every gateway alike."""
        ended = self.ended(started, outcome, ended_at=ended_at, **module)
        self.history.append(ended)
        return ended

    def ended(
        self, started: DeploymentRecord, outcome: Outcome, *, ended_at: str = "", **module: Any
    ) -> DeploymentRecord:
        """Return the document of its end: every module on every gateway alike."""
        gateways = []
        for each in started.gateways:
            changed = {"outcome": outcome, **module}
            modules = tuple(one.model_copy(update=changed) for one in each.modules)
            gateways.append(each.model_copy(update={"outcome": outcome, "modules": modules}))
        return started.model_copy(
            update={
                "phase": Phase.ENDED,
                "outcome": outcome,
                "gateways": tuple(gateways),
                "ended_at": ended_at or started.started_at.replace(":00.0", ":30.0"),
            }
        )

    def deploy(self, version: str, *, previous: str = "", **more: Any) -> DeploymentRecord:
        """Write down a deployment that succeeded."""
        return self.end(self.begin(version, previous=previous, **more), Outcome.DEPLOYED)


def record(
    version: str,
    *,
    previous: str = "",
    gateway: str = PLANT,
    module_id: str = PUMP,
    kind: DeploymentKind = DeploymentKind.DEPLOYMENT,
    **fields: Any,
) -> DeploymentRecord:
    """Return the record of a deployment that begins: one module, one gateway."""
    values: Mapping[str, Any] = {
        "id": "0123456789ab",
        "phase": Phase.STARTED,
        "environment": "production",
        "started_at": "2026-01-31T12:00:00.000000Z",
        "actor": "someone",
        **fields,
    }
    module = ModuleOnGateway(id=module_id, version=version, sha256="ab" * 32, previous=previous)
    return DeploymentRecord(
        kind=kind, gateways=(GatewayRecord(gateway=gateway, modules=(module,)),), **values
    )
