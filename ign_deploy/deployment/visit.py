"""One gateway: look at it, change it, see that the modules run, and go back if they don't.

Every step may be done again after a kill: what a gateway has already isn't changed once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ign_deploy.deployment.compatibility import Incompatible, obstacles
from ign_deploy.deployment.gateway import (
    Consent,
    GatewayFacts,
    InstalledModule,
    Restartable,
    Upload,
)
from ign_deploy.deployment.gateway.consent import require_consent
from ign_deploy.deployment.records import GatewayRecord, ModuleOnGateway, Outcome
from ign_deploy.deployment.wishes import Gateway, Manner, Restart
from ign_deploy.errors import DeploymentError, IgnDeployError, RollbackError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.subject import same_version
from ign_deploy.report import Reporter

_AGREED = Consent(certificate=True, license=True)


@dataclass(frozen=True, slots=True)
class Change:
    """A module to bring onto a gateway; ``previous`` is what comes back if it fails.

    ``present`` is the version that the gateway has, empty for none; ``previous`` None where it has
    none, or where its file can't be had (``obstacle`` says why).
    """

    module: VerifiedModule
    present: str = ""
    previous: VerifiedModule | None = None
    obstacle: str = ""
    runs: bool = False

    @property
    def id(self) -> str:
        """The module's id."""
        return self.module.descriptor.id

    @property
    def version(self) -> str:
        """The version to be installed."""
        return self.module.descriptor.version


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A module to take off a gateway; ``present`` is the version it has, empty for none."""

    id: str
    present: str = ""

    def record(self, outcome: Outcome) -> ModuleOnGateway:
        """Return what a deployment's record says of it: its version is empty then."""
        return ModuleOnGateway(id=self.id, version="", previous=self.present, outcome=outcome)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found out about a gateway, and what is to be changed there."""

    gateway: Gateway
    facts: GatewayFacts
    changes: tuple[Change, ...]
    withdrawn: tuple[Withdrawal, ...] = ()

    def record(self) -> GatewayRecord:
        """Return what is going to be done, before it is."""
        return GatewayRecord(
            gateway=self.gateway.location,
            name=self.gateway.name,
            modules=(
                *(module_record(each, Outcome.UNTOUCHED) for each in self.changes),
                *(each.record(Outcome.UNTOUCHED) for each in self.withdrawn),
            ),
        )


def module_record(change: Change, outcome: Outcome, *, license_state: str = "") -> ModuleOnGateway:
    """Return what a deployment's record says of one module."""
    return ModuleOnGateway(
        id=change.id,
        version=change.version,
        sha256=change.module.sha256,
        previous=change.present,
        outcome=outcome,
        license_state=license_state,
    )


