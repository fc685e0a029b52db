"""The history of deployments: append-only, one folder of documents for each environment."""

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
_UNSETTLED = frozenset({Outcome.RESTART_PENDING, Outcome.ROLLBACK_FAILED})


class HistoryDocument(Protocol):
    """A small file."""

    @property
    def data(self) -> bytes:
        """Its content."""


class HistoryStore(Protocol):
    """Where the history is kept: a repository's small files."""

    def read(self, path: str) -> HistoryDocument | None:
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
class DeployedVersion:
    """A module on a gateway, now; ``previous`` is the version that stood there before.

    ``since`` is when its deployment ended. ``uncertain``: a deployment began later and didn't end,
    or couldn't go back; ``version`` is what stood before that one. ``rollback_version``
    is the version that a rollback brings back, empty for none; in doubt it isn't ``previous``.
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
        if record.phase is Phase.BEGUN:
            self._documents.add(f"{ENVIRONMENTS}/{name}.json", b"{}\n")
        self._documents.add(f"{ROOT}/{name}/{record.file_name}", record.to_json())

    def environments(self) -> list[str]:
        """Return the names of all environments, sorted; what can't be one is a warning."""
        found: list[str] = []
        for file in sorted(self._documents.names(ENVIRONMENTS)):
            name = file.removesuffix(".json")
            if is_environment(name):
                found.append(name)
            else:
                self._reporter.warning(f"{file!a} can't be an environment; it is left out")
        return found

    def deployments(self, environment: str) -> list[Deployment]:
        """Return an environment's deployments, oldest first; a damaged document is a warning."""
        folder = f"{ROOT}/{check_environment(environment)}"
        names = sorted(name for name in self._documents.names(folder) if name.endswith(".json"))
        found = map_parallel(lambda name: self._read(folder, name), names, workers=_WORKERS)
        return _paired(record for record in found if record is not None)

    def deployed(self, environment: str) -> list[DeployedVersion]:
        """Return what runs where, by gateway and module."""
        return deployed_versions(self.deployments(environment))

    def protected(self) -> set[tuple[str, str]]:
        """Return the (id, version) that an environment runs or could be rolled back to."""
        found: set[tuple[str, str]] = set()
        for environment in self.environments():
            deployments = self.deployments(environment)
            for each in deployed_versions(deployments):
                found |= {(each.id, each.version), (each.id, each.previous)}
            unsettled = [
                *_unsettled(deployments).values(),
                *(
                    module
                    for deployment in deployments
                    if deployment.ended is None
                    for gateway in deployment.begun.gateways
                    for module in gateway.modules
                ),
            ]
            for module in unsettled:
                found |= {(module.id, module.version), (module.id, module.previous)}
        return {(module_id, version) for module_id, version in found if version}

    def _read(self, folder: str, name: str) -> DeploymentRecord | None:
        document = self._documents.read(f"{folder}/{name}")
        record = None if document is None else DeploymentRecord.parse(document.data)
        is_of_here = record is not None and f"{ROOT}/{record.environment}" == folder
        if record is None or record.file_name != name or not is_of_here:
            self._reporter.warning(f"the deployment record {name!a} can't be read; it is left out")
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

    deployed: dict[tuple[str, str], DeployedVersion] = field(default_factory=dict)

    def take(self, deployment: Deployment) -> None:
        record = deployment.last
        for gateway in record.gateways:
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                before = self.deployed.get(key)
                is_unknown = module.outcome is Outcome.ROLLBACK_FAILED
                if deployment.ended is None or is_unknown:
                    self.deployed[key] = _doubted(key, before, module, record)
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
        # Deployed once more: what it could go back to hasn't changed.
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
    """Return what stands after a rollback: a doubt that an earlier deployment left ends here."""
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


def _doubted(
    key: tuple[str, str],
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    """Return what stood before a deployment of which nobody knows how far it got."""
    stood = before.version if before is not None else module.previous
    rollback_version = module.version if record.kind is DeploymentKind.ROLLBACK else stood
    if before is not None:
        return replace(
            before, deployment=record.id, rollback_version=rollback_version, uncertain=True
        )
    return DeployedVersion(
        environment=record.environment,
        gateway=key[0],
        id=module.id,
        version=stood,
        sha256="",
        previous="",
        outcome=Outcome.UNTOUCHED,
        since=record.begun_at,
        actor=record.actor,
        deployment=record.id,
        rollback_version=rollback_version,
        uncertain=True,
    )


def deployed_versions(deployments: Sequence[Deployment]) -> list[DeployedVersion]:
    """Return what runs where after these deployments (oldest first), by gateway and module."""
    replay = _Replay()
    for deployment in deployments:
        replay.take(deployment)
    return [each for _, each in sorted(replay.deployed.items()) if each.version or each.uncertain]


def unfinished_previous(deployments: Sequence[Deployment]) -> Mapping[tuple[str, str], str]:
    """Return, by (gateway, module id), the version that stood before an unsettled deployment.

    Empty where there was none. A run that was killed, that left a restart to others or that
    couldn't go back may have installed its version: what the gateway shows then isn't what has to
    come back if the next run fails.
    """
    return {key: module.previous for key, module in _unsettled(deployments).items()}


def _unsettled(deployments: Sequence[Deployment]) -> Mapping[tuple[str, str], ModuleOnGateway]:
    """Return the modules of which it isn't known that they run, or that what ran before does."""
    found: dict[tuple[str, str], ModuleOnGateway] = {}
    for deployment in deployments:
        for gateway in deployment.last.gateways:
            for module in gateway.modules:
                if deployment.ended is None or module.outcome in _UNSETTLED:
                    # Each run took over what the unsettled one before it had written down.
                    found[gateway.gateway, module.id] = module
                elif module.outcome in DEPLOYED_OUTCOMES or module.outcome is Outcome.ROLLED_BACK:
                    found.pop((gateway.gateway, module.id), None)
    return found
