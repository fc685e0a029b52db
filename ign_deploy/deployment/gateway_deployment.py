"""The deployment to one gateway: install, restart, verify, and roll back if that fails.

Every step can be repeated after a kill: what a gateway already has isn't changed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from ign_deploy.deployment.gateway import Consent, InstalledModule, Restartable, Upload
from ign_deploy.deployment.gateway.errors import ModuleMismatch, explain_unexpected
from ign_deploy.deployment.gateway.model import Timing, require_consent
from ign_deploy.deployment.options import DeployOptions, Gateway, Restart
from ign_deploy.deployment.outcome import (
    Ending,
    gateway_record,
    is_stuck,
    require_known_versions,
    require_rollback_versions,
    restored_versions,
    steps_of,
    with_title,
)
from ign_deploy.deployment.plan import GatewayPlan, ModuleChange
from ign_deploy.deployment.records import GatewayRecord, Outcome
from ign_deploy.errors import DeploymentError, IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.report import Reporter

_RESTART_ATTEMPTS = 3


@dataclass
class GatewayDeployment:
    """Carries out the plan for one gateway."""

    plan: GatewayPlan
    options: DeployOptions
    reporter: Reporter
    restarted: bool = False
    touched: list[ModuleChange] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    _licenses: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        """The gateway to deploy to."""
        return self.plan.gateway

    def deploy(self) -> GatewayRecord:
        """Install, restart if needed and allowed, and verify; roll back if anything fails.

        Returns the result; raises no error, not even an unexpected one: the outcome says whether
        it failed. Interruptions are passed on.
        """
        start = self.gateway.target.timing.clock()
        try:
            self._install_all()
            gone = self._uninstall_removals()
            outcome = self._start_and_verify(
                self.plan.changes, gone=gone, restart=self.options.restart
            )
            if outcome is not Outcome.RESTART_PENDING:
                self._check_health()
            ending = Ending(outcome)
            if outcome is Outcome.RESTART_PENDING:
                ending = self._pending()
        except Exception as problem:  # noqa: BLE001 - whatever it is, the gateway has to be restored
            ending = self._handle_failure(explain_unexpected(problem))
        return self._record(ending, seconds=self.gateway.target.timing.clock() - start)

    def roll_back(self, reason: str) -> GatewayRecord:
        """Undo a deployment that succeeded here, because it failed elsewhere."""
        start = self.gateway.target.timing.clock()
        return self._record(
            self._restore(reason), seconds=self.gateway.target.timing.clock() - start
        )

    def _install_all(self) -> None:
        """Upload everything; install nothing before consent is complete."""
        changes = [each for each in self.plan.changes if not self._is_there(each)]
        uploads = [(change, self._upload_new(change)) for change in changes]
        for change, upload in uploads:
            require_consent(upload, change.consent(self.options), host=self.gateway.title)
        # What a killed run installed has to be verified, and undone if it fails, like our own.
        self.touched += [each for each in self.plan.changes if each.resumed]
        for change, upload in uploads:
            self.options.require_lease()
            self.touched.append(change)
            self._install(change.module, upload, consent=change.consent(self.options))

    def _uninstall_removals(self) -> list[str]:
        for removal in self.plan.removals:
            if removal.present:
                self.options.require_lease()
                self.removed.append(removal.id)
                self._uninstall(removal.id)
        return self.removed

    def _uninstall(self, module_id: str) -> None:
        self.options.require_lease()
        self.reporter.info(f"{self.gateway.title}: uninstalling {module_id}")
        self.gateway.target.uninstall(module_id)

    def _is_there(self, change: ModuleChange) -> bool:
        if not change.runs and not change.staged:
            return False
        state = "running" if change.runs else "installed, and waits for a restart"
        self.reporter.info(f"{self.gateway.title}: {change.id} {change.version} is already {state}")
        return True

    def _upload_new(self, change: ModuleChange) -> Upload:
        try:
            return self._upload(change.module)
        except ModuleMismatch:
            # It isn't installed, but stored. What runs must not be uninstalled for that.
            if not change.obstacle:
                self.touched.append(change)
            raise

    def _upload(self, module: VerifiedModule) -> Upload:
        self.options.require_lease()
        title = f"{module.descriptor.id} {module.descriptor.version}"
        self.reporter.info(f"{self.gateway.title}: uploading {title}")
        with self.reporter.progress(f"uploading {title}", module.size) as progress:
            return self.gateway.target.upload(
                module, file_name=f"{module.descriptor.id}.modl", progress=progress
            )

    def _install(self, module: VerifiedModule, upload: Upload, *, consent: Consent) -> None:
        self.options.require_lease()
        done = self.gateway.target.install(upload, consent=consent)
        accepted = f", accepted: {', '.join(done.accepted)}" if done.accepted else ""
        what = f"{module.descriptor.id} {module.descriptor.version}"
        self.reporter.info(f"{self.gateway.title}: installed {what}{accepted}")

    def _start_and_verify(
        self, changes: Sequence[ModuleChange], *, gone: Sequence[str], restart: Restart
    ) -> Outcome:
        """Restart if needed and allowed; then verify that modules run, or are gone."""
        capabilities = self.plan.facts.capabilities
        if self._needs_restart(changes, gone, restart):
            if not capabilities.restart or restart is Restart.NEVER:
                return Outcome.RESTART_PENDING
            self._require_accepted(changes)
            self._restart(changes, gone)
        if capabilities.reports_state:
            self._verify(changes, gone)
        if gone:
            return Outcome.UNINSTALLED
        return Outcome.DEPLOYED if self.touched else Outcome.UNCHANGED

    def _restart(self, changes: Sequence[ModuleChange], gone: Sequence[str]) -> None:
        """Restart; repeat if the request was lost, which looks just like a restart."""
        target = cast("Restartable", self.gateway.target)
        for attempt in range(_RESTART_ATTEMPTS):
            self.options.require_lease()
            again = " again, since the request was probably lost" if attempt else ""
            self.reporter.info(f"{self.gateway.title}: restarting{again}")
            self.restarted = True
            limit = self.gateway.target.timing.deadline
            with self.reporter.waiting(f"{self.gateway.title}: restarting", limit=limit):
                target.restart()
                started = target.wait_until_running()
            if started.went_down or not self._is_restart_lost(changes, gone):
                break
        self.reporter.info(f"{self.gateway.title}: running again after {started.seconds:.0f} s")

    def _needs_restart(
        self, changes: Sequence[ModuleChange], gone: Sequence[str], restart: Restart
    ) -> bool:
        if restart is Restart.ALWAYS:
            return True
        if not self.touched and not gone:
            return False
        if not self.plan.facts.capabilities.reports_state:
            # A folder can't tell; a developer gateway loads modules at once.
            return not self.plan.facts.capabilities.at_once
        installed = self._installed()
        return any(each in installed for each in gone) or any(
            change.is_pending(installed.get(change.id)) for change in changes
        )

    def _is_restart_lost(self, changes: Sequence[ModuleChange], gone: Sequence[str]) -> bool:
        """Return whether nothing changed since the request; a version that faults was started."""
        if not self.plan.facts.capabilities.reports_state:
            return False
        installed = self._installed()
        return any(each in installed for each in gone) or any(
            change.is_pending(installed.get(change.id)) and not change.faults(installed[change.id])
            for change in changes
            if change.id in installed
        )

    def _installed(self) -> dict[str, InstalledModule]:
        return {each.id: each for each in self.gateway.target.modules()}

    def _require_accepted(self, changes: Sequence[ModuleChange]) -> None:
        """Raise DeploymentError for a new version in quarantine: no restart would get it out."""
        if not self.plan.facts.capabilities.reports_state:
            return
        installed = self._installed()
        for change in changes:
            found = installed.get(change.id)
            quarantined = None if found is None else found.quarantined_version
            if quarantined is not None and quarantined.is_version(change.version):
                raise self._not_running(change.problem(found))

    def _verify(self, changes: Sequence[ModuleChange], gone: Sequence[str]) -> None:
        """Wait until every module runs in its new version; a fault ends the wait at once."""
        timing = self.gateway.target.timing
        title = f"{self.gateway.title}: waiting until the modules run"
        with self.reporter.waiting(title, limit=timing.deadline):
            self._poll_modules(changes, gone, timing)

    def _poll_modules(
        self, changes: Sequence[ModuleChange], gone: Sequence[str], timing: Timing
    ) -> None:
        waiting = ""
        for _ in timing.polls(timing.deadline):
            installed = self._installed()
            states = [change.problem(installed.get(change.id)) for change in changes]
            states += [f"{each} is still installed" for each in gone if each in installed]
            waiting = "; ".join(state for state in states if state)
            if not waiting:
                self._report_licenses(changes, installed)
                return
            if any(is_stuck(installed.get(change.id)) for change in changes):
                break
        raise self._not_running(waiting)

    def _not_running(self, states: str) -> DeploymentError:
        return DeploymentError(
            f"{self.gateway.title}: {states}",
            hint="check the module's status on the gateway's web page, and the gateway's log.",
        )

    def _check_health(self) -> None:
        for check in self.options.checks:
            check.run(self.gateway.web_address)
            self.reporter.info(f"{self.gateway.title}: {check.title} passed")

    def _report_licenses(
        self, changes: Sequence[ModuleChange], installed: Mapping[str, InstalledModule]
    ) -> None:
        for change in changes:
            state = self._licenses[change.id] = installed[change.id].license_state
            licence = f", licence: {state}" if state else ""
            self.reporter.info(
                f"{self.gateway.title}: {change.id} {change.version} is running{licence}"
            )

    def _handle_failure(self, problem: IgnDeployError) -> Ending:
        if self.removed:
            self.reporter.warning(with_title(problem.message, self.gateway))
            return self._failed_removal(problem)
        if self.touched:
            # A restart could start what the gateway read instead.
            never = Restart.NEVER if isinstance(problem, ModuleMismatch) else None
            return self._restore(problem.message, restart=never, hint=problem.hint)
        # Errors of consent say it already.
        unchanged = "" if "; nothing was " in problem.message else "; nothing was changed"
        message = f"{with_title(problem.message, self.gateway)}{unchanged}"
        return Ending(Outcome.FAILED, message, steps_of(problem.hint))

    def _restore(self, reason: str, *, restart: Restart | None = None, hint: str = "") -> Ending:
        """Restore the previous versions, in reverse order."""
        self.reporter.warning(f"{with_title(reason, self.gateway)}; rolling back")
        back = [
            ModuleChange(each.previous, present=each.version)
            for each in self.touched
            if each.previous is not None
        ]
        gone = [each.id for each in self.touched if each.previous is None]
        try:
            if not self.options.allow_uninstall:
                require_rollback_versions(self.touched, self.gateway)
            if self.plan.facts.capabilities.lists_modules:
                require_known_versions(self.touched, self._installed(), self.gateway)
            for change in reversed(self.touched):
                if change.previous is None:
                    self._uninstall(change.id)
                else:
                    upload = self._upload(change.previous)
                    consent = change.consent_to_previous(self.options)
                    require_consent(upload, consent, host=self.gateway.title)
                    self._install(change.previous, upload, consent=consent)
            usual = Restart.IF_NEEDED if self.restarted else self.options.restart
            outcome = self._start_and_verify(back, gone=gone, restart=restart or usual)
        except Exception as problem:  # noqa: BLE001 - whatever it is, someone has to repair it
            explained = explain_unexpected(problem)
            return self._failed_rollback(reason, explained)
        pending = " after its next restart" if outcome is Outcome.RESTART_PENDING else ""
        restored = f"{restored_versions(self.touched)}{pending}"
        message = f"{with_title(reason, self.gateway)}; {restored}"
        return Ending(Outcome.ROLLED_BACK, message, steps_of(hint))

    def _failed_rollback(self, reason: str, problem: IgnDeployError) -> Ending:
        expected = ", ".join(
            f"{each.id} {each.present}" if each.present else f"no {each.id}"
            for each in self.touched
        )
        second = problem.message.removeprefix(f"{self.gateway.title}: ")
        is_same = second in reason  # such as a lost lease
        failed = "; it was not rolled back" if is_same else f"; the rollback failed, too: {second}"
        return Ending(
            Outcome.ROLLBACK_FAILED,
            f"{with_title(reason, self.gateway)}{failed}",
            steps_of(
                f"check {self._address}: it should have {expected}.",
                problem.hint,
                f"run `{self.options.rollback_command}`, or install the file by hand.",
            ),
        )

    def _failed_removal(self, problem: IgnDeployError) -> Ending:
        """Explain a failed uninstallation, which is to be completed, not undone."""
        names = ", ".join(self.removed)
        return Ending(
            Outcome.ROLLBACK_FAILED,
            f"{with_title(problem.message, self.gateway)}; {names} may still be installed",
            steps_of(
                f"check {self._address}.",
                problem.hint,
                f"run the same command again: it uninstalls {names} if necessary.",
            ),
        )

    @property
    def _address(self) -> str:
        """The gateway's name and where people find it."""
        name, address = self.gateway.name, self.gateway.web_address
        return f"{name} ({address})" if name else address

    def _pending(self) -> Ending:
        capabilities = self.plan.facts.capabilities
        names = ", ".join(self.removed)
        then = f"{names} is gone" if names and not self.touched else "the new version runs"
        message = f"{self.gateway.title} must be restarted before {then}"
        # The same for each gateway: it is said once for all of them.
        first = "restart the gateway when the plant allows."
        if not capabilities.reports_state:
            steps = steps_of(first, "check the result there.")
            return Ending(Outcome.RESTART_PENDING, message, steps)
        now = " (or run it now with --restart if-needed)" if capabilities.restart else ""
        # With the versions: newer ones may be published before the restart.
        versions = ", ".join(f"{each.id}@{each.version}" for each in self.plan.changes)
        same = "" if self.options.is_rollback else f" for {versions}"
        again = f"run the same command again{same} to verify the result{now}."
        return Ending(Outcome.RESTART_PENDING, message, steps_of(first, again))

    def _record(self, ending: Ending, *, seconds: float) -> GatewayRecord:
        return gateway_record(
            self.plan,
            ending,
            seconds=seconds,
            touched={change.id for change in self.touched},
            removed=self.removed,
            licenses=self._licenses,
        )
