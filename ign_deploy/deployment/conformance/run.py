"""The run on a throw-away gateway: install, upgrade, fault, roll back and uninstall the probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ign_deploy.deployment.conformance import PROBE_FILE, PROBE_ID, PROBE_VERSIONS
from ign_deploy.deployment.conformance.recorder import ExchangeRecorder
from ign_deploy.deployment.gateway.errors import GatewayRequestError, RestartTimeout
from ign_deploy.deployment.gateway.model import Consent, GatewayFacts, InstalledModule
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import ConfigurationError, DeploymentError, IgnDeployError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.findings import quoted

MakeModules = Callable[[tuple[int, int]], Sequence[VerifiedModule]]
_ALL = Consent(certificate=True, license=True)
_TO_START = 60.0
"""Seconds for which a module may start after its gateway."""
_STANDALONE = ("", "independent")


@dataclass
class ConformanceRun:
    """One run; ``left`` says what it couldn't remove. ``anonymous`` is the gateway without a token.

    ``is_refused``: nothing was sent that changes anything.
    """

    gateway: ApiGateway
    anonymous: ApiGateway
    recorder: ExchangeRecorder
    make_modules: MakeModules
    confirm: str
    facts: GatewayFacts | None = None
    left: list[str] = field(default_factory=list)
    is_refused: bool = True
    _problem: BaseException | None = None

    def run(self) -> None:
        """Take every step; whatever happens, the probe is removed, or ``left`` says that it isn't.

        Raises ConfigurationError for a gateway that isn't a throw-away one, and what a step raises.
        """
        step = self.recorder.step
        with step("identify"):
            self.facts = facts = self.gateway.facts()
            require_throw_away(facts, confirm=self.confirm)
            self._require_untouched()
            old, new, broken = self.make_modules(_line(facts))
        with step("deny"):
            self._ask_without_token()
        self.is_refused = False
        try:
            with step("install"):
                self._install(old)
                self._require_active(PROBE_VERSIONS[0])
            with step("upgrade"):
                self._install(new)
                self._require_active(PROBE_VERSIONS[1])
            # A gateway that rejects it at once is another than expected, no reason to stop.
            with suppress(GatewayRequestError), step("fault"):
                self._install(broken)
                self._await(_has_failed)
            with step("roll back"):
                self._install(new)
                self._require_active(PROBE_VERSIONS[1])
            with step("uninstall"):
                self._uninstall()
        except BaseException as problem:
            self._problem = problem
            self._clean_up()
            raise

    def _require_untouched(self) -> None:
        """Raise ConfigurationError if the probe is there, or a restart would change something."""
        if self.gateway.module(PROBE_ID) is not None:
            raise ConfigurationError(
                f"the gateway already has {PROBE_ID}, perhaps from an interrupted run",
                hint="uninstall it on the gateway's page of modules, restart, and run again.",
            )
        if pending := self.gateway.pending_restart():
            raise ConfigurationError(
                f"the gateway is waiting for a restart ({quoted(pending[0])}), which this run "
                "would cause",
                hint="restart the gateway, or undo that, and run again.",
            )

    def _ask_without_token(self) -> None:
        try:
            self.anonymous.facts()
        except DeploymentError:
            return  # as it should be; the comparison looks at the answer

    def _install(self, module: VerifiedModule) -> None:
        upload = self.gateway.upload(module, file_name=PROBE_FILE)
        self.gateway.install(upload, consent=_ALL)
        # A listing shows an upgrade only after a moment.
        for _ in self.gateway.timing.polls(self.gateway.timing.confirm):
            if _is_staged(self.gateway.module(PROBE_ID)):
                break
        self.gateway.pending_restart()
        self._restart()

    def _restart(self) -> None:
        self.gateway.restart()
        self.gateway.wait_until_running()

    def _uninstall(self) -> None:
        self.gateway.uninstall(PROBE_ID)
        self._restart()
        if (module := self._await(lambda each: each is None)) is not None:
            raise DeploymentError(
                f"{PROBE_ID} is still listed ({module.state or 'quarantined'}) after its removal "
                "and a restart",
                hint="uninstall it on the gateway's page of modules.",
            )

    def _require_active(self, version: str) -> None:
        module = self._await(lambda each: each is not None and each.runs(version))
        if module is None or not module.runs(version):
            state = "not listed" if module is None else module.quarantine or module.state or "?"
            cause = module.fault_cause if module else ""
            raise DeploymentError(
                f"{PROBE_ID} {version} is {quoted(state)} after the restart, expected ACTIVE"
                + (f": {quoted(cause)}" if cause else ""),
                hint="check the gateway's log.",
            )

    def _await(self, is_so: Callable[[InstalledModule | None], bool]) -> InstalledModule | None:
        """Poll the probe until that is so, or it had the time to start; return it as it is then."""
        module = None
        for _ in self.gateway.timing.polls(_TO_START):
            module = self.gateway.module(PROBE_ID)
            if is_so(module):
                break
        return module

    def _clean_up(self) -> None:
        """Remove the probe; what can't be removed, or found out, is added to ``left``."""
        self.left.append(f"{PROBE_ID} (user-lib/modules/{PROBE_FILE})")
        try:
            with self.recorder.step("clean up"):
                if not isinstance(self._problem, RestartTimeout):
                    self.gateway.wait_while_starting(may_be_down=True)
                if self.gateway.module(PROBE_ID) is not None:
                    self._uninstall()
                    self.left.clear()
                elif self.recorder.may_have_done("modules/upload"):
                    self.left[:] = [f"perhaps user-lib/modules/{PROBE_FILE}, which isn't installed"]
                else:
                    self.left.clear()
        except IgnDeployError:
            return  # the report has the reason; the caller reports what failed first


def require_throw_away(facts: GatewayFacts, *, confirm: str) -> None:
    """Raise ConfigurationError unless it is the confirmed gateway, and nothing says it is needed.

    Whether anyone uses the gateway can't be known from here.
    """
    if not facts.name or facts.name != confirm:
        shown = quoted(facts.name) if facts.name else "without a name"
        raise ConfigurationError(
            f"the gateway is {shown}, but --confirm names {quoted(confirm)}; nothing was changed",
            hint="give the name that the gateway shows, if it is the one to try.",
        )
    if facts.redundancy_role.lower() not in _STANDALONE:
        raise ConfigurationError(
            f"the gateway is the {quoted(facts.redundancy_role)} of a redundant pair; nothing was "
            "changed",
            hint="use a gateway of its own that can be thrown away.",
        )
    if is_production(facts.deployment_mode):
        raise ConfigurationError(
            f"the gateway's deployment mode is {quoted(facts.deployment_mode)}; nothing was "
            "changed",
            hint="use a gateway that can be thrown away.",
        )


def is_production(name: str) -> bool:
    """Return whether a deployment mode or environment is called like one for production."""
    return name.strip().lower().startswith(("prod", "live"))


def _is_staged(module: InstalledModule | None) -> bool:
    return module is not None and (module.pending_upgrade or module.state == "INACTIVE")


def _has_failed(module: InstalledModule | None) -> bool:
    is_new = module is not None and module.version.is_version(PROBE_VERSIONS[2])
    return is_new and module is not None and (module.state == "FAULTED" or bool(module.fault_cause))


def _line(facts: GatewayFacts) -> tuple[int, int]:
    major, _, rest = facts.version.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        raise ConfigurationError(
            f"the gateway's version {quoted(facts.version)} is not a valid version of Ignition",
            hint="report it as a bug in ign-deploy.",
        )
    return int(major), int(minor)
