"""The page that a CI host shows for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ign_deploy.ci.host import write_summary
from ign_deploy.ci.summary import Summary, SummaryTable, render_summary
from ign_deploy.errors import IgnDeployError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ign_deploy.cli.session import Session
    from ign_deploy.deployment.records import GatewayRecord, ModuleOnGateway


def write_page(session: Session, summary: Summary) -> None:
    """Write the summary where the CI host shows it; without it, the work is done all the same."""
    page = render_summary(summary, masker=session.masker)
    session.pages.append(page)
    try:
        write_summary(page, host=session.host, env=session.env, masker=session.masker)
    except IgnDeployError as problem:
        session.reporter.warning(f"cannot write the summary: {problem.message}")


def gateway_table(gateways: Sequence[GatewayRecord], *, said: str = "") -> SummaryTable:
    """Return a row for each gateway of a deployment, those that need someone first.

    A reason that the page's cause has ``said`` already isn't repeated.
    """
    from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, Outcome

    def urgency(gateway: GatewayRecord) -> int:
        if gateway.outcome is Outcome.ROLLBACK_FAILED:
            return 0
        return 1 + (gateway.outcome in {*DEPLOYED_OUTCOMES, Outcome.UNTOUCHED})

    return SummaryTable(
        "Gateways",
        ("Gateway", "From → to", "Outcome", "Reason", "Licence"),
        [
            (
                each.title or "(no gateway)",
                "; ".join(_change(module, len(each.modules)) for module in each.modules),
                each.outcome.value,
                # What to do about a pending restart is the next step already.
                ""
                if each.outcome is Outcome.RESTART_PENDING or each.reason in said
                else each.reason,
                ", ".join(dict.fromkeys(module.license_state for module in each.modules)),
            )
            for each in sorted(gateways, key=urgency)
        ],
    )


def _change(module: ModuleOnGateway, count: int) -> str:
    change = f"{module.previous or '-'} → {module.version or '-'}"
    return f"{module.id} {change}" if count > 1 else change


def pending_steps(gateways: Sequence[GatewayRecord]) -> list[str]:
    """Return what to do about gateways that have to be restarted: one step for all of them."""
    from ign_deploy.deployment.records import Outcome

    pending = [each for each in gateways if each.outcome is Outcome.RESTART_PENDING]
    if len(pending) < 2:
        return [step for each in pending for step in each.steps]
    names = ", ".join(each.name or each.gateway for each in pending)
    return [
        f"restart {names} when the plant allows.",
        "run the same command again with the same versions to verify the result.",
    ]
