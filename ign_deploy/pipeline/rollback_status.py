"""Why there is nothing to roll back on a gateway, or why what it has isn't ours to undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.deployment.history import DeployedVersion
from ign_deploy.deployment.records import Outcome
from ign_deploy.errors import DeploymentError

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import InstalledModule

_UNDONE = {
    Outcome.ROLLED_BACK: "was rolled back already",
    Outcome.UNCHANGED: "was not changed by the last deployment",
}


def explain_from_history(deployed: DeployedVersion) -> str:
    """Return why there is nothing to roll back on a gateway that doesn't list its modules."""
    current = deployed.version or "no version"
    return f"{_why(deployed)}, and {current} is installed, according to the history"


def explain(deployed: DeployedVersion, found: InstalledModule | None, title: str) -> str:
    """Return why there is nothing to roll back, and which version the gateway has.

    Raises DeploymentError if it isn't the one in the history.
    """
    said = _why(deployed)
    if found is None:
        if deployed.version:
            raise differs(deployed, "is not installed", title)
        return f"{said}, and no version is installed"
    if deployed.version and found.runs(deployed.version):
        return f"{said}, and {deployed.version} runs"
    is_installed = bool(deployed.version) and found.version.is_version(deployed.version)
    if found.pending_upgrade or (is_installed and not found.state):
        return f"{said}, and {deployed.version or 'nothing'} runs after the next restart"
    if not is_installed:
        raise differs(deployed, f"is {found.version}", title)
    state = found.fault_cause or found.quarantine or found.state
    return f"{said}, and {deployed.version} is installed, but it doesn't run ({state})"


def _why(deployed: DeployedVersion) -> str:
    why = _UNDONE.get(deployed.undone_outcome, "was not installed")
    return f"{deployed.id} {deployed.undone} {why}"


def differs(deployed: DeployedVersion, found: str, title: str) -> DeploymentError:
    """Return the error for a gateway that has another version than the history says."""
    expected = deployed.version or "not installed"
    undone = f", because {deployed.undone} was rolled back or not installed"
    return DeploymentError(
        f"{deployed.id} {found} on {title}; according to the history, it should be {expected}"
        f"{undone if deployed.undone else ''}",
        hint="find out who changed it; give the version to restore as --to VERSION.",
    )
