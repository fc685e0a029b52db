"""Deploying: look at the gateways, write down what begins, do it, write down how it ended."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.deployment.history import (
    Deployment,
    History,
    deployed_versions,
    unfinished_previous,
)
from ign_deploy.deployment.options import ANY, AcceptOptions, DeployOptions, Gateway
from ign_deploy.deployment.records import (
    DeploymentKind,
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    timestamp,
)
from ign_deploy.deployment.rollout import Rollout, overall_outcome, plan_gateways
from ign_deploy.errors import IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.events import RunEvents
from ign_deploy.pipeline.gateways import deploy_options
from ign_deploy.pipeline.publishing import actor_of, build_of, commit_of, read_notes
from ign_deploy.pipeline.verify import verify_file
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.deployment.plan import GatewayPlan
    from ign_deploy.repositories import Repository

DEFAULT_ENVIRONMENT = "default"


@dataclass(frozen=True, slots=True)
class Part:
    """The same modules for some gateways; ``removals`` are ids to be taken off them.

    Without gateways, the deployment is only recorded.
    """

    modules: Sequence[VerifiedModule]
    gateways: Sequence[Gateway] = ()
    removals: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be deployed to an environment; ``source`` is the one a promotion comes from."""

    environment: str
    parts: Sequence[Part]
    kind: DeploymentKind = DeploymentKind.DEPLOYMENT
    source: str = ""


