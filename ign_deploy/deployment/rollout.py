"""A rollout to several gateways: a plan for each of them first, then wave by wave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ign_deploy.deployment.gateway import GatewayCapabilities, GatewayFacts
from ign_deploy.deployment.gateway.errors import explain_unexpected
from ign_deploy.deployment.gateway_deployment import GatewayDeployment
from ign_deploy.deployment.interruption import Interrupted, interrupted_gateways
from ign_deploy.deployment.options import DeployOptions, Gateway
from ign_deploy.deployment.outcome import named_problem, steps_of, with_title
from ign_deploy.deployment.plan import GatewayPlan, plan_gateway
from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, GatewayRecord, Outcome
from ign_deploy.deployment.resuming import UNREACHABLE
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import (
    CombinedError,
    DeploymentError,
    IgnDeployError,
    RollbackError,
    docs_url,
)
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import BufferedReporter, Reporter

WORKERS = 8
_NAMED = 5
_STEPS = 12
"""How many gateways and steps an error names; the others are counted."""
GRACE = 2.0
"""Seconds that an interrupted run waits for gateways: for requests that are under way."""


def in_dependency_order(modules: Sequence[VerifiedModule]) -> tuple[VerifiedModule, ...]:
    """Return the modules in an order in which each comes after those it depends on."""
    by_id = {module.descriptor.id: module for module in modules}
    order = dependency_order({name: Needs.of(each.descriptor) for name, each in by_id.items()})
    return tuple(by_id[name] for name in order)


def plan_gateways(
    gateways: Sequence[Gateway],
    modules: Sequence[VerifiedModule],
    *,
    options: DeployOptions,
    history: EnvironmentState,
    reporter: Reporter,
    removals: Sequence[str] = (),
) -> list[GatewayPlan]:
    """Plan for every gateway without changing any; raises CombinedError with all problems.

    With ``continue_on_error``, a gateway that can't be reached has a plan that says so.

    See ``plan.plan_gateway`` for ``history`` and ``removals``.
    """
    ordered = in_dependency_order(modules)

    def plan(gateway: Gateway) -> GatewayPlan | list[IgnDeployError]:
        try:
            planned, problems = plan_gateway(
                gateway,
                ordered,
                options=options,
                history=history,
                reporter=reporter,
                removals=removals,
            )
        except UNREACHABLE as problem:
            # Where others go on, it costs its own time-out and nothing else.
            named = named_problem(problem, gateway)
            return unreachable_plan(gateway, named) if options.continue_on_error else [named]
        except Exception as problem:  # noqa: BLE001 - it is this gateway's, reported with the others'
            return [named_problem(explain_unexpected(problem), gateway)]
        return [named_problem(each, gateway) for each in problems] if problems else planned

    found = map_parallel(plan, gateways, workers=WORKERS, grace=GRACE)
    problems = [problem for each in found if isinstance(each, list) for problem in each]
    _require_no_problems(problems)
    plans = [each for each in found if isinstance(each, GatewayPlan)]
    previous = [
        change.previous for each in plans for change in each.changes if change.previous is not None
    ]
    options.accept.require_use(modules, previous=previous)
    return plans


def require_reachable(plans: Sequence[GatewayPlan]) -> None:
    """Raise CombinedError with all problems if no gateway at all can be reached."""
    unreachable = [each.unreachable for each in plans if each.unreachable is not None]
    if len(unreachable) == len(plans):
        _require_no_problems(unreachable)


def _require_no_problems(problems: Sequence[IgnDeployError]) -> None:
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        raise CombinedError(
            f"{len(problems)} {noun} found before the deployment; nothing was changed",
            causes=problems,
            mixed_exit_code=DeploymentError.exit_code,
        )


def unreachable_plan(gateway: Gateway, problem: IgnDeployError) -> GatewayPlan:
    """Return the plan for a gateway that can't be reached: to report that."""
    facts = GatewayFacts(gateway.location, GatewayCapabilities())
    return GatewayPlan(gateway, facts, changes=(), unreachable=problem)


