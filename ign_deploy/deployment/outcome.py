"""What the outcome of a gateway's deployment means for its modules, and for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ign_deploy.deployment.gateway import InstalledModule
from ign_deploy.deployment.options import Gateway
from ign_deploy.deployment.plan import GatewayPlan, ModuleChange, module_record
from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, GatewayRecord, Outcome
from ign_deploy.errors import DeploymentError, IgnDeployError, reworded


@dataclass(frozen=True, slots=True)
class Ending:
    """How a deployment to a gateway ended: outcome, its reason, and what is left to do."""

    outcome: Outcome
    message: str = ""
    steps: tuple[str, ...] = ()


def gateway_record(
    plan: GatewayPlan,
    ending: Ending,
    *,
    seconds: float,
    touched: Collection[str],
    removed: Collection[str],
    licenses: Mapping[str, str],
) -> GatewayRecord:
    """Return a gateway's record; ``touched`` and ``removed`` are ids of modules it changed."""
    outcome = ending.outcome
    is_known = outcome in (Outcome.DEPLOYED, Outcome.UNCHANGED, Outcome.UNINSTALLED)
    return GatewayRecord(
        gateway=plan.gateway.location,
        name=plan.gateway.name,
        outcome=outcome,
        message=ending.message,
        steps=ending.steps,
        seconds=round(seconds, 3),
        modules=(
            *(
                module_record(
                    change,
                    _module_outcome(outcome, is_touched=change.id in touched, runs=change.runs),
                    license_state=licenses.get(change.id, "") if is_known else "",
                )
                for change in plan.changes
            ),
            *(
                each.record(_removal_outcome(outcome, is_removed=each.id in removed))
                for each in plan.removals
            ),
        ),
    )


def _module_outcome(outcome: Outcome, *, is_touched: bool, runs: bool) -> Outcome:
    """Return what became of a module to install."""
    if is_touched:
        return Outcome.DEPLOYED if outcome is Outcome.UNINSTALLED else outcome
    return Outcome.UNCHANGED if runs else Outcome.UNTOUCHED


def _removal_outcome(outcome: Outcome, *, is_removed: bool) -> Outcome:
    """Return what became of a module to uninstall."""
    if is_removed:
        return outcome
    return Outcome.UNCHANGED if outcome in DEPLOYED_OUTCOMES else Outcome.UNTOUCHED


def with_title(message: str, gateway: Gateway) -> str:
    """Return the message with the gateway's name before it, or its address; never twice."""
    title = gateway.title
    is_named = title in message or message.startswith(title.partition("://")[2] or title)
    return message if is_named else f"{title}: {message}"


def named_problem(problem: IgnDeployError, gateway: Gateway) -> IgnDeployError:
    """Return the problem with the gateway's name in its message, if it has one."""
    if not gateway.name:
        return problem
    return reworded(problem, message=with_title(problem.message, gateway), hint=problem.hint)


def steps_of(*hints: str) -> tuple[str, ...]:
    """Return the steps of hints, which may be empty or have several."""
    return tuple(step for hint in hints for step in hint.splitlines() if step)


def restored_versions(changes: Sequence[ModuleChange]) -> str:
    """Say what a rollback restored: ``back on 1.0.0`` for one module."""
    if len(changes) == 1:
        (change,) = changes
        if change.previous is None:
            return f"{change.id} was uninstalled"
        return f"back on {change.previous.descriptor.version}"
    back = [f"{each.id} {each.present}" for each in changes if each.previous is not None]
    gone = [each.id for each in changes if each.previous is None]
    parts = [f"back on {', '.join(back)}"] if back else []
    parts += [f"{', '.join(gone)} uninstalled"] if gone else []
    return " and ".join(parts)


def is_stuck(found: InstalledModule | None) -> bool:
    """Return whether waiting longer is pointless."""
    return found is not None and (found.is_quarantined or bool(found.fault_cause))


def require_rollback_versions(changes: Sequence[ModuleChange], gateway: Gateway) -> None:
    """Raise DeploymentError if only uninstalling would be left."""
    for change in changes:
        if change.obstacle:
            raise DeploymentError(
                f"{gateway.title}: {change.id} {change.present} cannot be restored "
                f"({change.obstacle}), and uninstalling {change.id} is not allowed",
                hint=f"install {change.id} {change.present} from a file that you trust.",
            )


def require_known_versions(
    changes: Sequence[ModuleChange], installed: Mapping[str, InstalledModule], gateway: Gateway
) -> None:
    """Raise DeploymentError if the gateway has what was neither there before nor installed by us.

    Someone installed it since; going back would take it away.
    """
    for change in changes:
        found = installed.get(change.id)
        if found is None:
            continue
        previous = "" if change.previous is None else change.previous.descriptor.version
        known = (change.version, change.present, previous)
        shown = [found.version] if found.state or not found.is_quarantined else []
        shown += [found.quarantined_version] if found.quarantined_version is not None else []
        for each in shown:
            if not any(each.is_version(one) for one in known if one):
                raise DeploymentError(
                    f"{gateway.title}: {change.id} {each} is there, which this run did not "
                    "install; it was not replaced",
                    hint=f"find out who installed {change.id} {each}.",
                )
