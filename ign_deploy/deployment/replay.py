"""The versions that gateways have, by replaying an environment's deployments from the first one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ign_deploy.deployment.records import (
    DEPLOYED_OUTCOMES,
    DeploymentKind,
    DeploymentRecord,
    ModuleOnGateway,
    Outcome,
)
from ign_deploy.deployment.state import (
    Checkpoint,
    DeployedVersion,
    Deployment,
    EnvironmentState,
    ModuleKey,
)
from ign_deploy.module.version import same_version

START = Checkpoint()
_UNCONFIRMED = frozenset({Outcome.RESTART_PENDING, Outcome.ROLLBACK_FAILED})
_NOTHING_CHANGED = frozenset({Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.UNTOUCHED})
_ON_GATEWAY = DEPLOYED_OUTCOMES | {Outcome.ROLLED_BACK}


def replay(deployments: Sequence[Deployment], *, since: Checkpoint = START) -> EnvironmentState:
    """Return the state after these deployments, oldest first, which follow the checkpoint."""
    done = _replayed(deployments, since)
    return EnvironmentState(
        deployments=deployments,
        modules=[each for _, each in sorted(done.modules.items())],
        unfinished={key: module.previous for key, module in done.unconfirmed.items()},
        unconfirmed=list(done.unconfirmed.values()),
        digests={key: digest for key, digest in done.digests.items() if digest},
        last_modules=_last_modules(deployments, since),
        contradictions=done.contradictions,
    )


def fold(deployments: Sequence[Deployment], *, since: Checkpoint, through: str) -> Checkpoint:
    """Return the checkpoint after these deployments, which follow another one."""
    done = _replayed(deployments, since)
    return Checkpoint(
        modules=done.modules,
        unconfirmed=done.unconfirmed,
        digests=done.digests,
        last_modules=_last_modules(deployments, since),
        contradictions=done.contradictions,
        through=through,
        count=since.count + len(deployments),
    )


def _replayed(deployments: Sequence[Deployment], since: Checkpoint) -> _Replay:
    done = _Replay(
        deployments,
        dict(since.modules),
        dict(since.unconfirmed),
        dict(since.digests),
        list(since.contradictions),
    )
    for deployment in deployments:
        done.apply(deployment)
    return done


def _last_modules(
    deployments: Sequence[Deployment], since: Checkpoint
) -> Mapping[str, tuple[str, ...]]:
    found = dict(since.last_modules)
    for deployment in deployments:
        for gateway in deployment.last.gateways:
            if gateway.modules:
                found[gateway.gateway] = tuple(module.id for module in gateway.modules)
    return found


@dataclass
class _Replay:
    """What is known so far of the deployments to replay."""

    deployments: Sequence[Deployment]
    modules: dict[ModuleKey, DeployedVersion] = field(default_factory=dict)
    unconfirmed: dict[ModuleKey, ModuleOnGateway] = field(default_factory=dict)
    digests: dict[tuple[str, str, str], str] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    def apply(self, deployment: Deployment) -> None:
        record = deployment.last
        for gateway in record.gateways:
            is_undone = gateway.outcome in _NOTHING_CHANGED
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                before = self.modules.get(key)
                contradiction = self._contradiction(key, before, module, record)
                if contradiction:
                    self.contradictions.append(contradiction)
                has_ended = deployment.ended is not None
                is_usable = not contradiction and self._is_previous_known(key, before, module)
                self._confirm(key, module, has_ended=has_ended, is_usable=is_usable)
                found = self._after(
                    key, before, module, record, has_ended=has_ended, is_undone=is_undone
                )
                if found is not None:
                    self.modules[key] = _distrusted(found, before, contradiction)
                if has_ended and not contradiction and module.outcome in DEPLOYED_OUTCOMES:
                    self._add_digest(key, module, record)

    def _after(
        self,
        key: ModuleKey,
        before: DeployedVersion | None,
        module: ModuleOnGateway,
        record: DeploymentRecord,
        *,
        has_ended: bool,
        is_undone: bool,
    ) -> DeployedVersion | None:
        if not has_ended or module.outcome is Outcome.ROLLBACK_FAILED:
            return _uncertain(key, before, module, record)
        if module.outcome is Outcome.ROLLED_BACK:
            sha256 = self.digests.get((*key, _restored_version(module)), "")
            return _restored(key, before, module, record, sha256=sha256)
        if module.outcome in DEPLOYED_OUTCOMES and not is_undone:
            found = _deployed(key, before, module, record)
            is_rollback = record.kind is DeploymentKind.ROLLBACK
            return _rolled_back(found, before, module) if is_rollback else found
        return _not_changed(key, before, module, record)

    def _contradiction(
        self,
        key: ModuleKey,
        before: DeployedVersion | None,
        module: ModuleOnGateway,
        record: DeploymentRecord,
    ) -> str:
        """Return why the record contradicts those before it; empty if it doesn't."""
        if before is None:
            return ""
        where = f"{module.id} on {key[0]}" if key[0] else module.id
        # Of two deployments at once, each may have seen what was there before the other one, or
        # after it. What is only recorded was read from the history, where an end is written later.
        is_concurrent = record.started_at < before.since or not key[0]
        is_possible = (
            _may_be_there(before, module)
            or (is_concurrent and self._was_there(key, module.previous))
            or _is_among(module.previous, self._versions_at_once(key, record))
        )
        if module.previous and not is_possible:
            return (
                f"deployment {record.id} says that {where} was {module.previous} before; according "
                f"to the deployments before it, it was {before.version or 'not installed'}"
            )
        is_rollback = record.kind is DeploymentKind.ROLLBACK and module.version
        if is_rollback and record.outcome is None and not self._was_there(key, module.version):
            return (
                f"deployment {record.id} was to roll {where} back to {module.version}, which it "
                "never had"
            )
        return ""

    def _is_previous_known(
        self, key: ModuleKey, before: DeployedVersion | None, module: ModuleOnGateway
    ) -> bool:
        """Return whether the record says reliably what to restore: not none where one was there.

        Otherwise a module could be uninstalled because a single document says so.
        """
        if module.previous or before is None or not before.version:
            return True
        unconfirmed = self.unconfirmed.get(key)
        is_first = not before.previous and same_version(before.version, module.version)
        is_pending = before.outcome is Outcome.RESTART_PENDING
        return (unconfirmed is not None and not unconfirmed.previous) or (is_first and is_pending)

    def _was_there(self, key: ModuleKey, version: str) -> bool:
        before = self.modules.get(key)
        known = [each for *place, each in self.digests if (place[0], place[1]) == key]
        known += [before.version, before.previous] if before else []
        return _is_among(version, known)

    def _versions_at_once(self, key: ModuleKey, record: DeploymentRecord) -> Iterator[str]:
        """Yield the versions that ended deployments brought while this one was under way."""
        for other in (each.ended for each in self.deployments if each.started.id != record.id):
            if other is None or other.ended_at < record.started_at:
                continue
            if record.ended_at and other.started_at > record.ended_at:
                continue
            for gateway in other.gateways:
                if gateway.gateway == key[0]:
                    yield from (each.version for each in gateway.modules if each.id == key[1])

    def _confirm(
        self, key: ModuleKey, module: ModuleOnGateway, *, has_ended: bool, is_usable: bool
    ) -> None:
        """Remember whether neither the new nor the old version is known to run."""
        if not has_ended or module.outcome in _UNCONFIRMED:
            if is_usable:
                # Each run took its previous version from the unconfirmed run before it.
                self.unconfirmed[key] = module
        elif module.outcome in _ON_GATEWAY:
            self.unconfirmed.pop(key, None)

    def _add_digest(
        self, key: ModuleKey, module: ModuleOnGateway, record: DeploymentRecord
    ) -> None:
        if not (module.version and module.sha256):
            return
        place = (*key, module.version)
        if self.digests.setdefault(place, module.sha256) == module.sha256:
            return
        self.digests[place] = ""  # neither of them is believed
        self.contradictions.append(
            f"deployment {record.id} has another SHA-256 for {module.id} {module.version} on "
            f"{key[0] or 'no gateway'} than the deployments before it"
        )


