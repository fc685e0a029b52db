"""What an interrupted rollout leaves on each gateway, for the person who has to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ign_deploy.deployment.gateway_deployment import GatewayDeployment
from ign_deploy.deployment.plan import GatewayPlan
from ign_deploy.deployment.records import GatewayRecord


class Interrupted(BaseException):
    """The run was interrupted: what is under way at a gateway is left as it is."""


def interrupted_gateways(
    plans: Sequence[GatewayPlan],
    deployments: Mapping[str, GatewayDeployment],
    records: Mapping[str, GatewayRecord],
) -> Iterator[str]:
    """Yield a sentence for each gateway; ``deployments`` were begun, ``records`` are finished."""
    for plan in plans:
        location, title = plan.gateway.location, plan.gateway.title
        record, deployment = records.get(location), deployments.get(location)
        if record is not None:
            yield f"{title}: finished ({record.outcome.value})"
        elif deployment is None:
            yield f"{title}: not started, nothing was changed"
        else:
            yield f"{title}: {_progress(deployment)}"


def _progress(deployment: GatewayDeployment) -> str:
    done = [f"{change.id} {change.version} is installed" for change in deployment.touched]
    done += [f"{module_id} is uninstalled" for module_id in deployment.removed]
    if not done:
        return "nothing was installed yet"
    rest = (
        "a restart was requested" if deployment.restarted else "the gateway was not restarted yet"
    )
    before = ", ".join(
        f"{change.id} {change.present or 'not installed'}" for change in deployment.touched
    )
    return f"{', '.join(done)}; {rest}, and it isn't verified (before: {before or 'installed'})"
