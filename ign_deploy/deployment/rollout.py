"""Several modules to several gateways: looked at all first, then done in waves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ign_deploy.deployment.gateway_deployment import GatewayDeployment
from ign_deploy.deployment.options import DeployOptions, Gateway
from ign_deploy.deployment.plan import GatewayPlan, plan_gateway
from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, GatewayRecord, Outcome
from ign_deploy.errors import DeploymentError, IgnDeployError, RollbackError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.dependencies import Needs, dependency_order
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import BufferedReporter, Reporter

_LOOKERS = 8


class NotBegun(DeploymentError):
    """Something stands against a deployment; nothing was changed anywhere. See ``causes``."""

    code = "not-begun"

    def __init__(self, problems: Sequence[IgnDeployError]) -> None:
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(
            f"{len(problems)} {noun} found before the deployment; nothing was changed",
            hint="mend what is listed and run again.",
        )
        self.causes = tuple(problems)
        codes = {problem.exit_code for problem in problems}
        if len(codes) == 1:
            self.exit_code = codes.pop()


def in_dependency_order(modules: Sequence[VerifiedModule]) -> tuple[VerifiedModule, ...]:
    """Return the modules so that each comes after those it depends on."""
    by_id = {module.descriptor.id: module for module in modules}
    order = dependency_order({name: Needs.of(each.descriptor) for name, each in by_id.items()})
    return tuple(by_id[name] for name in order)


def plan_gateways(
    gateways: Sequence[Gateway],
    modules: Sequence[VerifiedModule],
    *,
    options: DeployOptions,
    before: Mapping[tuple[str, str], str],
    reporter: Reporter,
    removals: Sequence[str] = (),
) -> list[GatewayPlan]:
    """Look at every gateway without changing any; raises NotBegun with all that stands against it.

    See ``visit.prepare`` for ``before`` and ``removals``.
    """
    options.consents.require_use(tuple(modules))
    ordered = in_dependency_order(modules)

    def look(gateway: Gateway) -> GatewayPlan | list[IgnDeployError]:
        try:
            prepared, problems = plan_gateway(
                gateway,
                ordered,
                options=options,
                before=before,
                reporter=reporter,
                removals=removals,
            )
        except IgnDeployError as problem:
            return [problem]
        return [*problems] if problems else prepared

    found = map_parallel(look, gateways, workers=_LOOKERS)
    against = [problem for each in found if isinstance(each, list) for problem in each]
    if against:
        raise NotBegun(against)
    return [each for each in found if isinstance(each, GatewayPlan)]


@dataclass
class Rollout:
    """Carries out what was prepared on several gateways, wave by wave."""

    prepared: Sequence[GatewayPlan]
    options: DeployOptions
    reporter: Reporter
    _visits: dict[str, GatewayDeployment] = field(default_factory=dict)
    _records: dict[str, GatewayRecord] = field(default_factory=dict)

    def run(self) -> tuple[GatewayRecord, ...]:
        """Deploy; returns what became of each gateway, in the order that was given."""
        for number, wave in enumerate(self._waves(), start=1):
            with self.reporter.group(f"wave {number}: {', '.join(_title(each) for each in wave)}"):
                self._do(wave)
            if self._failed() and not self.options.continue_on_error:
                break
        if self._failed() and self.options.all_or_nothing:
            self._undo()
        return tuple(self._record_of(each) for each in self.prepared)

    def _waves(self) -> Iterator[list[GatewayPlan]]:
        rest = list(self.prepared)
        if self.options.canary and len(rest) > 1:
            yield [rest.pop(0)]
        size = max(1, self.options.wave)
        for start in range(0, len(rest), size):
            yield rest[start : start + size]

    def _do(self, wave: Sequence[GatewayPlan]) -> None:
        if len(wave) == 1:
            self._visit(wave[0], self.reporter)
            return
        reported = [BufferedReporter(self.reporter) for _ in wave]
        jobs = list(zip(wave, reported, strict=True))
        try:
            map_parallel(lambda job: self._visit(*job), jobs, workers=len(wave))
        finally:
            for each in reported:
                each.play_back()

    def _visit(self, prepared: GatewayPlan, reporter: Reporter) -> None:
        visit = GatewayDeployment(prepared, self.options, reporter)
        location = prepared.gateway.location
        self._visits[location] = visit
        self._records[location] = visit.deploy()

    def _failed(self) -> bool:
        return any(each.outcome not in DEPLOYED_OUTCOMES for each in self._records.values())

    def _undo(self) -> None:
        """Bring the gateways back that had succeeded, the last one first."""
        for location, visit in reversed(self._visits.items()):
            if self._records[location].outcome in DEPLOYED_OUTCOMES and visit.touched:
                reason = "another gateway of an all-or-nothing deployment failed"
                visit.reporter = self.reporter
                self._records[location] = visit.roll_back(reason)

    def _record_of(self, prepared: GatewayPlan) -> GatewayRecord:
        found = self._records.get(prepared.gateway.location)
        if found is not None:
            return found
        message = "not begun, since another gateway failed"
        return prepared.record().model_copy(update={"message": message})


def overall_outcome(records: Sequence[GatewayRecord]) -> Outcome:
    """Return the outcome of a whole deployment: the worst one counts."""
    outcomes = {record.outcome for record in records}
    for worst in (
        Outcome.ROLLBACK_FAILED,
        Outcome.FAILED,
        Outcome.ROLLED_BACK,
        Outcome.RESTART_PENDING,
        Outcome.DEPLOYED,
        Outcome.UNCHANGED,
    ):
        if worst in outcomes:
            return worst
    return Outcome.RECORDED


def require_success(records: Sequence[GatewayRecord]) -> None:
    """Raise RollbackError or DeploymentError when any gateway failed; the messages say where."""
    failed = [record for record in records if record.outcome not in DEPLOYED_OUTCOMES]
    if not failed:
        return
    left = [record for record in failed if record.outcome is Outcome.UNTOUCHED]
    lost = [record for record in failed if record.outcome is Outcome.ROLLBACK_FAILED]
    shown = [record for record in (*lost, *failed) if record.outcome is not Outcome.UNTOUCHED]
    text = " ".join(dict.fromkeys(record.message for record in shown))
    rest = f" {len(left)} more were not begun." if left else ""
    if lost:
        names = ", ".join(record.name or record.gateway for record in lost)
        raise RollbackError(
            f"{len(lost)} of {len(records)} gateways are in a state that needs a person: {text}"
            f"{rest}",
            hint=f"look at {names} now; docs/runbook-exit-8.md says how.",
        )
    raise DeploymentError(
        f"{len(failed) - len(left)} of {len(records)} gateways failed: {text}{rest}",
        hint="mend the cause and run again; what was rolled back runs what it ran before.",
    )


def _title(prepared: GatewayPlan) -> str:
    return prepared.gateway.title
