"""Reading the records of deployments: untrusted documents, paired by deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from ign_deploy.deployment.environment_index import started_from
from ign_deploy.deployment.records import DeploymentRecord, Phase, timestamp
from ign_deploy.deployment.state import Deployment
from ign_deploy.module.parallel import map_parallel
from ign_deploy.module.version import same_version
from ign_deploy.report import Reporter

ROOT = "ledger/deployments"
_WORKERS = 8
CLOCK_SKEW = timedelta(hours=1)


class HistoryDocument(Protocol):
    """A small file."""

    @property
    def data(self) -> bytes:
        """Its content."""


class IndexChange(Protocol):
    """What brings an index up to date."""

    def __call__(self, stored: bytes | None, *, is_complete: bool) -> bytes:
        """Return the new content.

        Unless ``is_complete``, the stored one may lack what other runs added to the history.
        """


class HistoryStore(Protocol):
    """Where the history is kept: a repository's small files.

    ``lists_cheaply``: a listing costs so little that readers compare the index with it. Elsewhere
    the index is read as it is.
    """

    @property
    def lists_cheaply(self) -> bool:
        """See above."""

    def read(self, path: str) -> HistoryDocument | None:
        """Return a document, None if there is none."""

    def read_derived(self, path: str) -> HistoryDocument | None:
        """Return an index, which ``update`` then needn't read again where that is safe."""

    def add(self, path: str, data: bytes) -> None:
        """Write a document that is never changed."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the documents directly in a folder."""

    def update(self, path: str, *, key: str, change: IndexChange) -> None:
        """Change an index until it has what runs that change it at once have added."""

    def session(self, path: str, *, key: str) -> AbstractContextManager[None]:
        """Have an index read once for what is decided by it and for its change."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class RecordReader:
    """Reads the documents of deployments.

    One that is not valid, that is from the future or whose deployment has no beginning is skipped
    with a warning.
    """

    _documents: HistoryStore
    reporter: Reporter
    clock: Callable[[], datetime] = _utc_now
    _warned: set[str] = field(default_factory=set)

    def _deployments_in(self, name: str, names: Sequence[str]) -> list[Deployment]:
        return self._paired(self._read_all(name, names))

    def _read_all(
        self, name: str, names: Sequence[str], *, may_be_missing: bool = False
    ) -> list[DeploymentRecord]:
        read = partial(self._read, f"{ROOT}/{name}", may_be_missing=may_be_missing)
        found = map_parallel(read, names, workers=_WORKERS)
        return [record for record in found if record is not None]

    def _names(self, environment: str, *, after: str) -> list[str]:
        """Return the names of an environment's documents, sorted, from ``after`` on."""
        names = self._documents.names(f"{ROOT}/{environment}")
        return sorted(name for name in names if name.endswith(".json") and name > after)

    def _read(
        self, folder: str, name: str, *, may_be_missing: bool = False
    ) -> DeploymentRecord | None:
        document = self._documents.read(f"{folder}/{name}")
        if document is None and may_be_missing:
            return None
        record = None if document is None else DeploymentRecord.parse(document.data)
        belongs_here = record is not None and f"{ROOT}/{record.environment}" == folder
        is_valid = record is not None and record.file_name == name and _is_plausible(record)
        if record is None or not (belongs_here and is_valid):
            self._warn(f"skipped {name!r}: not a valid deployment record")
            return None
        return record if self._is_past(record) else None

    def _is_past(self, record: DeploymentRecord) -> bool:
        if max(record.started_at, record.ended_at) > timestamp(self.clock() + CLOCK_SKEW):
            self._warn(f"skipped {record.file_name!r}: a deployment record from the future")
            return False
        return True

    def _paired(self, records: Iterable[DeploymentRecord]) -> list[Deployment]:
        starts: dict[tuple[str, str], DeploymentRecord] = {}
        ends: dict[tuple[str, str], DeploymentRecord] = {}
        for record in sorted(records, key=lambda each: each.phase is Phase.ENDED):
            key = (record.started_at, record.id)
            if record.phase is Phase.ENDED and record.is_only_recorded:
                starts.setdefault(key, started_from(record))
            if record.phase is Phase.STARTED:
                starts[key] = record
            elif key not in starts:
                self._warn(f"skipped {record.file_name!r}: the deployment has no beginning")
            elif not belong_together(starts[key], record):
                self._warn(f"skipped {record.file_name!r}: it contradicts the deployment's start")
            else:
                ends[key] = record
        found = [Deployment(starts[key], ends.get(key)) for key in sorted(starts)]
        originals: dict[str, Deployment] = {}
        for each in found:
            original = originals.setdefault(each.started.id, each)
            if original.ended is None and each.ended is not None:
                originals[each.started.id] = each
        return [each for each in found if not self._is_copy(each, originals[each.started.id])]

    def _is_copy(self, deployment: Deployment, original: Deployment) -> bool:
        """Return whether the deployment only has another one's id, with a warning.

        One that ended is never hidden by a copy: if several did, ``replay`` believes none of them.
        """
        if deployment is original or deployment.ended is not None:
            return False
        name = deployment.started.file_name
        self._warn(f"skipped {name!r}: another deployment has the id {deployment.started.id}")
        return True

    def _warn(self, message: str) -> None:
        """Warn once."""
        if message not in self._warned:
            self._warned.add(message)
            self.reporter.warning(message)


def _is_plausible(record: DeploymentRecord) -> bool:
    """Return whether it has each gateway and module once, and, if a start, nothing of an end."""
    places = [(gateway.gateway, one.id) for gateway in record.gateways for one in gateway.modules]
    addresses = [gateway.gateway for gateway in record.gateways]
    is_start = record.outcome is None and not record.ended_at
    return (
        len(set(addresses)) == len(addresses)
        and len(set(places)) == len(places)
        and (is_start or record.phase is Phase.ENDED)
    )


def belong_together(started: DeploymentRecord, ended: DeploymentRecord) -> bool:
    """Return whether the end is that of the deployment that was started."""
    return (
        ended.outcome is not None
        and (started.kind, started.started_at) == (ended.kind, ended.started_at)
        and ended.started_at <= ended.ended_at
        and _changes(started) == _changes(ended)
        and all(
            not module.restored or same_version(module.restored, module.previous)
            for gateway in ended.gateways
            for module in gateway.modules
        )
    )


def _changes(record: DeploymentRecord) -> set[tuple[str, str, str, str, str]]:
    return {
        (gateway.gateway, module.id, module.version, module.sha256, module.previous)
        for gateway in record.gateways
        for module in gateway.modules
    }
