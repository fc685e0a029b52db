"""What one deployment makes of the version that a gateway has of a module."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ign_deploy.deployment.records import (
    DEPLOYED_OUTCOMES,
    DeploymentKind,
    DeploymentRecord,
    ModuleOnGateway,
    Outcome,
)
from ign_deploy.deployment.state import DeployedVersion, Deployment, ModuleKey
from ign_deploy.module.version import same_version

_NOTHING_CHANGED = frozenset({Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.UNTOUCHED})


@dataclass(frozen=True, slots=True)
class Step:
    """What one deployment says of a module on a gateway; ``before`` is the state until then."""

    key: ModuleKey
    before: DeployedVersion | None
    module: ModuleOnGateway
    deployment: Deployment
    gateway_outcome: Outcome

    @property
    def record(self) -> DeploymentRecord:
        """The deployment's latest document."""
        return self.deployment.last

    @property
    def has_ended(self) -> bool:
        """Whether the deployment has ended."""
        return self.deployment.ended is not None

    @property
    def is_deployed(self) -> bool:
        """Whether the module is on the gateway as requested."""
        return self.has_ended and self.module.outcome in DEPLOYED_OUTCOMES

    @property
    def is_rollback(self) -> bool:
        """Whether a person went back."""
        return self.record.kind is DeploymentKind.ROLLBACK

    @property
    def restored(self) -> str:
        """The version that an automatic rollback restored."""
        return self.module.previous if self.module.restored is None else self.module.restored

    def version(self, version: str, *, sha256: str = "", previous: str = "") -> DeployedVersion:
        """Return the state in which the gateway has this version since the deployment's end."""
        return DeployedVersion(
            environment=self.record.environment,
            gateway=self.key[0],
            id=self.module.id,
            version=version,
            sha256=sha256,
            previous=previous,
            outcome=self.module.outcome,
            since=self.record.ended_at,
            actor=self.record.actor,
            deployment=self.record.id,
        )

    def first(self) -> DeployedVersion:
        """Return the state before the first deployment."""
        found = self.version(self.module.previous)
        return replace(found, outcome=Outcome.UNTOUCHED, since=self.record.started_at)


def version_after(step: Step, *, restored_sha256: str) -> DeployedVersion | None:
    """Return what the gateway has after the deployment; None if nothing is known to change."""
    if not step.has_ended or step.module.outcome is Outcome.ROLLBACK_FAILED:
        return _uncertain(step)
    if step.module.outcome is Outcome.ROLLED_BACK:
        return _restored(step, sha256=restored_sha256)
    if step.is_deployed and step.gateway_outcome not in _NOTHING_CHANGED:
        found = _deployed(step)
        return _rolled_back(found, step) if step.is_rollback else found
    return _not_changed(step)


def _deployed(step: Step) -> DeployedVersion:
    module, before = step.module, step.before
    previous, contradiction = module.previous, ""
    is_same = before is not None and before.version == module.version
    if before is not None and is_same and previous in ("", module.version):
        # Deployed again: the version to roll back to hasn't changed.
        previous, contradiction = before.previous, before.contradiction
    elif before is not None and previous == module.version:
        previous = before.version
    previous = "" if previous == module.version else previous
    found = step.version(module.version, sha256=module.sha256, previous=previous)
    rollback_version = "" if contradiction else previous
    return replace(found, rollback_version=rollback_version, contradiction=contradiction)


def _rolled_back(found: DeployedVersion, step: Step) -> DeployedVersion:
    """Return the state after a rollback: another one must not bring back what was rolled back.

    If the gateway has yet to be restarted, the next one verifies the same version.
    """
    if found.outcome is Outcome.RESTART_PENDING:
        return replace(found, rollback_version=found.version)
    candidates, before = [step.module.previous], step.before
    if before is not None:
        candidates += [*reversed(before.attempted), before.version, before.undone]
        candidates += [before.previous] if before.outcome is Outcome.RESTART_PENDING else []
    others = (each for each in candidates if each and not same_version(each, found.version))
    undone = next(others, "")
    if not undone:
        return found
    return replace(
        found, undone=undone, undone_outcome=Outcome.ROLLED_BACK, rollback_version=found.version
    )


def _restored(step: Step, *, sha256: str) -> DeployedVersion:
    """Return the version after a rollback, which is certain even if it wasn't before."""
    before = step.before
    is_same = before is not None and before.version == step.restored
    if before is not None and is_same and before.outcome in DEPLOYED_OUTCOMES:
        found = replace(
            before, rollback_version=before.previous, uncertain=False, attempted=(), undone=""
        )
    else:
        found = step.version(step.restored, sha256=sha256)
    return _undone(found, step)


def _undone(found: DeployedVersion, step: Step) -> DeployedVersion:
    """Return the state after a deployment that changed nothing; a rollback is tried again."""
    if step.is_rollback:
        return found
    return replace(
        found,
        undone=step.module.version,
        undone_outcome=step.module.outcome,
        rollback_version=found.version,
        contradiction="",
    )


def _not_changed(step: Step) -> DeployedVersion | None:
    before = step.before
    if before is None:
        before = step.first()
    elif step.module.outcome is not Outcome.UNCHANGED and same_version(
        before.version, step.module.version
    ):
        return before  # the version is there, whatever became of installing it again
    return before if before.uncertain else _undone(before, step)


def _uncertain(step: Step) -> DeployedVersion:
    """Return the version before a deployment whose progress is unknown."""
    found = step.before or step.first()
    return replace(
        found,
        deployment=step.record.id,
        rollback_version=step.module.version if step.is_rollback else found.version,
        uncertain=True,
        attempted=(*found.attempted, step.module.version),
        undone="",
        contradiction="",
    )