def _may_be_there(before: DeployedVersion, module: ModuleOnGateway) -> bool:
    """Return whether the gateway may have had the module's previous version."""
    known = [before.version, before.undone, *before.attempted]
    is_repeated = same_version(before.version, module.version)
    if before.uncertain or before.outcome is Outcome.RESTART_PENDING or is_repeated:
        known += [before.previous, before.rollback_version]
    return _is_among(module.previous, known)


def _is_among(version: str, known: Iterable[str]) -> bool:
    return any(same_version(version, each) for each in known if each)


def _distrusted(
    found: DeployedVersion, before: DeployedVersion | None, contradiction: str
) -> DeployedVersion:
    """Return the state without what a record said that contradicts the ones before."""
    if not contradiction or before is None:
        return found
    previous = before.previous if before.version == found.version else before.version
    return replace(found, previous=previous, rollback_version="", contradiction=contradiction)


def _deployed(
    key: ModuleKey,
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    previous, contradiction = module.previous, ""
    if before is not None and previous in ("", module.version):
        # Deployed again: the version to roll back to hasn't changed.
        same = before.version == module.version
        previous = before.previous if same else before.version
        contradiction = before.contradiction if same else ""
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
        rollback_version="" if contradiction else previous,
        contradiction=contradiction,
    )


