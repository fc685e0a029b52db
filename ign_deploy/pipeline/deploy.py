"""Deploying: look at the gateways, write down what begins, do it, write down how it ended."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ign_deploy.deployment.consent import require_expected_consent
from ign_deploy.deployment.history import Deployment, EnvironmentState
from ign_deploy.deployment.options import DeployOptions, Gateway
from ign_deploy.deployment.records import (
    DeploymentKind,
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    timestamp,
)
from ign_deploy.deployment.rollout import (
    Rollout,
    overall_outcome,
    plan_gateways,
    require_reachable,
    require_success,
    unreachable_plan,
)
from ign_deploy.errors import IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.environment import environment_of
from ign_deploy.pipeline.gateways import deploy_options, open_gateways
from ign_deploy.pipeline.lease import GatewayLease, lease_gateways
from ign_deploy.pipeline.transfer import download_module
from ign_deploy.pipeline.unrecorded import record_end, require_recorded
from ign_deploy.report import shown_age

if TYPE_CHECKING:
    from ign_deploy.deployment.plan import GatewayPlan

_TICK = timedelta(microseconds=1)
_COMMANDS = {
    DeploymentKind.DEPLOYMENT: "install",
    DeploymentKind.ROLLBACK: "rollback",
    DeploymentKind.PROMOTION: "promote",
}


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
    """What is to be deployed to an environment; ``source`` is the one a promotion comes from.

    ``unreachable`` are gateways that couldn't be looked at, and why; ``unchanged`` are those where
    nothing is to be done, and why. Without parts, nothing is done at all, and the history gets no
    entry. ``command`` and ``arguments`` are those of the command that repeats it. For
    ``changes_signer``, see ``AcceptOptions.restores_former``.
    """

    environment: str
    parts: Sequence[Part]
    kind: DeploymentKind = DeploymentKind.DEPLOYMENT
    source: str = ""
    unchanged: Sequence[GatewayRecord] = ()
    unreachable: Sequence[tuple[Gateway, IgnDeployError]] = ()
    arguments: Sequence[str] = ()
    command: str = ""
    changes_signer: bool = False


@dataclass(frozen=True, slots=True)
class Deployer:
    """Carries out orders, and fetches each published version once."""

    context: RunContext
    _fetched: dict[tuple[str, str], VerifiedModule] = field(default_factory=dict)
    _failed: dict[tuple[str, str], IgnDeployError] = field(default_factory=dict)
    _fetching: dict[tuple[str, str], threading.Lock] = field(default_factory=dict)
    _held: list[GatewayLease] = field(default_factory=list)

    def obtain(self, module_id: str, version: str) -> VerifiedModule:
        """Fetch a published version, verified; raises our errors.

        Gateways that are looked at at once share it, also that it can't be fetched.
        """
        key = (module_id, version)
        with self._fetching.setdefault(key, threading.Lock()):
            if key in self._failed:
                raise self._failed[key]
            if key not in self._fetched:
                folder = self.context.folder / secrets.token_hex(4)
                try:
                    self._fetched[key] = download_module(
                        module_id, self.context, folder=folder, version=version
                    )
                except IgnDeployError as problem:
                    self._failed[key] = problem
                    raise
            return self._fetched[key]

    def deploy(self, order: Order) -> DeploymentRecord:
        """Carry out an order; returns its record, whatever became of it.

        With ``dry_run`` it is only checked, and nothing is written down. Raises CombinedError with
        everything that prevents it, before anything is changed.
        """
        gateways = [each for part in order.parts for each in part.gateways]
        is_dry = self.context.settings.dry_run
        if order.parts and not gateways and not order.unreachable and not is_dry:
            return self._record(order)
        with self.leasing(gateways, order.environment):
            return self._deploy(order)

    @contextmanager
    def leasing(self, gateways: Sequence[Gateway], environment: str) -> Iterator[None]:
        """Have the gateways for this run alone, unless it changes none; see ``lease_gateways``."""
        if self._held or not gateways or self.context.settings.dry_run:
            yield
            return
        names = [each.location for each in gateways]
        with lease_gateways(names, environment, self.context) as held:
            self._held.append(held)
            try:
                yield
            finally:
                self._held.clear()

    def _begin(self, order: Order) -> tuple[DeploymentRecord, list[tuple[Part, list[GatewayPlan]]]]:
        """Return the record of the start, and what is to be done on each gateway."""
        begin = timestamp(_now())  # what others change from now on isn't in our plan
        state = self.context.history.state(order.environment)
        begin = _after(state, begin)
        self._warn_of_others(state.unfinished_deployments)
        plans = self._plan(order, state)
        started = self._start_record(order, plans, state, begin=begin)
        if order.parts:
            started.to_json()  # refuses what is too large for the history, also in a dry run
            self._report_plan(started)
        return started, plans

    def _deploy(self, order: Order) -> DeploymentRecord:
        started, plans = self._begin(order)
        if not order.parts:
            return started.model_copy(
                update={"gateways": tuple(order.unchanged), "outcome": Outcome.UNCHANGED}
            )
        if self.context.settings.dry_run:
            everything = [each for _, found in plans for each in found]
            require_expected_consent(everything, self._options(order))
            return started
        if self._held:
            self._held[0].require()
        self.context.history.append(started)
        rollout = self._rollout(order, plans)
        with rollout.explaining_interruptions():
            self.context.events.deployment_started(started)
            ended = _ended(started, (*rollout.run(), *_recorded_gateways(started)))
            record_end(ended, self.context)
        self.context.events.deployment_ended(ended, modules=_modules(order))
        return ended

    def _record(self, order: Order) -> DeploymentRecord:
        """Record a deployment that changes no gateway: its end is known when it starts."""
        with self.context.history.session(order.environment):
            started, _ = self._begin(order)
            ended = _ended(started, _recorded_gateways(started))
            self.context.history.append(ended)
        self.context.events.deployment_started(started)
        self.context.events.deployment_ended(ended, modules=_modules(order))
        return ended

    def _plan(self, order: Order, state: EnvironmentState) -> list[tuple[Part, list[GatewayPlan]]]:
        options = self._options(order)
        plans = [
            (
                part,
                plan_gateways(
                    part.gateways,
                    part.modules,
                    options=options,
                    history=state,
                    reporter=self.context.reporter,
                    removals=part.removals,
                ),
            )
            for part in order.parts
        ]
        lost = [unreachable_plan(*each) for each in order.unreachable]
        if lost:
            plans.append((Part([], [each.gateway for each in lost]), lost))
        require_reachable([each for _, found in plans for each in found])
        return plans

    def _options(self, order: Order) -> DeployOptions:
        options = deploy_options(self.context, obtain=self.obtain)
        if self._held:
            options = replace(options, require_lease=self._held[0].require)
        if order.changes_signer:
            options = replace(options, accept=replace(options.accept, restores_former=True))
        if order.kind is not DeploymentKind.ROLLBACK:
            return options
        # What is rolled back to is older by its nature.
        return replace(options, is_rollback=True, allow_downgrade=True)

    def _start_record(
        self,
        order: Order,
        plans: Sequence[tuple[Part, list[GatewayPlan]]],
        state: EnvironmentState,
        *,
        begin: str,
    ) -> DeploymentRecord:
        gateways = [each.record() for _, found in plans for each in found]
        gateways += [
            _recorded(part, state, Outcome.UNTOUCHED) for part, found in plans if not found
        ]
        published = self.context.published
        return DeploymentRecord(
            id=secrets.token_hex(6),
            phase=Phase.STARTED,
            kind=order.kind,
            environment=order.environment,
            started_at=begin,
            gateways=tuple(gateways),
            notes=published.notes,
            tags=published.tags,
            source=order.source,
            actor=published.provenance.actor,
            commit=published.provenance.commit,
            run_url=published.provenance.run_url,
            lease=self._held[0].number if self._held else 0,
        )

    def _rollout(self, order: Order, plans: Sequence[tuple[Part, list[GatewayPlan]]]) -> Rollout:
        everything = [each for _, found in plans for each in found]
        options, reporter = self._options(order), self.context.reporter
        command_line = self.context.command_line
        if command_line is None:
            return Rollout(everything, options, reporter)
        modules = _modules(order)
        names = [f"{each}@{module.descriptor.version}" for each, module in modules.items()]
        is_release = order.kind is DeploymentKind.DEPLOYMENT and not order.arguments
        resume = command_line(
            order.command or _COMMANDS[order.kind], names if is_release else order.arguments
        )
        back = command_line("rollback", list(modules), environment=order.environment)
        options = replace(options, rollback_command=back, resume_command=resume)
        return Rollout(everything, options, reporter)

    def _warn_of_others(self, unfinished: Sequence[Deployment]) -> None:
        for each in unfinished:
            self.context.reporter.warning(
                f"{each.started.kind.value} {each.started.id} of "
                f"{each.started.actor or 'someone'} started "
                f"{shown_age(each.started.started_at, self.context.now)} and has not ended: it is "
                "still running, or was killed"
            )

    def _report_plan(self, record: DeploymentRecord) -> None:
        with self.context.reporter.group(f"plan for {record.environment}"):
            for gateway in record.gateways:
                for module in gateway.modules:
                    where = gateway.name or gateway.gateway or "no gateway"
                    there = module.previous or "not installed"
                    target = module.version or "uninstalled"
                    self.context.reporter.info(f"{where}: {module.id} {there} → {target}")
            if any(gateway.gateway for gateway in record.gateways):
                self.context.reporter.info(f"restart: {self.context.settings.restart}")


def _modules(order: Order) -> dict[str, VerifiedModule]:
    return {module.descriptor.id: module for part in order.parts for module in part.modules}


def _ended(started: DeploymentRecord, gateways: Sequence[GatewayRecord]) -> DeploymentRecord:
    changes = {
        "phase": Phase.ENDED,
        "ended_at": max(timestamp(_now()), started.started_at),
        "gateways": tuple(gateways),
        "outcome": overall_outcome(gateways),
    }
    return started.model_copy(update=changes)


def _recorded_gateways(started: DeploymentRecord) -> list[GatewayRecord]:
    """Return the entries of what is only recorded, as done."""
    return [
        gateway.model_copy(
            update={
                "outcome": Outcome.RECORDED,
                "modules": tuple(
                    module.model_copy(update={"outcome": Outcome.RECORDED})
                    for module in gateway.modules
                ),
            }
        )
        for gateway in started.gateways
        if not gateway.gateway
    ]


def _recorded(part: Part, state: EnvironmentState, outcome: Outcome) -> GatewayRecord:
    deployed = {each.id: each.version for each in state.deployed if not each.gateway}
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


def deploy_release(modules: Sequence[VerifiedModule], context: RunContext) -> str:
    """Deploy published modules to the requested gateways; to track them, only write the history.

    Returns the outcome's name. Raises DeploymentError or RollbackError when it failed,
    RepositoryError when the history has no end of it.
    """
    record = _deploy(modules, context)
    context.report.deployment = record
    require_success(record.gateways)
    require_recorded(context)
    if not context.settings.gateway or record.outcome is None:
        return "uploaded"
    return record.outcome.value


def check_deployment(modules: Sequence[VerifiedModule], context: RunContext) -> None:
    """Find out, before the modules are published, whether the gateways can take them.

    Raises CombinedError: a version that can't be deployed needn't be used up.
    """
    _deploy(modules, context.with_settings(dry_run=True))


def _deploy(modules: Sequence[VerifiedModule], context: RunContext) -> DeploymentRecord:
    gateways = open_gateways(context) if context.settings.gateway else []
    order = Order(environment_of(context), (Part(modules, gateways),))
    return Deployer(context).deploy(order)


def _after(state: EnvironmentState, begin: str) -> str:
    """Return a time after every known deployment: another machine's clock may be ahead."""
    last = max(
        (each.last.ended_at or each.last.started_at for each in state.deployments), default=""
    )
    return begin if last < begin else timestamp(datetime.fromisoformat(last) + _TICK)


def _now() -> datetime:
    return datetime.now(UTC)
