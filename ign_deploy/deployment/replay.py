"""The versions that gateways have, by replaying an environment's deployments from the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, ModuleOnGateway, Outcome
from ign_deploy.deployment.state import (
    Checkpoint,
    DeployedVersion,
    Deployment,
    EnvironmentState,
    ModuleKey,
)
from ign_deploy.deployment.transition import Step, version_after
from ign_deploy.module.version import same_version

START = Checkpoint()
_UNCONFIRMED = frozenset({Outcome.RESTART_PENDING, Outcome.ROLLBACK_FAILED})
_ON_GATEWAY = DEPLOYED_OUTCOMES | {Outcome.ROLLED_BACK}


def replay(deployments: Sequence[Deployment], *, since: Checkpoint = START) -> EnvironmentState:
    """Return the state after these deployments, oldest first, which follow the checkpoint."""
    done = _replayed(deployments, since)
    return EnvironmentState(
        deployments=deployments,
        modules=[each for _, each in sorted(done.modules.items())],
        unfinished={key: module.previous for key, module in done.unconfirmed.items()},
        unconfirmed=done.unconfirmed,
        digests={key: digest for key, digest in done.digests.items() if digest},
        last_modules=_last_modules(deployments, since),
        contradictions=done.contradictions,
        has_all_digests=since.has_all_digests,
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
        has_all_digests=since.has_all_digests,
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
        for gateway in deployment.last.gateways:
            for module in gateway.modules:
                key = (gateway.gateway, module.id)
                done.apply(Step(key, done.modules.get(key), module, deployment, gateway.outcome))
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

    def __post_init__(self) -> None:
        self._uses = Counter(each.started.id for each in self.deployments)

    def apply(self, step: Step) -> None:
        contradiction = self._contradiction(step)
        if contradiction:
            self.contradictions.append(contradiction)
        self._confirm(step, is_usable=not contradiction and self._is_previous_known(step))
        sha256 = self.digests.get((*step.key, step.restored), "")
        found = version_after(step, restored_sha256=sha256)
        if found is not None:
            self.modules[step.key] = _distrusted(found, step.before, contradiction)
        if step.is_deployed and not contradiction:
            self._add_digest(step)

    def _contradiction(self, step: Step) -> str:
        """Return why the record contradicts those before it; empty if it doesn't."""
        record, module, before = step.record, step.module, step.before
        if self._uses[record.id] > 1:
            return f"{self._uses[record.id]} deployments have the id {record.id}"
        if before is None:
            return ""
        title = f"{module.id} on {step.key[0]}" if step.key[0] else module.id
        is_possible = self._may_be_there if module.previous else self._may_be_missing
        if not is_possible(step, before):
            return (
                f"deployment {record.id} says that {title} was "
                f"{module.previous or 'not installed'} before; according to the deployments before "
                f"it, it was {before.version or 'not installed'}"
            )
        is_unfinished_rollback = step.is_rollback and module.version and not step.has_ended
        if is_unfinished_rollback and not self._was_there(step, module.version):
            return (
                f"deployment {record.id} was to roll {title} back to {module.version}, which "
                "it never had"
            )
        return ""

    def _may_be_there(self, step: Step, before: DeployedVersion) -> bool:
        """Return whether the gateway may have had the module's previous version."""
        known = [before.version, before.undone, *before.attempted]
        is_repeated = same_version(before.version, step.module.version)
        if before.uncertain or before.outcome is Outcome.RESTART_PENDING or is_repeated:
            known += [before.previous, before.rollback_version]
        previous = step.module.previous
        return (
            _is_among(previous, known)
            or (_is_concurrent(step, before) and self._was_there(step, previous))
            or _is_among(previous, self._versions_at_once(step))
        )

    def _may_be_missing(self, step: Step, before: DeployedVersion) -> bool:
        """Return whether the gateway may have had no version of the module."""
        is_removal_uncertain = before.uncertain and "" in before.attempted
        is_first_at_once = _is_concurrent(step, before) and not before.previous
        return is_removal_uncertain or is_first_at_once or self._is_previous_known(step)

    def _is_previous_known(self, step: Step) -> bool:
        """Return whether the record says reliably what to restore: not none where one was there.

        Otherwise a module could be uninstalled because a single document says so.
        """
        unconfirmed = self.unconfirmed.get(step.key)
        return (
            bool(step.module.previous)
            or step.before is None
            or not step.before.version
            or (unconfirmed is not None and not unconfirmed.previous)
        )

    def _was_there(self, step: Step, version: str) -> bool:
        known = [each for *key, each in self.digests if tuple(key) == step.key]
        known += [step.before.version, step.before.previous] if step.before else []
        return _is_among(version, known)

    def _versions_at_once(self, step: Step) -> Iterator[str]:
        """Yield the versions that ended deployments brought while this one was under way."""
        record = step.record
        for other in (each.ended for each in self.deployments if each is not step.deployment):
            if other is None or other.ended_at < record.started_at:
                continue
            if record.ended_at and other.started_at > record.ended_at:
                continue
            for gateway in other.gateways:
                if gateway.gateway == step.key[0]:
                    yield from (each.version for each in gateway.modules if each.id == step.key[1])

    def _confirm(self, step: Step, *, is_usable: bool) -> None:
        """Remember whether neither the new nor the old version is known to run."""
        if not step.has_ended or step.module.outcome in _UNCONFIRMED:
            if is_usable:
                # Each run took its previous version from the unconfirmed run before it.
                self.unconfirmed[step.key] = step.module
        elif step.module.outcome in _ON_GATEWAY:
            self.unconfirmed.pop(step.key, None)

    def _add_digest(self, step: Step) -> None:
        module = step.module
        if not (module.version and module.sha256):
            return
        place = (*step.key, module.version)
        if self.digests.setdefault(place, module.sha256) == module.sha256:
            return
        self.digests[place] = ""  # neither of them is believed
        self.contradictions.append(
            f"deployment {step.record.id} has another SHA-256 for {module.id} {module.version} on "
            f"{step.key[0] or 'no gateway'} than the deployments before it"
        )


def _is_concurrent(step: Step, before: DeployedVersion) -> bool:
    """Return whether the deployment may have seen what was there before the last one's end.

    What is only recorded was read from the history, where an end is written later.
    """
    return step.record.started_at < before.since or not step.key[0]


def _is_among(version: str, known: Iterable[str]) -> bool:
    return any(same_version(version, each) for each in known if each)


def _distrusted(
    found: DeployedVersion, before: DeployedVersion | None, contradiction: str
) -> DeployedVersion:
    """Return the state without what a record said that contradicts the ones before."""
    if not contradiction:
        return found
    previous = ""
    if before is not None:
        previous = before.previous if before.version == found.version else before.version
    return replace(found, previous=previous, rollback_version="", contradiction=contradiction)
