"""One gateway: change it, see that the modules run, and go back if they don't.

Every step may be done again after a kill: what a gateway has already isn't changed once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ign_deploy.deployment.gateway import Consent, InstalledModule, Restartable, Upload
from ign_deploy.deployment.gateway.model import require_consent
from ign_deploy.deployment.options import DeployOptions, Gateway, Restart
from ign_deploy.deployment.plan import Change, GatewayPlan, module_record
from ign_deploy.deployment.records import GatewayRecord, Outcome
from ign_deploy.errors import DeploymentError, IgnDeployError, RollbackError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.report import Reporter

_AGREED = Consent(certificate=True, license=True)
_RESTARTS = 3


@dataclass
class GatewayDeployment:
    """Carries out what was prepared on one gateway."""

    prepared: GatewayPlan
    options: DeployOptions
    reporter: Reporter
    restarted: bool = False
    touched: list[Change] = field(default_factory=list)
    _leaving: list[str] = field(default_factory=list)
    _licenses: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        """The gateway."""
        return self.prepared.gateway

    def deploy(self) -> GatewayRecord:
        """Install, restart as far as allowed, and verify; go back when it fails.

        Returns what became of it; raises nothing of ours: the outcome says it.
        """
        begin = self.options.timing.clock()
        try:
            self._install_all()
            gone = self._withdraw_all()
            outcome = self._start_and_verify(
                self.prepared.changes, gone=gone, restart=self.options.restart
            )
            if outcome is not Outcome.RESTART_PENDING:
                self._check_health()
            message = self._pending_message() if outcome is Outcome.RESTART_PENDING else ""
        except IgnDeployError as problem:
            outcome, message = self._give_up(problem)
        return self._record(outcome, message, seconds=self.options.timing.clock() - begin)

    def roll_back(self, reason: str) -> GatewayRecord:
        """Undo a deployment that had succeeded here, because it failed elsewhere."""
        begin = self.options.timing.clock()
        try:
            outcome, message = self._go_back(DeploymentError(reason))
        except RollbackError as problem:
            outcome, message = (
                Outcome.ROLLBACK_FAILED,
                f"{problem.message}; {problem.hint}",
            )
        return self._record(outcome, message, seconds=self.options.timing.clock() - begin)

    def _install_all(self) -> None:
        """Upload everything, and install nothing before all consent is there."""
        changes = [each for each in self.prepared.changes if not self._is_there(each)]
        uploads = [(change, self._upload(change.module)) for change in changes]
        for change, upload in uploads:
            consent = self.options.consents.to(change.module)
            require_consent(upload, consent, host=self.gateway.title)
        # What a killed run had got to has to be verified, and undone if it fails, like our own.
        self.touched += [each for each in self.prepared.changes if each.resumed]
        for change, upload in uploads:
            self.touched.append(change)
            self._install(change.module, upload, consent=self.options.consents.to(change.module))

    def _withdraw_all(self) -> list[str]:
        for removal in self.prepared.removals:
            if removal.present:
                self._leaving.append(removal.id)
                self._uninstall(removal.id)
        return self._leaving

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
            self._require_accepted(changes)
            self._restart(changes, gone)
        if capabilities.reports_state:
            self._verify(changes, gone)
        return Outcome.DEPLOYED if self.touched or gone else Outcome.UNCHANGED

    def _restart(self, changes: Sequence[Change], gone: Sequence[str]) -> None:
        """Restart; once more when the request was lost on its way, which looks like a restart."""
        target = cast("Restartable", self.gateway.target)
        for attempt in range(_RESTARTS):
            again = ", the request seems to have been lost" if attempt else ""
            self.reporter.info(f"{self.gateway.title}: restarting{again}")
            self.restarted = True
            target.restart()
            started = target.wait_until_running(self.options.timing)
            if started.went_down or not self._is_restart_lost(changes, gone):
                break
        self.reporter.info(f"{self.gateway.title}: running again after {started.seconds:.0f} s")

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
        installed = self._installed()
        return any(each in installed for each in gone) or any(
            _waits(change, installed.get(change.id)) for change in changes
        )

    def _is_restart_lost(self, changes: Sequence[Change], gone: Sequence[str]) -> bool:
        """Tell whether things are as before the restart; a version that faults has been started."""
        if not self.prepared.facts.capabilities.reports_state:
            return False
        installed = self._installed()
        return any(each in installed for each in gone) or any(
            _waits(change, installed.get(change.id)) and not _faults(change, installed[change.id])
            for change in changes
            if change.id in installed
        )

    def _installed(self) -> dict[str, InstalledModule]:
        return {each.id: each for each in self.gateway.target.modules()}

    def _require_accepted(self, changes: Sequence[Change]) -> None:
        """Raise DeploymentError for what is kept out: no restart would let it in."""
        if not self.prepared.facts.capabilities.reports_state:
            return
        installed = self._installed()
        for change in changes:
            found = installed.get(change.id)
            kept_out = None if found is None else found.quarantined_version
            if kept_out is not None and kept_out.is_version(change.version):
                raise self._unwell(_state(change, found))

    def _verify(self, changes: Sequence[Change], gone: Sequence[str]) -> None:
        """Wait until every module runs in its version; a fault ends the waiting at once."""
        waiting = ""
        for _ in self.options.timing.polls(self.options.timing.deadline):
            installed = self._installed()
            states = [_state(change, installed.get(change.id)) for change in changes]
            states += [f"{each} is still there" for each in gone if each in installed]
            waiting = "; ".join(state for state in states if state)
            if not waiting:
                self._tell_licenses(changes, installed)
                return
            if any(_is_final(installed.get(change.id)) for change in changes):
                break
        raise self._unwell(waiting)

    def _unwell(self, states: str) -> DeploymentError:
        return DeploymentError(
            f"{self.gateway.title}: {states}",
            hint="look at the module's page on the gateway, and at the gateway's log.",
        )

    def _check_health(self) -> None:
        for check in self.options.checks:
            check.run(self.gateway.location)
            self.reporter.info(f"{self.gateway.title}: {check.title} passed")

    def _tell_licenses(
        self, changes: Sequence[Change], installed: Mapping[str, InstalledModule]
    ) -> None:
        for change in changes:
            state = self._licenses[change.id] = installed[change.id].license_state
            licence = f", licence: {state}" if state else ""
            self.reporter.info(f"{self.gateway.title}: {change.id} {change.version} runs{licence}")

    def _give_up(self, problem: IgnDeployError) -> tuple[Outcome, str]:
        title = self.gateway.title
        named = problem.message if title in problem.message else f"{title}: {problem.message}"
        self.reporter.warning(named)
        if self._leaving:
            second = self._removal_error(problem)
            return Outcome.ROLLBACK_FAILED, f"{second.message} Next: {second.hint}"
        if not self.touched:
            return (
                Outcome.FAILED,
                f"{problem.message}; nothing was changed. {problem.hint}",
            )
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
            restart = Restart.IF_NEEDED if self.restarted else self.options.restart
            outcome = self._start_and_verify(back, gone=gone, restart=restart)
        except IgnDeployError as problem:
            raise self._rollback_error(reason, problem) from problem
        pending = " after its next restart" if outcome is Outcome.RESTART_PENDING else ""
        return (
            Outcome.ROLLED_BACK,
            f"{reason.message}; it runs what it ran before{pending}",
        )

    def _rollback_error(self, reason: IgnDeployError, problem: IgnDeployError) -> RollbackError:
        wanted = ", ".join(f"{each.id} {each.present or 'not installed'}" for each in self.touched)
        return RollbackError(
            f"{self.gateway.title}: {reason.message}; going back failed too: {problem.message}.",
            hint=f"look at {self.gateway.location} yourself: it should have {wanted}. Then "
            f"run `ign-deploy rollback` again, or install the file by hand. {problem.hint}",
        )

    def _removal_error(self, problem: IgnDeployError) -> RollbackError:
        """Return what is told when taking modules off failed: that is finished, not undone."""
        names = ", ".join(self._leaving)
        return RollbackError(
            f"{self.gateway.title}: {problem.message}; it may or may not have {names} still.",
            hint=f"look at {self.gateway.location} yourself, then run the same command again: it "
            f"takes {names} off if need be. {problem.hint}",
        )

    def _pending_message(self) -> str:
        can_restart = self.prepared.facts.capabilities.restart
        return (
            f"{self.gateway.title} has to be restarted before the new version runs: do so when the "
            "plant allows it, then run the same command again to verify it"
            + (" (or with --restart if-needed)" if can_restart else "")
        )

    def _record(self, outcome: Outcome, message: str, *, seconds: float) -> GatewayRecord:
        is_known = outcome in (Outcome.DEPLOYED, Outcome.UNCHANGED)
        licenses = self._licenses if is_known else {}
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
                        license_state=licenses.get(change.id, ""),
                    )
                    for change in self.prepared.changes
                ),
                *(each.record(outcome) for each in self.prepared.removals),
            ),
        )


def _module_outcome(outcome: Outcome, *, is_touched: bool, runs: bool) -> Outcome:
    if is_touched:
        return outcome
    return Outcome.UNCHANGED if runs else Outcome.UNTOUCHED


def _waits(change: Change, found: InstalledModule | None) -> bool:
    """Tell whether a module isn't what was asked for: a restart may bring it about."""
    return found is None or found.pending_upgrade or not found.runs(change.version)


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


def _faults(change: Change, found: InstalledModule) -> bool:
    is_started = found.version.is_version(change.version) and not found.pending_upgrade
    return is_started and bool(found.fault_cause)


def _is_final(found: InstalledModule | None) -> bool:
    """Tell whether waiting longer is of no use."""
    return found is not None and (found.is_quarantined or bool(found.fault_cause))
