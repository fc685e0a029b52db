"""What an earlier run left on a gateway: a restart under way, a module that waits for one."""

from __future__ import annotations

from typing import cast

from ign_deploy.deployment.gateway import GatewayFacts, InstalledModule, Restartable
from ign_deploy.deployment.gateway.comparison import signer_differences
from ign_deploy.deployment.gateway.errors import RestartTimeout
from ign_deploy.deployment.options import Gateway
from ign_deploy.deployment.records import ModuleOnGateway, Outcome
from ign_deploy.deployment.state import EnvironmentState
from ign_deploy.errors import DeploymentError, NetworkError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.version import same_version
from ign_deploy.net.errors import TransientFailure, TransientResponse

UNREACHABLE = (NetworkError, RestartTimeout)
"""What a gateway raises that can't be reached: nothing was changed there."""
# A rollback that failed may have installed the version before as well.
_LEFT_INSTALLED = frozenset({Outcome.UNTOUCHED, Outcome.RESTART_PENDING})


def facts_once_started(gateway: Gateway, history: EnvironmentState) -> GatewayFacts:
    """Return the gateway's facts; one that is starting is waited for, within its deadline.

    One that doesn't respond at all is only waited for if a run that didn't end may have restarted
    it. Raises RestartTimeout and what ``facts`` raises.
    """
    try:
        return gateway.target.facts()
    except (TransientResponse, TransientFailure) as problem:
        if isinstance(problem, TransientFailure) and problem.timed_out:
            raise  # it hangs, and would again
        # Only requests fail like that, and those are sent to the API.
        target = cast("Restartable", gateway.target)
        if not target.wait_while_starting(may_be_down=_may_be_restarting(gateway, history)):
            raise
    return gateway.target.facts()


def _may_be_restarting(gateway: Gateway, history: EnvironmentState) -> bool:
    return any(
        address == gateway.location and left.outcome is Outcome.UNTOUCHED
        for (address, _), left in history.unconfirmed.items()
    )


def is_staged(
    module: VerifiedModule,
    present: InstalledModule | None,
    *,
    gateway: Gateway,
    history: EnvironmentState,
) -> bool:
    """Return whether an earlier run installed these very bytes, and only the restart is missing.

    A gateway shows that another version waits, not which one: the history has to say it, and the
    gateway must not contradict.
    """
    left = history.unconfirmed.get((gateway.location, module.descriptor.id))
    if present is None or left is None or not _is_certain(module, left, gateway, history):
        return False
    if present.is_quarantined or present.fault_cause:
        return False
    target = cast("Restartable", gateway.target)
    if same_version(present.version.full, left.version):
        is_shown = bool(present.state) and present.state != "ACTIVE" and not present.pending_upgrade
        return is_shown and not _is_going(module, target) and _has_its_signer(module, target)
    if not same_version(present.version.full, left.previous) or _is_going(module, target):
        return False
    return _shows_upgrade(module, present, gateway) and _has_its_signer(module, target)


def _is_certain(
    module: VerifiedModule, left: ModuleOnGateway, gateway: Gateway, history: EnvironmentState
) -> bool:
    """Return whether the history has no other version, or bytes, that could wait there."""
    version, id_ = module.descriptor.version, module.descriptor.id
    digests = {
        each.sha256
        for deployment in history.deployments
        for record in deployment.last.gateways
        for each in record.modules
        if record.gateway == gateway.location and each.id == id_
        if same_version(each.version, version)
    }
    return (
        left.outcome in _LEFT_INSTALLED
        and same_version(left.version, version)
        and left.sha256 == module.sha256
        and digests <= {module.sha256}
        and not history.may_have_another(gateway.location, id_, version)
    )


def _tasks(module: VerifiedModule, target: Restartable) -> list[str]:
    """Return which of the pending tasks are about the module; none where that can't be read."""
    try:
        pending = target.pending_restart()
    except NetworkError:
        raise
    except DeploymentError:
        return []
    return [task for task in pending if module.descriptor.id in task.split()]


def _is_going(module: VerifiedModule, target: Restartable) -> bool:
    return any("uninstall" in task.lower() for task in _tasks(module, target))


def _shows_upgrade(module: VerifiedModule, present: InstalledModule, gateway: Gateway) -> bool:
    """Return whether another version waits; a listing shows it a moment after its installation."""
    if present.pending_upgrade:
        return True
    if not _tasks(module, cast("Restartable", gateway.target)):
        return False
    timing = gateway.target.timing
    return any(
        each.pending_upgrade
        for _ in timing.polls(timing.confirm)
        for each in gateway.target.modules()
        if each.id == module.descriptor.id
    )


def _has_its_signer(module: VerifiedModule, target: Restartable) -> bool:
    """Return whether the gateway shows the module's signer, or none at all."""
    shown = target.certificate(module.descriptor.id)
    return shown is None or not signer_differences(module, shown)
