"""What an environment's deployments add up to: the versions that its gateways have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ign_deploy.deployment.records import DeploymentRecord, ModuleOnGateway, Outcome
from ign_deploy.module.version import same_version

ModuleKey = tuple[str, str]
"""A gateway's address and a module's id."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment from its documents; ``ended`` is None if it is still running, or was killed."""

    started: DeploymentRecord
    ended: DeploymentRecord | None = None

    @property
    def last(self) -> DeploymentRecord:
        """Its latest document."""
        return self.ended or self.started

    def has_module(self, module_id: str) -> bool:
        """Return whether the module was part of it, on any gateway."""
        return any(
            module.id == module_id for gateway in self.last.gateways for module in gateway.modules
        )


@dataclass(frozen=True, slots=True)
class DeployedVersion:
    """The current version of a module on a gateway; ``previous`` is the one before.

    ``since`` is when its deployment ended. ``uncertain``: a later deployment didn't end, or its
    rollback failed; ``version`` is then the one before that deployment, and ``attempted`` are those
    that it may have now. ``rollback_version`` is the version that a rollback restores, empty for
    none; if uncertain, it isn't ``previous``. ``undone`` is the version that the last deployment
    was to install, but that isn't there (``undone_outcome`` says why): then there is nothing to
    roll back. ``contradiction`` says why the rollback version is unknown.
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
    attempted: tuple[str, ...] = ()
    undone: str = ""
    undone_outcome: Outcome = Outcome.ROLLED_BACK
    contradiction: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the oldest deployments add up to, so that only later ones have to be replayed.

    ``digests`` has an empty one where records contradict each other. ``last_modules`` are the ids
    of the modules in the last deployment to each gateway. ``through`` is the newest deployment,
    as in the names of its documents. ``has_all_digests``: those of old versions weren't dropped.
    """

    modules: Mapping[ModuleKey, DeployedVersion] = field(default_factory=dict)
    unconfirmed: Mapping[ModuleKey, ModuleOnGateway] = field(default_factory=dict)
    digests: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    last_modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contradictions: Sequence[str] = ()
    through: str = ""
    has_all_digests: bool = True


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """What an environment's deployments add up to; ``deployments`` are the recent ones.

    ``modules`` also has those that were uninstalled, with an empty version. ``unfinished`` is the
    version before an unconfirmed deployment, empty for none: a run that was killed, that left the
    restart for later or whose rollback failed may have installed its version, so if the next run
    fails, the version to restore isn't the one that the gateway shows now. ``unconfirmed`` is what
    that run was to install, as its latest document has it. ``digests`` has the
    SHA-256 of what was installed, by gateway, id and version. ``last_modules`` are the ids of the
    modules in the last deployment to each gateway.
    """

    deployments: Sequence[Deployment] = ()
    modules: Sequence[DeployedVersion] = ()
    unfinished: Mapping[ModuleKey, str] = field(default_factory=dict)
    unconfirmed: Mapping[ModuleKey, ModuleOnGateway] = field(default_factory=dict)
    digests: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    last_modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contradictions: Sequence[str] = ()
    has_all_digests: bool = True

    @property
    def deployed(self) -> list[DeployedVersion]:
        """The current versions, by gateway and module."""
        return [each for each in self.modules if each.version or each.uncertain]

    def may_lack_digests(self, version: str) -> bool:
        """Return whether only older records may have the SHA-256 of that version."""
        return not self.has_all_digests and all(each != version for *_, each in self.digests)

    @property
    def unfinished_deployments(self) -> list[Deployment]:
        """The recent deployments that didn't end, and that no later one has completed or undone."""
        uncertain = {each.deployment for each in self.modules if each.uncertain}
        return [
            each for each in self.deployments if each.ended is None and each.started.id in uncertain
        ]

    def find(self, gateway: str, module_id: str) -> DeployedVersion | None:
        """Return what is known of a module on a gateway, None if it was never deployed there."""
        place = (gateway, module_id)
        return next((each for each in self.modules if (each.gateway, each.id) == place), None)

    def may_have_another(self, gateway: str, module_id: str, version: str) -> bool:
        """Return whether another version may wait there for a restart."""
        last = self.find(gateway, module_id)
        if last is None:
            return False
        is_pending = last.outcome is Outcome.RESTART_PENDING and not last.uncertain
        waiting = [last.version] if is_pending else last.attempted if last.uncertain else []
        return any(not same_version(each, version) for each in waiting)

    def digests_of(self, gateway: str, module_id: str) -> Mapping[str, str]:
        """Return the SHA-256 of the module's versions that were installed on a gateway."""
        return {
            version: digest
            for (*place, version), digest in self.digests.items()
            if place == [gateway, module_id]
        }
