"""A module on a gateway, compared with what the history has of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ign_deploy.deployment.gateway.model import ACTIVE
from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, Outcome

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import InstalledModule
    from ign_deploy.deployment.options import Gateway
    from ign_deploy.deployment.state import DeployedVersion, EnvironmentState


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last deployment of a module to a gateway, if it didn't succeed; ``at`` is in UTC."""

    version: str
    outcome: str
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class LiveModule:
    """A module on a gateway; ``version`` is empty if it isn't installed, ``state`` if not reported.

    ``recorded`` is the version that the history has, empty for none. ``difference`` says what is
    not as recorded, empty if all is. ``signer`` and ``certificate_expires`` (ISO 8601) are what the
    gateway shows of the certificate, empty if it shows none; ``accepted_certificate`` is the SHA-1
    fingerprint in its modules.json.
    """

    id: str
    version: str = ""
    state: str = ""
    license_state: str = ""
    self_signed: bool | None = None
    recorded: str = ""
    difference: str = ""
    attempt: Attempt | None = None
    signer: str = ""
    certificate_expires: str = ""
    days_left: int | None = None
    accepted_certificate: str = ""


def unseen_module(
    module_id: str,
    found: InstalledModule | None,
    recorded: DeployedVersion | None,
    *,
    is_waiting: bool,
    attempt: Attempt | None,
) -> LiveModule:
    """Return what the history has of a module, on a gateway that doesn't list its modules."""
    del found, is_waiting
    return LiveModule(module_id, recorded=recorded.version if recorded else "", attempt=attempt)


def compare_module(
    module_id: str,
    found: InstalledModule | None,
    recorded: DeployedVersion | None,
    *,
    is_waiting: bool,
    attempt: Attempt | None,
) -> LiveModule:
    """Compare a module; ``is_waiting``: the gateway has something pending for it."""
    return LiveModule(
        id=module_id,
        version=str(found.version) if found else "",
        state=(found.state or ("QUARANTINED" if found.is_quarantined else "")) if found else "",
        license_state=found.license_state if found else "",
        self_signed=found.self_signed if found else None,
        accepted_certificate=found.accepted_certificate if found else "",
        recorded=recorded.version if recorded else "",
        difference=_difference(found, recorded, is_waiting=is_waiting),
        attempt=attempt,
    )


def _difference(
    found: InstalledModule | None, recorded: DeployedVersion | None, *, is_waiting: bool
) -> str:
    """Return what isn't as the history has it; nothing for a module that it doesn't know."""
    if recorded is None:
        return ""
    if recorded.outcome is Outcome.RESTART_PENDING and not recorded.uncertain:
        is_waiting = is_waiting or (found is not None and found.pending_upgrade)
        if is_waiting and _is_expected_before_restart(found, recorded):
            return _fault(found) or _outage(found, recorded)
    if found is None:
        known = recorded.version or " or ".join(recorded.attempted)
        return f"not installed; the history has {known}"
    if recorded.uncertain:
        return f"uncertain in the history; the gateway has {found.version}"
    if not recorded.version:
        return f"installed; it was uninstalled according to the history (had {recorded.previous})"
    return _condition(found, recorded)


def _is_expected_before_restart(found: InstalledModule | None, recorded: DeployedVersion) -> bool:
    """Return whether the gateway has what the restart is to replace, or its replacement."""
    if found is None:
        return not recorded.previous or not recorded.version
    known = [each for each in (recorded.version, recorded.previous) if each]
    return any(found.version.is_version(each) for each in known)


def _fault(found: InstalledModule | None) -> str:
    """Return what is wrong with the module itself, whatever its version."""
    if found is not None and found.is_quarantined:
        return f"in quarantine: {found.quarantine or 'no reason given'}"
    if found is not None and found.fault_cause:
        return f"faulted: {found.fault_cause}"
    return ""


def _outage(found: InstalledModule | None, recorded: DeployedVersion) -> str:
    """Return that the version to be replaced doesn't run until then; a new one never does."""
    if found is None or not recorded.version or not found.version.is_version(recorded.previous):
        return ""
    return f"{found.state}, expected {ACTIVE}" if found.state not in ("", ACTIVE) else ""


def _condition(found: InstalledModule, recorded: DeployedVersion) -> str:
    """Return what keeps an installed module from running the recorded version."""
    if fault := _fault(found):
        return fault
    if not found.version.is_version(recorded.version):
        return f"{found.version}; the history has {recorded.version}"
    return f"{found.state}, expected {ACTIVE}" if found.state not in ("", ACTIVE) else ""


def last_attempt(
    state: EnvironmentState | None, gateway: Gateway, module_id: str
) -> Attempt | None:
    """Return the newest deployment of the module to the gateway, if it didn't succeed."""
    for deployment in sorted(
        state.deployments if state else (), key=lambda each: each.started.started_at, reverse=True
    ):
        for record in deployment.last.gateways:
            module = next((each for each in record.modules if each.id == module_id), None)
            if record.gateway != gateway.location or module is None:
                continue
            if deployment.ended is None:
                return Attempt(
                    module.version, "unfinished", deployment.started.started_at, "it didn't end"
                )
            if module.outcome in DEPLOYED_OUTCOMES:
                return None
            at = deployment.ended.ended_at or deployment.started.started_at
            return Attempt(module.version, module.outcome.value, at, record.reason)
    return None
