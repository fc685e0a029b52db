"""The plan for one gateway: what it has, what will change, and what a rollback would restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ign_deploy.deployment.compatibility import Incompatible, incompatibilities, untested
from ign_deploy.deployment.gateway import NO_CONSENT, Consent, GatewayFacts, InstalledModule
from ign_deploy.deployment.options import DeployOptions, Gateway
from ign_deploy.deployment.records import GatewayRecord, ModuleOnGateway, Outcome
from ign_deploy.deployment.resuming import facts_once_started, is_staged
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.version import same_version
from ign_deploy.report import Reporter


@dataclass(frozen=True, slots=True)
class ModuleChange:
    """A module to install on a gateway; ``previous`` is restored if that fails.

    ``present`` is the version that the gateway has, empty for none; ``previous`` is None if it has
    none, or if its file can't be restored (``obstacle`` says why). ``runs``: the gateway already
    runs the new version, ``staged``: it only waits for a restart; ``resumed``: because a deployment
    that didn't succeed, or left the restart for later, got that far.
    ``ran_here`` and ``previous_ran_here``: according to the history, the gateway had the very bytes
    of the new or of the previous version.
    """

    module: VerifiedModule
    present: str = ""
    previous: VerifiedModule | None = None
    obstacle: str = ""
    runs: bool = False
    resumed: bool = False
    staged: bool = False
    ran_here: bool = False
    previous_ran_here: bool = False

    @property
    def id(self) -> str:
        """The module's id."""
        return self.module.descriptor.id

    @property
    def version(self) -> str:
        """The version to be installed."""
        return self.module.descriptor.version

    def consent(self, options: DeployOptions) -> Consent:
        """Return what may be accepted for the new version."""
        if not options.is_rollback:
            return options.accept.consent_to(self.module)
        current = self.previous if self.previous_ran_here else None
        return options.accept.consent_to(self.module, ran_here=self.ran_here, beside=current)

    def consent_to_previous(self, options: DeployOptions) -> Consent:
        """Return what may be accepted to restore the previous version."""
        if self.previous is None:
            return NO_CONSENT
        return options.accept.consent_to(
            self.previous, ran_here=self.previous_ran_here, beside=self.module
        )

    def is_pending(self, found: InstalledModule | None) -> bool:
        """Return whether the gateway doesn't run the version yet, which a restart may change."""
        return found is None or found.pending_upgrade or not found.runs(self.version)

    def faults(self, found: InstalledModule) -> bool:
        """Return whether the new version was started, but is faulted."""
        is_started = found.version.is_version(self.version) and not found.pending_upgrade
        return is_started and bool(found.fault_cause)

    def problem(self, found: InstalledModule | None) -> str:
        """Return why the new version doesn't count as running; empty if it does."""
        what = f"{self.id} {self.version}"
        if found is None:
            return f"{what} is not installed"
        if found.runs(self.version):
            return ""
        if found.is_quarantined:
            return f"{what} is in quarantine: {found.quarantine or 'no reason given'}"
        if found.fault_cause:
            return f"{what} is faulted: {found.fault_cause}"
        if not found.version.is_version(self.version):
            return f"{self.id} is {found.version}, expected {self.version}"
        return f"{what} is {found.state or 'in an unknown state'}, expected ACTIVE"


@dataclass(frozen=True, slots=True)
class Removal:
    """A module to uninstall from a gateway; ``present`` is its version, empty for none."""

    id: str
    present: str = ""

    def record(self, outcome: Outcome) -> ModuleOnGateway:
        """Return its entry in a deployment's record, with an empty version."""
        return ModuleOnGateway(id=self.id, version="", previous=self.present, outcome=outcome)


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """What is known about a gateway, and what will be changed there.

    ``unreachable`` is why nothing can be: nothing is known about it either.
    """

    gateway: Gateway
    facts: GatewayFacts
    changes: tuple[ModuleChange, ...]
    removals: tuple[Removal, ...] = ()
    unreachable: IgnDeployError | None = None

    def record(self) -> GatewayRecord:
        """Return the gateway's entry in the record of the deployment's start."""
        return GatewayRecord(
            gateway=self.gateway.location,
            name=self.gateway.name,
            modules=(
                *(module_record(each, Outcome.UNTOUCHED) for each in self.changes),
                *(each.record(Outcome.UNTOUCHED) for each in self.removals),
            ),
        )


def module_record(
    change: ModuleChange, outcome: Outcome, *, license_state: str = ""
) -> ModuleOnGateway:
    """Return a module's entry in a deployment's record."""
    back = change.previous.descriptor.version if change.previous is not None else ""
    return ModuleOnGateway(
        id=change.id,
        version=change.version,
        sha256=change.module.sha256,
        previous=change.present,
        outcome=outcome,
        license_state=license_state,
        restored=back if outcome is Outcome.ROLLED_BACK else None,
    )