def _rolled_back(
    found: DeployedVersion, before: DeployedVersion | None, module: ModuleOnGateway
) -> DeployedVersion:
    """Return the state after a rollback: another one must not bring back what was rolled back.

    If the gateway has yet to be restarted, the next one verifies the same version.
    """
    if found.outcome is Outcome.RESTART_PENDING:
        return replace(found, rollback_version=found.version)
    undone = module.previous
    if undone in ("", module.version):
        undone = before.undone if before is not None else ""
    if not undone:
        return found
    return replace(
        found, undone=undone, undone_outcome=Outcome.ROLLED_BACK, rollback_version=found.version
    )


def _restored_version(module: ModuleOnGateway) -> str:
    return module.previous if module.restored is None else module.restored


def _restored(
    key: ModuleKey,
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
    *,
    sha256: str,
) -> DeployedVersion:
    """Return the version after a rollback, which is certain even if it wasn't before."""
    version = _restored_version(module)
    if before is not None and before.version == version and before.outcome in DEPLOYED_OUTCOMES:
        found = replace(
            before, rollback_version=before.previous, uncertain=False, attempted=(), undone=""
        )
    else:
        found = DeployedVersion(
            environment=record.environment,
            gateway=key[0],
            id=module.id,
            version=version,
            sha256=sha256,
            previous="",
            outcome=module.outcome,
            since=record.ended_at,
            actor=record.actor,
            deployment=record.id,
        )
    return _undone(found, module, record)


def _undone(
    found: DeployedVersion, module: ModuleOnGateway, record: DeploymentRecord
) -> DeployedVersion:
    """Return the state after a deployment that changed nothing; a rollback is tried again."""
    if record.kind is DeploymentKind.ROLLBACK:
        return found
    return replace(
        found,
        undone=module.version,
        undone_outcome=module.outcome,
        rollback_version=found.version,
        contradiction="",
    )


def _not_changed(
    key: ModuleKey,
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion | None:
    if before is None:
        before = _first(key, module, record, version=module.previous)
    elif module.outcome is not Outcome.UNCHANGED and same_version(before.version, module.version):
        return before  # the version is there, whatever became of installing it again
    return before if before.uncertain else _undone(before, module, record)


def _uncertain(
    key: ModuleKey,
    before: DeployedVersion | None,
    module: ModuleOnGateway,
    record: DeploymentRecord,
) -> DeployedVersion:
    """Return the version before a deployment whose progress is unknown."""
    found = before or _first(key, module, record, version=module.previous)
    is_rollback = record.kind is DeploymentKind.ROLLBACK
    return replace(
        found,
        deployment=record.id,
        rollback_version=module.version if is_rollback else found.version,
        uncertain=True,
        attempted=(*found.attempted, module.version),
        undone="",
        contradiction="",
    )


def _first(
    key: ModuleKey, module: ModuleOnGateway, record: DeploymentRecord, *, version: str
) -> DeployedVersion:
    """Return the version that was there before the first deployment."""
    return DeployedVersion(
        environment=record.environment,
        gateway=key[0],
        id=module.id,
        version=version,
        sha256="",
        previous="",
        outcome=Outcome.UNTOUCHED,
        since=record.started_at,
        actor=record.actor,
        deployment=record.id,
    )
