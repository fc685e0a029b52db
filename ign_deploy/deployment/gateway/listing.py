"""Which modules a gateway has: both listings, page by page, joined by module."""

from __future__ import annotations

from collections.abc import Iterable

from ign_deploy.deployment.gateway.client import API, Transport
from ign_deploy.deployment.gateway.model import InstalledModule
from ign_deploy.deployment.gateway.schema import ModuleItem, ModuleListing
from ign_deploy.deployment.gateway.versions import parse_shown
from ign_deploy.errors import DeploymentError

_PAGE = 100
_MAX_MODULES = 10_000


def list_modules(transport: Transport) -> tuple[InstalledModule, ...]:
    """Return every module by id. Raises GatewayRequestError, DeploymentError, NetworkError."""
    healthy = _all_items(transport, "modules/healthy")
    quarantined = _all_items(transport, "modules/quarantined")
    return join(healthy, quarantined)


def join(
    healthy: Iterable[ModuleItem], quarantined: Iterable[ModuleItem]
) -> tuple[InstalledModule, ...]:
    """Join both listings: a module is in both while its new version is kept out."""
    kept_out = {item.id: item for item in quarantined}
    modules = [_module(item, kept_out.pop(item.id, None)) for item in healthy]
    modules += [_module(None, item) for item in kept_out.values()]
    return tuple(sorted(modules, key=lambda module: module.id))


def _module(item: ModuleItem | None, kept_out: ModuleItem | None) -> InstalledModule:
    known = item or kept_out or ModuleItem()
    return InstalledModule(
        id=known.id,
        name=known.name,
        version=parse_shown(known.version),
        state=item.state.upper() if item else "",
        pending_upgrade=bool(item and item.should_upgrade),
        on_startup=known.on_startup,
        quarantine=(kept_out.reason or "it gave no reason") if kept_out else "",
        quarantined_version=parse_shown(kept_out.version) if kept_out else None,
        certificate_accepted=kept_out.cert_accepted if kept_out else None,
        license_accepted=kept_out.license_accepted if kept_out else None,
        fault_cause=(item.fault_cause or item.exception.message) if item else "",
        license_state=known.license_state,
        self_signed=known.self_signed,
    )


def _all_items(transport: Transport, route: str) -> tuple[ModuleItem, ...]:
    """Read page after page until there are as many as the gateway says it has."""
    doing = f"listing its modules ({route})"
    found: dict[str, ModuleItem] = {}
    seen = 0
    while True:
        reply = transport.get(
            API + route, title=doing, query={"limit": str(_PAGE), "offset": str(seen)}
        )
        page = transport.parse(reply, ModuleListing, doing=doing, writes=False)
        if page.items is None:
            raise transport.no_api(reply, doing)
        items = [ModuleItem.model_validate(item) for item in page.items]
        seen += len(items)
        found.update((item.id, item) for item in items if item.id)
        total = page.metadata.total
        if total is None or seen >= min(total, _MAX_MODULES):
            return tuple(found.values())
        if not items:
            raise DeploymentError(
                f"{transport.host} says it has {total} modules, and listed {seen}",
                hint="try again; if it stays, look at the gateway's log.",
            )
