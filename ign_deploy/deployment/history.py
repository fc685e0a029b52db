"""The history of deployments: append-only, with one folder of documents per environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ign_deploy.deployment.records import (
    DEPLOYED_OUTCOMES,
    DeploymentKind,
    DeploymentRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    check_environment,
    is_environment,
)
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter

ROOT = "ledger/deployments"
ENVIRONMENTS = "ledger/environments"
_WORKERS = 8
_UNCONFIRMED = frozenset({Outcome.RESTART_PENDING, Outcome.ROLLBACK_FAILED})


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


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment from its documents; ``ended`` is None if it is still running, or was killed."""

    started: DeploymentRecord
    ended: DeploymentRecord | None = None

    @property
    def last(self) -> DeploymentRecord:
        """Its latest document."""
        return self.ended or self.started


@dataclass(frozen=True, slots=True)
class DeployedVersion:
    """The current version of a module on a gateway; ``previous`` is the one before.

    ``since`` is when its deployment ended. ``uncertain``: a later deployment didn't end, or its
    rollback failed; ``version`` is then the one before that deployment. ``rollback_version`` is
    the version that a rollback restores, empty for none; if uncertain, it isn't ``previous``.
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
    rollback_version: str = ""
    uncertain: bool = False


class History:
    """The deployments in a repository's documents."""

    def __init__(self, documents: HistoryStore, *, reporter: Reporter) -> None:
        self._documents = documents
        self._reporter = reporter

    def append(self, record: DeploymentRecord) -> None:
        """Add a document; raises RepositoryError."""
        name = check_environment(record.environment)
        if record.phase is Phase.STARTED:
            self._documents.add(f"{ENVIRONMENTS}/{name}.json", b"{}\n")
        self._documents.add(f"{ROOT}/{name}/{record.file_name}", record.to_json())

    def environments(self) -> list[str]:
        """Return the names of all environments, sorted; skip invalid ones with a warning."""
        found: list[str] = []
        for file in sorted(self._documents.names(ENVIRONMENTS)):
            name = file.removesuffix(".json")
            if is_environment(name):
                found.append(name)
            else:
                self._reporter.warning(f"skipped {file!a}: not a valid environment name")
        return found

    def deployments(self, environment: str) -> list[Deployment]:
        """Return an environment's deployments, oldest first; warn of invalid documents."""
        folder = f"{ROOT}/{check_environment(environment)}"
        names = sorted(name for name in self._documents.names(folder) if name.endswith(".json"))
        found = map_parallel(lambda name: self._read(folder, name), names, workers=_WORKERS)
        return _paired(record for record in found if record is not None)

    def deployed(self, environment: str) -> list[DeployedVersion]:
        """Return the current versions, by gateway and module."""
        return deployed_versions(self.deployments(environment))

    def protected(self) -> set[tuple[str, str]]:
        """Return each (id, version) that an environment runs or could be rolled back to."""
        found: set[tuple[str, str]] = set()
        for environment in self.environments():
            deployments = self.deployments(environment)
            for each in deployed_versions(deployments):
                found |= {(each.id, each.version), (each.id, each.previous)}
            unconfirmed = [
                *_unconfirmed(deployments).values(),
                *(
                    module
                    for deployment in deployments
                    if deployment.ended is None
                    for gateway in deployment.started.gateways
                    for module in gateway.modules
                ),
            ]
            for module in unconfirmed:
                found |= {(module.id, module.version), (module.id, module.previous)}
        return {(module_id, version) for module_id, version in found if version}

    def _read(self, folder: str, name: str) -> DeploymentRecord | None:
        document = self._documents.read(f"{folder}/{name}")
        record = None if document is None else DeploymentRecord.parse(document.data)
        belongs_here = record is not None and f"{ROOT}/{record.environment}" == folder
        if record is None or record.file_name != name or not belongs_here:
            self._reporter.warning(f"skipped {name!a}: not a valid deployment record")
            return None
        return record


def _paired(records: Iterable[DeploymentRecord]) -> list[Deployment]:
    started: dict[str, DeploymentRecord] = {}
    ended: dict[str, DeploymentRecord] = {}
    for record in records:
        (started if record.phase is Phase.STARTED else ended)[record.id] = record
    ids = sorted(
        {*started, *ended}, key=lambda each: ((started.get(each) or ended[each]).started_at, each)
    )
    return [Deployment(started.get(each) or ended[each], ended.get(each)) for each in ids]


