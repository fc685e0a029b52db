"""The history of deployments: append-only, with one folder of documents per environment."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ign_deploy.deployment.records import (
    DeploymentRecord,
    Phase,
    check_environment,
    is_environment,
    stamp,
    timestamp,
)
from ign_deploy.deployment.replay import replay
from ign_deploy.deployment.state import DeployedVersion, Deployment, EnvironmentState
from ign_deploy.module.parallel import map_parallel
from ign_deploy.module.version import same_version
from ign_deploy.report import Reporter

__all__ = ["DeployedVersion", "Deployment", "EnvironmentState", "History"]

ROOT = "ledger/deployments"
ENVIRONMENTS = "ledger/environments"
FORGOTTEN = "ledger/forgotten"
_FORGOTTEN_NAME = re.compile(r"([0-9]{8}T[0-9]{12}Z)-[0-9a-f]{12}-(.+)\.json")
_WORKERS = 8
_CLOCK_SKEW = timedelta(hours=1)


class HistoryDocument(Protocol):
    """A small file."""

    @property
    def data(self) -> bytes:
        """Its content."""


class HistoryStore(Protocol):
    """Where the history is kept: a repository's small files."""

    def read(self, path: str) -> HistoryDocument | None:
        """Return a document, None if there is none."""

    def add(self, path: str, data: bytes) -> None:
        """Write a document that is never changed."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the documents directly in a folder."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class History:
    """The deployments in a repository's documents.

    Documents are untrusted: one that is not valid, that is from the future, whose deployment has
    no beginning or that has the id of another deployment is skipped with a warning, and so is what
    contradicts earlier deployments.
    """

    _documents: HistoryStore
    reporter: Reporter
    clock: Callable[[], datetime] = _utc_now
    redact: Callable[[str], str] = str
    _warned: set[str] = field(default_factory=set)

    def append(self, record: DeploymentRecord) -> None:
        """Add a document; raises RepositoryError."""
        name = check_environment(record.environment)
        data = self._redacted(record).to_json()  # refuses what is too large
        if record.phase is Phase.STARTED:
            self._documents.add(f"{ENVIRONMENTS}/{name}.json", b"{}\n")
        self._documents.add(f"{ROOT}/{name}/{record.file_name}", data)

    def _redacted(self, record: DeploymentRecord) -> DeploymentRecord:
        """Return the record without secrets in what gateways and health checks said."""
        gateways = tuple(
            gateway.model_copy(update={"message": self.redact(gateway.message)})
            for gateway in record.gateways
        )
        return record.model_copy(update={"gateways": gateways})

    def forget(self, environment: str, *, actor: str) -> None:
        """Hide an environment with all deployments so far; a later one makes it known again."""
        name, at = check_environment(environment), timestamp(self.clock())
        document = {"environment": name, "at": at, "by": self.redact(actor)}
        data = json.dumps(document, sort_keys=True, indent=2).encode() + b"\n"
        self._documents.add(f"{FORGOTTEN}/{stamp(at)}-{secrets.token_hex(6)}-{name}.json", data)

    def environments(self) -> list[str]:
        """Return the names of all environments, sorted; skip invalid ones with a warning."""
        found: list[str] = []
        forgotten = self._forgotten()
        for file in sorted(self._documents.names(ENVIRONMENTS)):
            name = file.removesuffix(".json")
            if not is_environment(name):
                self._warn(f"skipped {file!a}: not a valid environment name")
            elif name not in forgotten or self._names(name, after=forgotten[name]):
                found.append(name)
        return found

    def deployments(self, environment: str) -> list[Deployment]:
        """Return an environment's deployments, oldest first; warn of invalid documents."""
        name = check_environment(environment)
        names = self._names(name, after=self._forgotten().get(name, ""))
        folder = f"{ROOT}/{name}"
        found = map_parallel(lambda file: self._read(folder, file), names, workers=_WORKERS)
        return self._paired(record for record in found if record is not None)

    def state(self, environment: str) -> EnvironmentState:
        """Return what the deployments add up to; warn of those that contradict earlier ones."""
        state = replay(self.deployments(environment))
        for contradiction in state.contradictions:
            self._warn(f"the history of {environment} contradicts itself: {contradiction}")
        return state

    def deployed(self, environment: str) -> list[DeployedVersion]:
        """Return the current versions, by gateway and module."""
        return self.state(environment).deployed

    def protected(self) -> set[tuple[str, str]]:
        """Return each (id, version) that an environment runs or could be rolled back to."""
        found: set[tuple[str, str]] = set()
        for environment in self.environments():
            state = self.state(environment)
            for each in state.deployed:
                found |= {(each.id, each.version), (each.id, each.previous)}
            unconfirmed = [
                *state.unconfirmed,
                *(
                    module
                    for deployment in state.deployments
                    if deployment.ended is None
                    for gateway in deployment.started.gateways
                    for module in gateway.modules
                ),
            ]
            for module in unconfirmed:
                found |= {(module.id, module.version), (module.id, module.previous)}
        return {(module_id, version) for module_id, version in found if version}

    def _names(self, environment: str, *, after: str) -> list[str]:
        """Return the names of an environment's documents, sorted, from ``after`` on."""
        names = self._documents.names(f"{ROOT}/{environment}")
        return sorted(name for name in names if name.endswith(".json") and name > after)

    def _forgotten(self) -> Mapping[str, str]:
        """Return since when each forgotten environment is so."""
        found: dict[str, str] = {}
        latest = stamp(timestamp(self.clock() + _CLOCK_SKEW))
        for file in sorted(self._documents.names(FORGOTTEN)):
            match = _FORGOTTEN_NAME.fullmatch(file)
            if match is None or match[1] > latest:
                self._warn(f"skipped {file!a} among the forgotten environments: not valid")
            else:
                found[match[2]] = match[1]
        return found

    def _read(self, folder: str, name: str) -> DeploymentRecord | None:
        document = self._documents.read(f"{folder}/{name}")
        record = None if document is None else DeploymentRecord.parse(document.data)
        belongs_here = record is not None and f"{ROOT}/{record.environment}" == folder
        is_valid = record is not None and record.file_name == name and _is_plausible(record)
        if record is None or not (belongs_here and is_valid):
            self._warn(f"skipped {name!a}: not a valid deployment record")
            return None
        if max(record.started_at, record.ended_at) > timestamp(self.clock() + _CLOCK_SKEW):
            self._warn(f"skipped {name!a}: a deployment record from the future")
            return None
        return record

    def _paired(self, records: Iterable[DeploymentRecord]) -> list[Deployment]:
        starts: dict[tuple[str, str], DeploymentRecord] = {}
        ends: dict[tuple[str, str], DeploymentRecord] = {}
        for record in sorted(records, key=lambda each: each.phase is Phase.ENDED):
            key = (record.started_at, record.id)
            if record.phase is Phase.STARTED:
                starts[key] = record
            elif key not in starts:
                self._warn(f"skipped {record.file_name!a}: the deployment has no beginning")
            elif not _belong_together(starts[key], record):
                self._warn(f"skipped {record.file_name!a}: it contradicts the deployment's start")
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
        self._warn(f"skipped {name!a}: another deployment has the id {deployment.started.id}")
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


def _belong_together(started: DeploymentRecord, ended: DeploymentRecord) -> bool:
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