@dataclass
class Rollout:
    """Carries out the plans for several gateways, wave by wave."""

    plans: Sequence[GatewayPlan]
    options: DeployOptions
    reporter: Reporter
    _deployments: dict[str, GatewayDeployment] = field(default_factory=dict)
    _records: dict[str, GatewayRecord] = field(default_factory=dict)
    _buffers: list[BufferedReporter] = field(default_factory=list)
    _is_interrupted: bool = False

    @contextmanager
    def explaining_interruptions(self) -> Iterator[None]:
        """Say what each gateway has, and how to go on, whatever ends what is done within."""
        try:
            yield
        except BaseException:
            self._report_interruption()
            raise

    def run(self) -> tuple[GatewayRecord, ...]:
        """Deploy; returns the record of each gateway, in the order of the plans."""
        for number, wave in enumerate(self._waves(), start=1):
            with self.reporter.group(f"wave {number}: {', '.join(_title(each) for each in wave)}"):
                self._run_wave(wave)
            if self._failed() and not self.options.continue_on_error:
                break
        if self._failed() and self.options.all_or_nothing:
            self._roll_back_all()
        if self.options.resume_command and any(map(self._waits_for_restart, self.plans)):
            command = self.options.resume_command
            self.reporter.info(f"after the restart, verify the result with: {command}")
        return tuple(self._record_of(each) for each in self.plans)

    def _waves(self) -> Iterator[list[GatewayPlan]]:
        rest = list(self.plans)
        if self.options.canary and len(rest) > 1:
            yield [rest.pop(0)]
        size = max(1, self.options.wave)
        for start in range(0, len(rest), size):
            yield rest[start : start + size]

    def _run_wave(self, wave: Sequence[GatewayPlan]) -> None:
        if len(wave) == 1:
            self._deploy(wave[0], self.reporter)
            return
        self._buffers = [BufferedReporter(self.reporter) for _ in wave]
        jobs = list(zip(wave, self._buffers, strict=True))
        map_parallel(
            lambda job: self._deploy(*job),
            jobs,
            workers=len(wave),
            interrupt=self._report_interruption,
            grace=GRACE,
        )
        self._play_back()

    def _play_back(self) -> None:
        for each in self._buffers:
            each.play_back()
        self._buffers = []

    def _report_interruption(self) -> None:
        """Say what each gateway has, and how to go on: the last lines of the run.

        At once: little time may be left. Those at work wait for a restart, or for a response: none
        of them begins another change.
        """
        if self._is_interrupted:
            return
        self._is_interrupted = True
        self._play_back()
        self.reporter.warning("interrupted; the history shows the deployment as unfinished")
        for line in interrupted_gateways(self.plans, self._deployments, self._records):
            self.reporter.warning(line)
        command = self.options.resume_command
        how = f"run: {command}" if command else "run the same command or job again"
        self.reporter.warning(f"to go on, {how}")

    def _deploy(self, plan: GatewayPlan, reporter: Reporter) -> None:
        if plan.unreachable is not None:
            unreachable = with_title(plan.unreachable.message, plan.gateway)
            message = f"{unreachable}; nothing was changed"
            reporter.warning(message)
            self._records[plan.gateway.location] = plan.record().model_copy(
                update={
                    "outcome": Outcome.FAILED,
                    "message": message,
                    "steps": steps_of(plan.unreachable.hint),
                }
            )
            return
        options = replace(self.options, require_lease=self._require_lease)
        deployment = GatewayDeployment(plan, options, reporter)
        location = plan.gateway.location
        self._deployments[location] = deployment
        self._records[location] = deployment.deploy()

    def _require_lease(self) -> None:
        """Raise Interrupted once it was said what the gateways have; see DeployOptions."""
        if self._is_interrupted:
            raise Interrupted
        self.options.require_lease()

    def _failed(self) -> bool:
        return any(each.outcome not in DEPLOYED_OUTCOMES for each in self._records.values())

    def _waits_for_restart(self, plan: GatewayPlan) -> bool:
        """Return whether the gateway has to be restarted, and can then say what runs."""
        record = self._records.get(plan.gateway.location)
        is_pending = record is not None and record.outcome is Outcome.RESTART_PENDING
        return is_pending and plan.facts.capabilities.reports_state

    def _roll_back_all(self) -> None:
        """Roll back the gateways that had succeeded, the last one first."""
        for location, deployment in reversed(self._deployments.items()):
            if self._records[location].outcome in DEPLOYED_OUTCOMES and deployment.touched:
                reason = "another gateway of an all-or-nothing deployment failed"
                deployment.reporter = self.reporter
                self._records[location] = deployment.roll_back(reason)

    def _record_of(self, plan: GatewayPlan) -> GatewayRecord:
        found = self._records.get(plan.gateway.location)
        if found is not None:
            return found
        message = "not started because another gateway failed"
        return plan.record().model_copy(update={"message": message})