def prepare(
    gateway: Gateway,
    modules: Sequence[VerifiedModule],
    *,
    manner: Manner,
    before: Mapping[tuple[str, str], str],
    reporter: Reporter,
    withdrawn: Sequence[str] = (),
) -> tuple[Prepared, list[Incompatible]]:
    """Look at a gateway without changing it, and secure the files that would bring it back.

    ``before`` names, by (address, id), the version that stood before a deployment that was killed;
    ``withdrawn`` are the ids of modules to take off. Returns what is to be done, and every reason
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
            allow_downgrade=manner.allow_downgrade,
        )
    ]
    changes = tuple(
        _change(
            module,
            installed.get(module.descriptor.id),
            known=before.get((gateway.location, module.descriptor.id)),
            manner=manner,
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
    removals = tuple(
        Withdrawal(each, installed[each].version.full if each in installed else "")
        for each in withdrawn
    )
    return Prepared(gateway, facts, changes, removals), list(
        {each.message: each for each in problems}.values()
    )


def _change(
    module: VerifiedModule,
    present: InstalledModule | None,
    *,
    known: str | None,
    manner: Manner,
) -> Change:
    version = module.descriptor.version
    # What a killed run replaced counts, not what it had got to.
    there = known if known is not None else ("" if present is None else present.version.full)
    runs = present is not None and present.runs(version) and not present.pending_upgrade
    if not there:
        return Change(module, runs=runs)
    if same_version(there, version):
        return Change(module, there, previous=module, runs=runs)
    try:
        return Change(module, there, previous=manner.obtain(module.descriptor.id, there), runs=runs)
    except IgnDeployError as problem:
        return Change(module, there, obstacle=problem.message, runs=runs)


@dataclass
class Visit:
    """Carries out what was prepared on one gateway."""

    prepared: Prepared
    manner: Manner
    reporter: Reporter
    restarted: bool = False
    touched: list[Change] = field(default_factory=list)

    @property
    def gateway(self) -> Gateway:
        """The gateway."""
        return self.prepared.gateway

    def deploy(self) -> GatewayRecord:
        """Install, restart as far as allowed, and verify; go back when it fails.

        Returns what became of it; raises nothing of ours: the outcome says it.
        """
        begin = self.manner.timing.clock()
        try:
            self._install_all()
            gone = self._withdraw_all()
            outcome = self._start_and_verify(
                self.prepared.changes, gone=gone, restart=self.manner.restart
            )
            if outcome is not Outcome.RESTART_PENDING:
                self._check_health()
            message = self._pending_message() if outcome is Outcome.RESTART_PENDING else ""
        except IgnDeployError as problem:
            outcome, message = self._give_up(problem)
        return self._record(outcome, message, seconds=self.manner.timing.clock() - begin)

    def roll_back(self, reason: str) -> GatewayRecord:
        """Undo a deployment that had succeeded here, because it failed elsewhere."""
        begin = self.manner.timing.clock()
        try:
            outcome, message = self._go_back(DeploymentError(reason))
        except RollbackError as problem:
            outcome, message = Outcome.ROLLBACK_FAILED, f"{problem.message}; {problem.hint}"
        return self._record(outcome, message, seconds=self.manner.timing.clock() - begin)

    def _install_all(self) -> None:
        """Upload everything, and install nothing before all consent is there."""
        changes = [each for each in self.prepared.changes if not self._is_there(each)]
        uploads = [(change, self._upload(change.module)) for change in changes]
        for change, upload in uploads:
            consent = self.manner.consents.to(change.module)
            require_consent(upload, consent, host=self.gateway.title)
        for change, upload in uploads:
            self.touched.append(change)
            self._install(change.module, upload, consent=self.manner.consents.to(change.module))

    def _withdraw_all(self) -> list[str]:
        gone = [removal.id for removal in self.prepared.withdrawn if removal.present]
        for module_id in gone:
            self._uninstall(module_id)
        return gone

    def _uninstall(self, module_id: str) -> None:
        self.reporter.info(f"{self.gateway.title}: uninstalling {module_id}")
        self.gateway.target.uninstall(module_id)

    def _is_there(self, change: Change) -> bool:
        if not change.runs:
            return False
        self.reporter.info(f"{self.gateway.title} runs {change.id} {change.version} already")
        return True

    def _upload(self, module: VerifiedModule) -> Upload:
        title = f"{module.descriptor.id} {module.descriptor.version}"
        self.reporter.info(f"{self.gateway.title}: uploading {title}")
        with self.reporter.progress(f"uploading {title}", module.size) as progress:
            return self.gateway.target.upload(
                module.path, file_name=f"{module.descriptor.id}.modl", progress=progress
            )

    def _install(self, module: VerifiedModule, upload: Upload, *, consent: Consent) -> None:
        done = self.gateway.target.install(upload, consent=consent)
        accepted = f", accepted: {', '.join(done.accepted)}" if done.accepted else ""
        what = f"{module.descriptor.id} {module.descriptor.version}"
        self.reporter.info(f"{self.gateway.title}: installed {what}{accepted}")

    def _start_and_verify(
        self, changes: Sequence[Change], *, gone: Sequence[str], restart: Restart
    ) -> Outcome:
        """Restart as far as allowed and needed; then the modules run, and those gone are gone."""
        capabilities = self.prepared.facts.capabilities
        if self._needs_restart(changes, gone, restart):
            if not capabilities.restart or restart is Restart.NEVER:
                return Outcome.RESTART_PENDING
            target = cast("Restartable", self.gateway.target)
            self.reporter.info(f"{self.gateway.title}: restarting")
            self.restarted = True
            target.restart()
            started = target.wait_until_running(self.manner.timing)
            self.reporter.info(f"{self.gateway.title}: running again after {started.seconds:.0f} s")
        if capabilities.reports_state:
            self._verify(changes, gone)
        return Outcome.DEPLOYED if self.touched or gone else Outcome.UNCHANGED

    def _needs_restart(
        self, changes: Sequence[Change], gone: Sequence[str], restart: Restart
    ) -> bool:
        if restart is Restart.ALWAYS:
            return True
        if not self.touched and not gone:
            return False
        if not self.prepared.facts.capabilities.reports_state:
            # A folder can't tell; a developer's gateway loads modules at once.
            return not self.prepared.facts.capabilities.at_once
        installed = {each.id: each for each in self.gateway.target.modules()}
        return any(each in installed for each in gone) or any(
            (found := installed.get(change.id)) is None
            or not found.runs(change.version)
            or found.pending_upgrade
            for change in changes
        )

    def _verify(self, changes: Sequence[Change], gone: Sequence[str]) -> None:
        """Wait until every module runs in its version; a fault ends the waiting at once."""
        waiting = ""
        for _ in self.manner.timing.looks(self.manner.timing.deadline):
            installed = {each.id: each for each in self.gateway.target.modules()}
            states = [_state(change, installed.get(change.id)) for change in changes]
            states += [f"{each} is still there" for each in gone if each in installed]
            waiting = "; ".join(state for state in states if state)
            if not waiting:
                self._tell_licenses(changes, installed)
                return
            if any(_is_final(installed.get(change.id)) for change in changes):
                break
        raise DeploymentError(
            f"{self.gateway.title}: {waiting}",
            hint="look at the module's page on the gateway, and at the gateway's log.",
        )

    def _check_health(self) -> None:
        for check in self.manner.checks:
            check.run(self.gateway.location)
            self.reporter.info(f"{self.gateway.title}: {check.title} passed")

    def _tell_licenses(
        self, changes: Sequence[Change], installed: Mapping[str, InstalledModule]
    ) -> None:
        for change in changes:
            state = installed[change.id].license_state
            licence = f", licence: {state}" if state else ""
            self.reporter.info(f"{self.gateway.title}: {change.id} {change.version} runs{licence}")

    def _give_up(self, problem: IgnDeployError) -> tuple[Outcome, str]:
        self.reporter.warning(f"{self.gateway.title}: {problem.message}")
        if not self.touched:
            return Outcome.FAILED, f"{problem.message}; nothing was changed. {problem.hint}"
        try:
            return self._go_back(problem)
        except RollbackError as second:
            return Outcome.ROLLBACK_FAILED, f"{second.message} Next: {second.hint}"

    def _go_back(self, reason: IgnDeployError) -> tuple[Outcome, str]:
        """Bring back what ran before, in reverse order; raises RollbackError."""
        self.reporter.warning(f"{self.gateway.title}: going back to what ran before")
        back = [
            Change(each.previous, present=each.version)
            for each in self.touched
            if each.previous is not None
        ]
        gone = [each.id for each in self.touched if each.previous is None]
        try:
            for change in reversed(self.touched):
                if change.previous is None:
                    self._uninstall(change.id)
                else:
                    # It ran here before, so its signer and its licence were accepted before.
                    upload = self._upload(change.previous)
                    self._install(change.previous, upload, consent=_AGREED)
            restart = Restart.IF_NEEDED if self.restarted else self.manner.restart
            outcome = self._start_and_verify(back, gone=gone, restart=restart)
        except IgnDeployError as problem:
            raise self._rollback_error(reason, problem) from problem
        pending = " after its next restart" if outcome is Outcome.RESTART_PENDING else ""
        return Outcome.ROLLED_BACK, f"{reason.message}; it runs what it ran before{pending}"

    def _rollback_error(self, reason: IgnDeployError, problem: IgnDeployError) -> RollbackError:
        wanted = ", ".join(f"{each.id} {each.present or 'not installed'}" for each in self.touched)
        return RollbackError(
            f"{self.gateway.title}: {reason.message}; going back failed too: {problem.message}.",
            hint=f"look at {self.gateway.location} yourself: it should have {wanted}. Then "
            f"run `ign-deploy rollback` again, or install the file by hand. {problem.hint}",
        )

    def _pending_message(self) -> str:
        return (
            f"{self.gateway.title} has to be restarted before the new version runs: do so when the "
            "plant allows it, then run the same command again to verify it (or with "
            "--restart if-needed)"
        )

    def _record(self, outcome: Outcome, message: str, *, seconds: float) -> GatewayRecord:
        installed: dict[str, InstalledModule] = {}
        if outcome in (Outcome.DEPLOYED, Outcome.UNCHANGED):
            installed = {each.id: each for each in self.gateway.target.modules()}
        touched = {change.id for change in self.touched}
        return GatewayRecord(
            gateway=self.gateway.location,
            name=self.gateway.name,
            outcome=outcome,
            message=message,
            seconds=round(seconds, 3),
            modules=(
                *(
                    module_record(
                        change,
                        _module_outcome(outcome, is_touched=change.id in touched, runs=change.runs),
                        license_state=_license_state(installed.get(change.id)),
                    )
                    for change in self.prepared.changes
                ),
                *(each.record(outcome) for each in self.prepared.withdrawn),
            ),
        )


def _module_outcome(outcome: Outcome, *, is_touched: bool, runs: bool) -> Outcome:
    if is_touched:
        return outcome
    return Outcome.UNCHANGED if runs else Outcome.UNTOUCHED


def _license_state(found: InstalledModule | None) -> str:
    return "" if found is None else found.license_state


def _state(change: Change, found: InstalledModule | None) -> str:
    """Say what keeps a module from counting as running; nothing when it does."""
    what = f"{change.id} {change.version}"
    if found is None:
        return f"{what} isn't there"
    if found.runs(change.version):
        return ""
    if found.is_quarantined:
        return f"{what} is in quarantine: {found.quarantine or 'no reason given'}"
    if found.fault_cause:
        return f"{what} is faulted: {found.fault_cause}"
    if not found.version.is_version(change.version):
        return f"{what} isn't there, but {found.version}"
    return f"{what} is {found.state or 'in no known state'}, expected ACTIVE"


def _is_final(found: InstalledModule | None) -> bool:
    """Tell whether waiting longer is of no use."""
    return found is not None and (found.is_quarantined or bool(found.fault_cause))
