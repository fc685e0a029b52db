"""Responses of a gateway's HTTP API: untrusted, so any field may be missing or of another type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from ign_deploy.deployment.gateway.model import (
    GatewayCapabilities,
    GatewayFacts,
    InstalledModule,
    ModuleCertificate,
    parse_shown,
)

NO_REASON = "it gave no reason"
_BACKUP_OBSTACLE = "it is a redundant backup, which takes its modules from the primary"


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and len(value) < 19 and value.removeprefix("-").isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


Text = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Number = Annotated[int | None, BeforeValidator(_number)]
Object = Annotated[dict[str, Any], BeforeValidator(_object)]


class _Response(BaseModel):
    # Fields of newer gateways are ignored; a value of an unexpected type counts as missing.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Problem(_Response):
    """An explanation, at the top of an error or as ``problem`` inside a response."""

    message: Text = ""


class ChangeResponse(_Response):
    """The response to a change: even a 200 may say that nothing was done."""

    success: Flag = None
    message: Text = ""
    problem: Annotated[Problem, BeforeValidator(_object)] = Problem()

    def failure_reason(self) -> str | None:
        """Return why the gateway did not do it, None if it reports no failure."""
        if self.success is False or self.problem.message:
            return self.problem.message or self.message or NO_REASON
        return None


class UploadResponse(ChangeResponse):
    """The response to ``modules/upload``."""

    module_id: Text = ""
    license_accepted: Flag = None
    cert_accepted: Flag = None


class CertificateResponse(ChangeResponse):
    """The response to ``modules/certificate``."""

    subject_name: Text = ""
    issuer_name: Text = ""
    serial_number: Text = ""
    self_signed: Flag = None
    not_valid_before: Text = ""
    not_valid_after: Text = ""

    def certificate(self) -> ModuleCertificate:
        """Return the certificate, in the gateway's own wording."""
        return ModuleCertificate(
            subject=self.subject_name,
            issuer=self.issuer_name,
            serial=self.serial_number,
            self_signed=self.self_signed,
            not_before=self.not_valid_before,
            not_after=self.not_valid_after,
        )


class InstallResponse(ChangeResponse):
    """The response to ``modules/install``, in either form."""

    filename: Text = ""
    cert_fingerprint: Text = ""
    license_agreement_hash: Number = None
    upgrade_version: Text = ""


class ListingMetadata(_Response):
    """How many items a listing has in total."""

    total: Number = None


class ModuleListing(ChangeResponse):
    """One page of modules."""

    items: Annotated[
        list[dict[str, Any]] | None,
        BeforeValidator(lambda value: _objects(value) if isinstance(value, list) else None),
    ] = None
    metadata: Annotated[ListingMetadata, BeforeValidator(_object)] = ListingMetadata()


class ModuleItem(_Response):
    """One module in either listing."""

    id: Text = ""
    name: Text = ""
    version: Text = ""
    on_startup: Text = ""
    should_upgrade: Flag = None
    state: Text = ""
    fault_cause: Text = ""
    exception: Annotated[Problem, BeforeValidator(_object)] = Problem()
    self_signed: Flag = None
    license_state: Text = ""
    cert_accepted: Flag = None
    license_accepted: Flag = None
    reason: Text = ""


class PendingRestart(ChangeResponse):
    """What is pending until a restart."""

    pending: Annotated[list[str], BeforeValidator(_texts)] = Field(default_factory=list)


class StatusPing(_Response):
    """The response to ``/StatusPing``."""

    state: Text = ""
    details: Text = ""


class GatewayInfo(ChangeResponse):
    """The response to ``gateway-info``."""

    ignition_version: Text = ""
    allow_unsigned_modules: Flag = None
    redundancy_role: Text = ""
    deployment_mode: Text = ""
    edition: Text = ""
    name: Text = ""
    license: Object = Field(default_factory=dict)

    def license_mode(self) -> str:
        """Return whether the gateway runs on a trial or a licence; empty if it isn't reported."""
        return _text(self.license.get("mode"))

    def facts(self, *, location: str, capabilities: GatewayCapabilities) -> GatewayFacts:
        """Return what the gateway reports about itself."""
        is_backup = "backup" in self.redundancy_role.lower()
        version = parse_shown(self.ignition_version)
        return GatewayFacts(
            location=location,
            capabilities=capabilities,
            version=version.version,
            build=version.build,
            name=self.name,
            edition=self.edition,
            redundancy_role=self.redundancy_role,
            deployment_mode=self.deployment_mode,
            allows_unsigned=self.allow_unsigned_modules,
            license_mode=self.license_mode(),
            obstacle=_BACKUP_OBSTACLE if is_backup else "",
        )


class ApiDescription(_Response):
    """The OpenAPI document, reduced to its routes."""

    paths: Object = Field(default_factory=dict)

    def has(self, route: str) -> bool:
        """Return whether a route of the API is described."""
        return any(path.rstrip("/").endswith(f"/{route}") for path in self.paths)

    def capabilities(self) -> GatewayCapabilities:
        """Return what the described routes offer; without a description, what 8.3 offers."""
        if not self.paths:
            return GatewayCapabilities(
                lists_modules=True,
                reports_state=True,
                install=True,
                uninstall=True,
                restart=True,
                asks_consent=True,
            )
        return GatewayCapabilities(
            lists_modules=self.has("modules/healthy"),
            reports_state=self.has("modules/healthy"),
            install=self.has("modules/upload") and self.has("modules/install"),
            uninstall=self.has("modules/uninstall"),
            restart=self.has("restart-tasks/restart"),
            asks_consent=True,
            described=True,
        )


def join_listings(
    healthy: Iterable[ModuleItem], *, quarantined: Iterable[ModuleItem]
) -> tuple[InstalledModule, ...]:
    """Join both listings: a module is in both while its new version is in quarantine."""
    blocked = {item.id: item for item in quarantined}
    modules = [_module(item, blocked.pop(item.id, None)) for item in healthy]
    modules += [_module(None, item) for item in blocked.values()]
    return tuple(sorted(modules, key=lambda module: module.id))


def _module(item: ModuleItem | None, blocked: ModuleItem | None) -> InstalledModule:
    known = item or blocked or ModuleItem()
    return InstalledModule(
        id=known.id,
        name=known.name,
        version=parse_shown(known.version),
        state=item.state.upper() if item else "",
        pending_upgrade=bool(item and item.should_upgrade),
        on_startup=known.on_startup,
        quarantine=(blocked.reason or NO_REASON) if blocked else "",
        quarantined_version=parse_shown(blocked.version) if blocked else None,
        certificate_accepted=blocked.cert_accepted if blocked else None,
        license_accepted=blocked.license_accepted if blocked else None,
        fault_cause=(item.fault_cause or item.exception.message) if item else "",
        license_state=known.license_state,
        self_signed=known.self_signed,
    )
