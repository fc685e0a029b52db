"""The history of deployments: append-only, one folder of documents for each environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ign_deploy.deployment.records import (
    STANDING,
    DeploymentRecord,
    GatewayRecord,
    Outcome,
    Phase,
    check_environment,
)
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter

ROOT = "ledger/deployments"
ENVIRONMENTS = "ledger/environments"
_WORKERS = 8


class Document(Protocol):
    """A small file."""

    @property
    def data(self) -> bytes:
        """Its content."""


class Documents(Protocol):
    """Where the history is kept: a repository's small files."""

    def read(self, path: str) -> Document | None:
        """Return a document, None when there is none."""

    def add(self, path: str, data: bytes) -> None:
        """Write a document that is never changed."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the documents directly in a folder."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as its documents tell it; ``ended`` is None for one that runs, or was killed."""

    begun: DeploymentRecord
    ended: DeploymentRecord | None = None

    @property
    def last(self) -> DeploymentRecord:
        """What is known of it."""
        return self.ended or self.begun


@dataclass(frozen=True, slots=True)
class Standing:
    """A module on a gateway, now; ``previous`` is the version it could be rolled back to.

    ``since`` is when its deployment ended. ``in_doubt``: a deployment began later and didn't end.
    """

    environment: str
    gateway: str
    id: str
    version: str
    sha256: str
    previous: str
    outcome: Outcome
    since: str
    actor: str
    deployment: str
    in_doubt: bool = False


class History:
    """The deployments in a repository's documents."""

    def __init__(self, documents: Documents, *, reporter: Reporter) -> None:
        self._documents = documents
        self._reporter = reporter

    def append(self, record: DeploymentRecord) -> None:
        """Add a document; raises RepositoryError."""
        name = check_environment(record.environment)
        if record.phase is Phase.BEGUN:
            self._documents.add(f"{ENVIRONMENTS}/{name}.json", b"{}\n")
        self._documents.add(f"{ROOT}/{name}/{record.file_name}", record.to_json())

    def environments(self) -> list[str]:
        """Return the names of all environments, sorted."""
        names = self._documents.names(ENVIRONMENTS)
        return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def deployments(self, environment: str) -> list[Deployment]:
        """Return an environment's deployments, oldest first; a damaged document is a warning."""
        folder = f"{ROOT}/{check_environment(environment)}"
        names = sorted(name for name in self._documents.names(folder) if name.endswith(".json"))
        found = map_parallel(lambda name: self._read(folder, name), names, workers=_WORKERS)
        return _paired(record for record in found if record is not None)

    def standing(self, environment: str) -> list[Standing]:
        """Return what runs where, by gateway and module."""
        return standing_of(self.deployments(environment))

    def protected(self) -> set[tuple[str, str]]:
        """Return the (id, version) that an environment runs or could be rolled back to."""
        found: set[tuple[str, str]] = set()
        for environment in self.environments():
            deployments = self.deployments(environment)
            for each in standing_of(deployments):
                found |= {(each.id, each.version), (each.id, each.previous)}
            found |= {
                (module.id, version)
                for deployment in deployments
                if deployment.ended is None
                for gateway in deployment.begun.gateways
                for module in gateway.modules
                for version in (module.version, module.previous)
            }
        return {(module_id, version) for module_id, version in found if version}

    def _read(self, folder: str, name: str) -> DeploymentRecord | None:
        document = self._documents.read(f"{folder}/{name}")
        record = None if document is None else DeploymentRecord.parse(document.data)
        if record is None or record.file_name != name:
            self._reporter.warning(f"the deployment record {name} can't be read; it is left out")
            return None
        return record


def _paired(records: Iterable[DeploymentRecord]) -> list[Deployment]:
    begun: dict[str, DeploymentRecord] = {}
    ended: dict[str, DeploymentRecord] = {}
    for record in records:
        (begun if record.phase is Phase.BEGUN else ended)[record.id] = record
    ids = sorted(
        {*begun, *ended}, key=lambda each: ((begun.get(each) or ended[each]).begun_at, each)
    )
    return [Deployment(begun.get(each) or ended[each], ended.get(each)) for each in ids]


@dataclass
class _Replay:
    """What stands where, while the history is read from its beginning."""

    standing: dict[tuple[str, str], Standing] = field(default_factory=dict)

    def take(self, deployment: Deployment) -> None:
        record = deployment.last
        for gateway in record.gateways:
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                before = self.standing.get(key)
                if deployment.ended is None:
                    self._doubt(key, before, deployment.begun, gateway)
                elif module.outcome in STANDING:
                    previous = module.previous
                    if previous in ("", module.version) and before is not None:
                        # Deployed once more: what it could go back to hasn't changed.
                        same = before.version == module.version
                        previous = before.previous if same else before.version
                    self.standing[key] = Standing(
                        environment=record.environment,
                        gateway=gateway.gateway,
                        id=module.id,
                        version=module.version,
                        sha256=module.sha256,
                        previous="" if previous == module.version else previous,
                        outcome=module.outcome,
                        since=record.ended_at,
                        actor=record.actor,
                        deployment=record.id,
                    )

    def _doubt(
        self,
        key: tuple[str, str],
        before: Standing | None,
        record: DeploymentRecord,
        gateway: GatewayRecord,
    ) -> None:
        """Nobody knows whether the unfinished deployment got to this module."""
        module = next(each for each in gateway.modules if each.id == key[1])
        version = before.version if before is not None else module.previous
        self.standing[key] = Standing(
            environment=record.environment,
            gateway=key[0],
            id=module.id,
            version=version,
            sha256=before.sha256 if before is not None else "",
            previous=before.previous if before is not None else "",
            outcome=before.outcome if before is not None else Outcome.UNTOUCHED,
            since=before.since if before is not None else record.begun_at,
            actor=before.actor if before is not None else record.actor,
            deployment=record.id,
            in_doubt=True,
        )


def standing_of(deployments: Sequence[Deployment]) -> list[Standing]:
    """Return what runs where after these deployments (oldest first), by gateway and module."""
    replay = _Replay()
    for deployment in deployments:
        replay.take(deployment)
    return [each for _, each in sorted(replay.standing.items()) if each.version or each.in_doubt]


def unfinished_previous(deployments: Sequence[Deployment]) -> Mapping[tuple[str, str], str]:
    """Return, by (gateway, module id), the version that stood before an unfinished deployment.

    Empty where there was none. A run that was killed may have installed its version already: what
    the gateway shows then isn't what has to come back if the next run fails.
    """
    found: dict[tuple[str, str], str] = {}
    for deployment in deployments:
        for gateway in deployment.last.gateways:
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                if deployment.ended is not None:
                    found.pop(key, None)
                else:
                    # The first of several: the next ones saw what it had done.
                    found.setdefault(key, module.previous)
    return found
