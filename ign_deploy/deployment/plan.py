"""One gateway before anything is changed there: what it has, and what would bring it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ign_deploy.deployment.compatibility import Incompatible, obstacles
from ign_deploy.deployment.gateway import GatewayFacts, InstalledModule
from ign_deploy.deployment.options import DeployOptions, Gateway
from ign_deploy.deployment.records import GatewayRecord, ModuleOnGateway, Outcome
from ign_deploy.errors import IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.subject import same_version
from ign_deploy.report import Reporter


@dataclass(frozen=True, slots=True)
class Change:
    """A module to bring onto a gateway; ``previous`` is what comes back if it fails.

    ``present`` is the version that the gateway has, empty for none; ``previous`` None where it has
    none, or where its file can't be had (``obstacle`` says why). ``runs``: the gateway runs the new
    version already; ``resumed``: because a deployment that didn't end well had got that far.
    """

    module: VerifiedModule
    present: str = ""
    previous: VerifiedModule | None = None
    obstacle: str = ""
    runs: bool = False
    resumed: bool = False

    @property
    def id(self) -> str:
        """The module's id."""
        return self.module.descriptor.id

    @property
    def version(self) -> str:
        """The version to be installed."""
        return self.module.descriptor.version


@dataclass(frozen=True, slots=True)
class Removal:
    """A module to take off a gateway; ``present`` is the version it has, empty for none."""

    id: str
    present: str = ""

    def record(self, outcome: Outcome) -> ModuleOnGateway:
        """Return what a deployment's record says of it: its version is empty then."""
        return ModuleOnGateway(id=self.id, version="", previous=self.present, outcome=outcome)


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """What was found out about a gateway, and what is to be changed there."""

    gateway: Gateway
    facts: GatewayFacts
    changes: tuple[Change, ...]
    removals: tuple[Removal, ...] = ()

    def record(self) -> GatewayRecord:
        """Return what is going to be done, before it is."""
        return GatewayRecord(
            gateway=self.gateway.location,
            name=self.gateway.name,
            modules=(
                *(module_record(each, Outcome.UNTOUCHED) for each in self.changes),
                *(each.record(Outcome.UNTOUCHED) for each in self.removals),
            ),
        )


def module_record(change: Change, outcome: Outcome, *, license_state: str = "") -> ModuleOnGateway:
    """Return what a deployment's record says of one module."""
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
    before: Mapping[tuple[str, str], str],
    reporter: Reporter,
    removals: Sequence[str] = (),
) -> tuple[GatewayPlan, list[Incompatible]]:
    """Look at a gateway without changing it, and secure the files that would bring it back.

    ``before`` names, by (address, id), what stood before a deployment that didn't end well;
    ``removals`` are the ids of modules to take off. Returns what is to be done, and every reason
    why it can't be.
    """
    facts = gateway.target.facts()
    installed = {each.id: each for each in gateway.target.modules()}
    coming = {module.descriptor.id for module in modules}
    problems = [
        problem
        for module in modules
        for problem in obstacles(
            module,
            facts=facts,
            installed=installed,
            coming=coming,
            allow_downgrade=options.allow_downgrade,
        )
    ]
    changes = tuple(
        _change(
            module,
            installed.get(module.descriptor.id),
            known=before.get((gateway.location, module.descriptor.id)),
            options=options,
        )
        for module in modules
    )
    for change in changes:
        if change.obstacle:
            reporter.warning(
                f"{gateway.title}: {change.id} {change.present} can't be brought back if this "
                f"fails ({change.obstacle}); rolling back will mean uninstalling {change.id}"
            )
        elif not change.present:
            reporter.info(
                f"{gateway.title} hasn't got {change.id}; rolling back will mean uninstalling it"
            )
    planned_removals = tuple(
        Removal(each, installed[each].version.full if each in installed else "")
        for each in removals
    )
    return GatewayPlan(gateway, facts, changes, planned_removals), list(
        {each.message: each for each in problems}.values()
    )


def _change(
    module: VerifiedModule,
    present: InstalledModule | None,
    *,
    known: str | None,
    options: DeployOptions,
) -> Change:
    version = module.descriptor.version
    there = _standing_version(version, present, known)
    runs = present is not None and present.runs(version) and not present.pending_upgrade
    change = Change(module, there, runs=runs, resumed=runs and not same_version(there, version))
    if not there:
        return change
    if same_version(there, version):
        return replace(change, previous=module)
    try:
        return replace(change, previous=options.obtain(module.descriptor.id, there))
    except IgnDeployError as problem:
        return replace(change, obstacle=problem.message)


def _standing_version(wanted: str, present: InstalledModule | None, known: str | None) -> str:
    """Return the version that has to come back if this fails, empty for none.

    What a killed run replaced counts, not what it had got to; but another version that runs well
    was put there since, or has proved itself.
    """
    shown = "" if present is None else present.version.full
    if known is None:
        return shown
    is_another = present is not None and present.runs(shown) and not same_version(shown, wanted)
    return shown if is_another else known