def overall_outcome(records: Sequence[GatewayRecord]) -> Outcome:
    """Return the outcome of a whole deployment: the worst of its gateways."""
    outcomes = {record.outcome for record in records}
    for worst in (
        Outcome.ROLLBACK_FAILED,
        Outcome.FAILED,
        Outcome.ROLLED_BACK,
        Outcome.RESTART_PENDING,
        Outcome.UNINSTALLED,
        Outcome.DEPLOYED,
        Outcome.UNCHANGED,
    ):
        if worst in outcomes:
            return worst
    return Outcome.RECORDED


def require_success(records: Sequence[GatewayRecord]) -> None:
    """Raise RollbackError or DeploymentError if any gateway failed; the messages say where."""
    failed = [record for record in records if record.outcome not in DEPLOYED_OUTCOMES]
    if not failed:
        return
    broken = [record for record in failed if record.outcome is Outcome.ROLLBACK_FAILED]
    shown = [record for record in failed if record.outcome is not Outcome.UNTOUCHED]
    skipped = len(failed) - len(shown)
    rest = f"; {skipped} more {_were(skipped)} not started" if skipped else ""
    if broken:
        others = f"; {len(shown) - len(broken)} more failed" if len(shown) > len(broken) else ""
        raise RollbackError(
            f"needs manual repair: {_cause(broken)}{others}{rest}",
            hint="\n".join((*_steps(broken), f"see {docs_url('runbook-exit-8.md')}")),
        )
    who = "the gateway" if len(records) == 1 else f"{len(shown)} of {len(records)} gateways"
    again = "fix the cause, then run the same command again."
    raise DeploymentError(
        f"{who} failed: {_cause(shown)}{rest}",
        hint="\n".join((*_steps(shown), again, f"see {docs_url('runbook-exit-7.md')}")),
    )


def _cause(records: Sequence[GatewayRecord]) -> str:
    """Return why gateways failed: those of the first reason, and how many have another one."""
    reason = records[0].reason
    same = [record.title for record in records if record.reason == reason]
    names = ", ".join(same[:_NAMED]) + (
        f" and {more} more" if (more := len(same) - _NAMED) > 0 else ""
    )
    others = len(records) - len(same)
    rest = f"; {others} more for other reasons" if others else ""
    about = reason if reason.startswith(f"{same[0]} ") and len(same) == 1 else f"{names}: {reason}"
    return f"{about}{rest}"


def _steps(records: Sequence[GatewayRecord]) -> list[str]:
    """Return what is left to do on gateways, each step once."""
    steps = list(dict.fromkeys(step for record in records for step in record.steps))
    more = f"go on with {len(steps) - _STEPS} more steps: --json shows those of each gateway."
    return steps if len(steps) <= _STEPS else [*steps[:_STEPS], more]


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _title(plan: GatewayPlan) -> str:
    return plan.gateway.title