@dataclass
class Deployer:
    """What every deployment needs; ``folder`` holds the files that are fetched meanwhile."""

    settings: Settings
    env: Mapping[str, str]
    repository: Repository
    reporter: Reporter
    events: RunEvents
    folder: Path
    _fetched: dict[tuple[str, str], VerifiedModule] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The present moment (UTC)."""
        return datetime.now(UTC)

    @property
    def history(self) -> History:
        """The deployments in the repository."""
        return History(self.repository.maintenance.documents, reporter=self.reporter)

    def obtain(self, module_id: str, version: str) -> VerifiedModule:
        """Fetch a published version, verified; raises our errors."""
        from ign_deploy.repositories.download import download

        if (module_id, version) not in self._fetched:
            self._fetched[module_id, version] = download(
                self.repository,
                module_id,
                version=version,
                output_dir=self.folder / secrets.token_hex(4),
                verify=self._verify,
                reporter=self.reporter,
            )
        return self._fetched[module_id, version]

    def _verify(self, path: Path) -> VerifiedModule:
        return verify_file(path, settings=self.settings, now=self.now, expect_asked=False)

    def deploy(self, order: Order) -> DeploymentRecord:
        """Carry out an order; returns its record, whatever became of it.

        With ``dry_run`` it is only looked at, and nothing is written down. Raises NotBegun, with
        everything that stands against it, before anything is changed.
        """
        deployments = self.history.deployments(order.environment)
        self._warn_of_others(deployments)
        prepared = self._look(order, unfinished_previous(deployments))
        begun = self._begun(order, prepared, deployments)
        self._tell_plan(begun)
        if self.settings.dry_run:
            return begun
        self.history.append(begun)
        self.events.begun(begun)
        records = self._carry_out(order.kind, prepared, begun)
        ended = begun.model_copy(
            update={
                "phase": Phase.ENDED,
                "ended_at": timestamp(self.now),
                "gateways": records,
                "outcome": overall_outcome(records),
            }
        )
        try:
            self.history.append(ended)
        except IgnDeployError as problem:
            self.reporter.warning(
                f"the history couldn't be written: {problem.message}; run the same command again "
                "to have it there"
            )
        sizes = {
            module.descriptor.id: module.size for part in order.parts for module in part.modules
        }
        self.events.ended(ended, sizes=sizes)
        return ended

    def _look(
        self, order: Order, before: Mapping[tuple[str, str], str]
    ) -> list[tuple[Part, list[GatewayPlan]]]:
        options = self._manner(order.kind)
        return [
            (
                part,
                plan_gateways(
                    part.gateways,
                    part.modules,
                    options=options,
                    before=before,
                    reporter=self.reporter,
                    removals=part.removals,
                ),
            )
            for part in order.parts
        ]

    def _manner(self, kind: DeploymentKind) -> DeployOptions:
        options = deploy_options(
            self.settings, env=self.env, obtain=self.obtain, reporter=self.reporter
        )
        if kind is not DeploymentKind.ROLLBACK:
            return options
        # It ran there before: its signer was accepted then, and older it is by its nature.
        agreed = AcceptOptions(frozenset({ANY}), frozenset({ANY}))
        return replace(options, consents=agreed, allow_downgrade=True)

    def _begun(
        self,
        order: Order,
        prepared: Sequence[tuple[Part, list[GatewayPlan]]],
        deployments: Sequence[Deployment],
    ) -> DeploymentRecord:
        gateways = [each.record() for _, found in prepared for each in found]
        gateways += [
            _recorded(part, deployments, Outcome.UNTOUCHED) for part, found in prepared if not found
        ]
        return DeploymentRecord(
            id=secrets.token_hex(6),
            phase=Phase.BEGUN,
            kind=order.kind,
            environment=order.environment,
            begun_at=timestamp(self.now),
            gateways=tuple(gateways),
            notes=read_notes(self.settings),
            tags=self.settings.tags,
            source=order.source,
            actor=actor_of(self.env),
            commit=commit_of(self.env),
            run_url=build_of(self.env, self.settings).get("url", ""),
        )

    def _carry_out(
        self,
        kind: DeploymentKind,
        prepared: Sequence[tuple[Part, list[GatewayPlan]]],
        begun: DeploymentRecord,
    ) -> tuple[GatewayRecord, ...]:
        records: list[GatewayRecord] = []
        everything = [each for _, found in prepared for each in found]
        if everything:
            records += Rollout(everything, self._manner(kind), self.reporter).run()
        for gateway in begun.gateways:
            if not gateway.gateway:
                modules = tuple(
                    module.model_copy(update={"outcome": Outcome.RECORDED})
                    for module in gateway.modules
                )
                records.append(
                    gateway.model_copy(update={"outcome": Outcome.RECORDED, "modules": modules})
                )
        return tuple(records)

    def _warn_of_others(self, deployments: Sequence[Deployment]) -> None:
        for each in deployments[-20:]:
            if each.ended is None:
                self.reporter.warning(
                    f"deployment {each.begun.id} of {each.begun.actor or 'somebody'} began at "
                    f"{each.begun.begun_at[:16]}Z and hasn't ended: it runs now, or was killed"
                )

    def _tell_plan(self, record: DeploymentRecord) -> None:
        with self.reporter.group(f"plan for {record.environment}"):
            for gateway in record.gateways:
                for module in gateway.modules:
                    where = gateway.name or gateway.gateway or "no gateway"
                    there = module.previous or "not installed"
                    wanted = module.version or "uninstalled"
                    self.reporter.info(f"{where}: {module.id} {there} → {wanted}")
            if any(gateway.gateway for gateway in record.gateways):
                self.reporter.info(f"restart: {self.settings.restart}")


def _recorded(part: Part, deployments: Sequence[Deployment], outcome: Outcome) -> GatewayRecord:
    deployed = {
        each.id: each.version for each in deployed_versions(deployments) if not each.gateway
    }
    return GatewayRecord(
        gateway="",
        modules=tuple(
            ModuleOnGateway(
                id=module.descriptor.id,
                version=module.descriptor.version,
                sha256=module.sha256,
                previous=deployed.get(module.descriptor.id, ""),
                outcome=outcome,
            )
            for module in part.modules
        ),
    )


def environment_of(settings: Settings) -> str:
    """Return the environment's name; without one, deployments are those of ``default``."""
    return settings.environment or DEFAULT_ENVIRONMENT
