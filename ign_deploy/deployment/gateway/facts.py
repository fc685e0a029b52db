"""What a gateway says of itself, and what it can do."""

from __future__ import annotations

from ign_deploy.deployment.gateway.client import API, Transport
from ign_deploy.deployment.gateway.model import GatewayCapabilities, GatewayFacts
from ign_deploy.deployment.gateway.schema import ApiDescription, GatewayInfo
from ign_deploy.deployment.gateway.versions import parse_shown
from ign_deploy.errors import NetworkError

_BACKUP = "backup"


def read_facts(transport: Transport) -> GatewayFacts:
    """Ask for the facts; raises GatewayRequestError, NetworkError, DeploymentError (no API)."""
    doing = "reading the gateway's facts"
    reply = transport.get(f"{API}gateway-info", title=doing)
    if reply.status == 404:
        raise transport.no_api(reply, doing)
    info = transport.parse(reply, GatewayInfo, doing=doing, writes=False)
    if not info.ignition_version:
        raise transport.no_api(reply, doing)
    version = parse_shown(info.ignition_version)
    return GatewayFacts(
        location=transport.base,
        capabilities=_capabilities(transport),
        version=version.version,
        build=version.build,
        name=info.name,
        edition=info.edition,
        redundancy_role=info.redundancy_role,
        deployment_mode=info.deployment_mode,
        allows_unsigned=info.allow_unsigned_modules,
        license_state=info.license_state(),
        trial_seconds=info.trial_seconds(),
        obstacle=_obstacle(info),
    )


def _obstacle(info: GatewayInfo) -> str:
    if _BACKUP in info.redundancy_role.lower():
        return "it is a redundant backup, which takes its modules from the primary"
    return ""


def _capabilities(transport: Transport) -> GatewayCapabilities:
    """Look which routes the gateway describes; one that describes nothing is taken at its word."""
    description = _description(transport)
    if not description.paths:
        return GatewayCapabilities(
            lists_modules=True, reports_state=True, install=True, uninstall=True, restart=True
        )
    return GatewayCapabilities(
        lists_modules=description.has("modules/healthy"),
        reports_state=description.has("modules/healthy"),
        install=description.has("modules/upload") and description.has("modules/install"),
        uninstall=description.has("modules/uninstall"),
        restart=description.has("restart-tasks/restart"),
        described=True,
    )


def _description(transport: Transport) -> ApiDescription:
    try:
        reply = transport.send("GET", "/openapi.json")
        document = reply.document() if reply.status == 200 else None
    except (NetworkError, ValueError):
        document = None
    return ApiDescription.model_validate(document if isinstance(document, dict) else {})