@dataclass
class _Replay:
    """The versions deployed so far, while the history is replayed from its beginning."""

    deployed: dict[tuple[str, str], DeployedVersion] = field(default_factory=dict)

    def apply(self, deployment: Deployment) -> None:
        record = deployment.last
        for gateway in record.gateways:
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                before = self.deployed.get(key)
                is_unknown = module.outcome is Outcome.ROLLBACK_FAILED
                if deployment.ended is None or is_unknown:
                    self.deployed[key] = _uncertain(key, before, module, record)
                elif module.outcome in DEPLOYED_OUTCOMES:
                    self.deployed[key] = _deployed(key, before, module, record)
                elif module.outcome is Outcome.ROLLED_BACK:
                    self.deployed[key] = _restored(key, before, module, record)


def _deployed(
    key: tuple[str, str],
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    previous = module.previous
    if previous in ("", module.version) and before is not None:
        # Deployed again: the version to roll back to hasn't changed.
        same = before.version == module.version
        previous = before.previous if same else before.version
    previous = "" if previous == module.version else previous
    return DeployedVersion(
        environment=record.environment,
        gateway=key[0],
        id=module.id,
        version=module.version,
        sha256=module.sha256,
        previous=previous,
        outcome=module.outcome,
        since=record.ended_at,
        actor=record.actor,
        deployment=record.id,
        rollback_version=previous,
    )


def _restored(
    key: tuple[str, str],
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    """Return the version after a rollback, which is certain even if it wasn't before."""
    version = module.previous if module.restored is None else module.restored
    if before is not None and before.version == version and before.outcome in DEPLOYED_OUTCOMES:
        return replace(before, rollback_version=before.previous, uncertain=False)
    return DeployedVersion(
        environment=record.environment,
        gateway=key[0],
        id=module.id,
        version=version,
        sha256="",
        previous="",
        outcome=module.outcome,
        since=record.ended_at,
        actor=record.actor,
        deployment=record.id,
    )


def _uncertain(
    key: tuple[str, str],
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    """Return the version before a deployment whose progress is unknown."""
    known = before.version if before is not None else module.previous
    rollback_version = module.version if record.kind is DeploymentKind.ROLLBACK else known
    if before is not None:
        return replace(
            before, deployment=record.id, rollback_version=rollback_version, uncertain=True
        )
    return DeployedVersion(
        environment=record.environment,
        gateway=key[0],
        id=module.id,
        version=known,
        sha256="",
        previous="",
        outcome=Outcome.UNTOUCHED,
        since=record.started_at,
        actor=record.actor,
        deployment=record.id,
        rollback_version=rollback_version,
        uncertain=True,
    )


def deployed_versions(deployments: Sequence[Deployment]) -> list[DeployedVersion]:
    """Return the versions after these deployments (oldest first), by gateway and module."""
    replay = _Replay()
    for deployment in deployments:
        replay.apply(deployment)
    return [each for _, each in sorted(replay.deployed.items()) if each.version or each.uncertain]


def unfinished_previous(deployments: Sequence[Deployment]) -> Mapping[tuple[str, str], str]:
    """Return, by (gateway, module id), the version before an unconfirmed deployment.

    It is empty if there was none. A run that was killed, that left the restart for later or whose
    rollback failed may have installed its version: so if the next run fails, the version to restore
    isn't the one that the gateway shows now.
    """
    return {key: module.previous for key, module in _unconfirmed(deployments).items()}


def _unconfirmed(deployments: Sequence[Deployment]) -> Mapping[tuple[str, str], ModuleOnGateway]:
    """Return the modules of which neither the new nor the old version is known to run."""
    found: dict[tuple[str, str], ModuleOnGateway] = {}
    for deployment in deployments:
        for gateway in deployment.last.gateways:
            for module in gateway.modules:
                if deployment.ended is None or module.outcome in _UNCONFIRMED:
                    # Each run took its previous version from the unconfirmed run before it.
                    found[gateway.gateway, module.id] = module
                elif module.outcome in DEPLOYED_OUTCOMES or module.outcome is Outcome.ROLLED_BACK:
                    found.pop((gateway.gateway, module.id), None)
    return found