def plan_gateway(
    gateway: Gateway,
    modules: Sequence[VerifiedModule],
    *,
    options: DeployOptions,
    history: EnvironmentState,
    reporter: Reporter,
    removals: Sequence[str] = (),
) -> tuple[GatewayPlan, list[Incompatible]]:
    """Inspect a gateway without changing it, and fetch the files that a rollback would need.

    ``history`` is that of the environment; ``removals`` are the ids of modules to uninstall.
    Returns the plan, and every reason why it can't be carried out.
    """
    facts = facts_once_started(gateway, history)
    installed = {each.id: each for each in gateway.target.modules()}
    problems = {
        problem.message: problem
        for module in modules
        for problem in incompatibilities(
            module,
            name=gateway.full_title,
            facts=facts,
            installed=installed,
            coming={each.descriptor.id for each in modules},
            allow_downgrade=options.allow_downgrade,
        )
    }
    changes: list[ModuleChange] = []
    for module in modules:
        if warning := untested(module, name=gateway.full_title, facts=facts):
            reporter.warning(warning)
        present = installed.get(module.descriptor.id)
        change = _change(module, present, facts=facts, history=history, options=options)
        if facts.capabilities.restart and is_staged(
            module, present, gateway=gateway, history=history
        ):
            change = replace(change, staged=True, resumed=True)
        changes.append(change)
        if text := _explain_rollback(change, present, facts=facts, options=options):
            (reporter.warning if change.obstacle else reporter.info)(f"{gateway.title}: {text}")
    planned_removals = tuple(
        Removal(each, installed[each].version.full if each in installed else "")
        for each in removals
    )
    plan = GatewayPlan(gateway, facts, tuple(changes), planned_removals)
    return plan, list(problems.values())


def _explain_rollback(
    change: ModuleChange,
    present: InstalledModule | None,
    *,
    facts: GatewayFacts,
    options: DeployOptions,
) -> str:
    """Return what a rollback would do if it can't restore a version; empty if it can."""
    if change.obstacle:
        then = (
            f"a rollback would uninstall {change.id}"
            if options.allow_uninstall
            else f"{change.id} {change.version} would stay there, and need manual repair"
        )
        return (
            f"{change.id} {change.present} cannot be restored if this deployment fails "
            f"({change.obstacle}); {then}"
        )
    if change.present:
        return ""
    if not facts.capabilities.lists_modules:
        there = f"according to the history, {change.id} is not installed yet"
    elif present is None:
        there = f"{change.id} is not installed yet"
    else:
        there = f"{change.id} {present.version} is not known to run, and none was there before it"
    if facts.capabilities.uninstall:
        return f"{there}; a rollback would uninstall it"
    return f"{there}; a rollback cannot uninstall it, so it would need manual repair"


def _change(
    module: VerifiedModule,
    present: InstalledModule | None,
    *,
    facts: GatewayFacts,
    history: EnvironmentState,
    options: DeployOptions,
) -> ModuleChange:
    version = module.descriptor.version
    current = _version_to_restore(module, present, facts, history)
    digests = history.digests_of(facts.location, module.descriptor.id)
    is_settled = not history.may_have_another(facts.location, module.descriptor.id, version)
    runs = present is not None and present.runs(version) and not present.pending_upgrade
    runs = runs and is_settled  # a gateway shows late that another version waits for a restart
    change = ModuleChange(
        module,
        current,
        runs=runs,
        resumed=runs and not same_version(current, version),
        ran_here=_digest(digests, version) == module.sha256,
    )
    if not current:
        return change
    if same_version(current, version):
        return replace(change, previous=module, previous_ran_here=change.ran_here)
    try:
        previous = options.obtain(module.descriptor.id, current)
    except IgnDeployError as problem:
        return replace(change, obstacle=problem.message)
    expected = _digest(digests, current)
    if expected and expected != previous.sha256:
        return replace(change, obstacle=wrong_digest(previous, expected))
    is_former = options.accept.restores_former and bool(expected)
    if not is_former and (rejection := options.accept.rejection(previous)):
        return replace(change, obstacle=rejection)
    return replace(change, previous=previous, previous_ran_here=bool(expected))


def _digest(digests: Mapping[str, str], version: str) -> str:
    return next((digest for each, digest in digests.items() if same_version(each, version)), "")


def wrong_digest(module: VerifiedModule, expected: str) -> str:
    """Return that a file isn't the one that was installed, according to the history."""
    return (
        f"the file of {module.descriptor.id} {module.descriptor.version} in the repository is not "
        f"the one that was installed: its SHA-256 is {module.sha256}, in the history {expected}"
    )


def _version_to_restore(
    module: VerifiedModule,
    present: InstalledModule | None,
    facts: GatewayFacts,
    history: EnvironmentState,
) -> str:
    """Return the version to restore if the deployment fails, empty for none.

    After a killed run that is the version it replaced, not the one it installed; but a third
    version that runs well was installed since, or has proved itself. A gateway that can't tell what
    runs goes back to what was there, unless a killed run left it.
    """
    new, key = module.descriptor.version, (facts.location, module.descriptor.id)
    last, known = history.find(*key), history.unfinished.get(key)
    shown = "" if present is None else present.version.full
    if last is not None and not facts.capabilities.lists_modules:
        shown = last.version
    if known is None:
        return shown
    if same_version(shown, new):
        return known
    if facts.capabilities.reports_state:
        return shown if present is not None and present.runs(shown) else known
    left = (known, *last.attempted) if last is not None and last.uncertain else ()
    return known if any(same_version(shown, each) for each in left if each) else shown
