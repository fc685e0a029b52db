"""What a gateway's HTTP API answers: foreign, so every field may be missing or of another kind."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
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
    # Fields of newer gateways are ignored; what isn't of the kind expected counts as not said.
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Problem(_Response):
    """An explanation, at the top of an error or as ``problem`` inside an answer."""

    message: Text = ""


class ChangeResponse(_Response):
    """What a change answers: a 200 may still say that nothing was done."""

    success: Flag = None
    message: Text = ""
    problem: Annotated[Problem, BeforeValidator(_object)] = Problem()

    def failure_reason(self) -> str | None:
        """Return why the gateway did not do it, None when it says nothing of the kind."""
        if self.success is False or self.problem.message:
            return self.problem.message or self.message or "it gave no reason"
        return None


class UploadResponse(ChangeResponse):
    """What ``modules/upload`` answers."""

    module_id: Text = ""
    license_accepted: Flag = None
    cert_accepted: Flag = None


class CertificateResponse(ChangeResponse):
    """What ``modules/certificate`` answers."""

    subject_name: Text = ""
    issuer_name: Text = ""
    serial_number: Text = ""
    self_signed: Flag = None
    not_valid_before: Text = ""
    not_valid_after: Text = ""


class InstallResponse(ChangeResponse):
    """What ``modules/install`` answers, in either form."""

    filename: Text = ""
    upgrade_version: Text = ""


class ListingMetadata(_Response):
    """How much of a listing there is."""

    total: Number = None


class ModuleListing(ChangeResponse):
    """One page of modules."""

    items: Annotated[
        list[dict[str, Any]] | None,
        BeforeValidator(lambda value: _objects(value) if isinstance(value, list) else None),
    ] = None
    metadata: Annotated[ListingMetadata, BeforeValidator(_object)] = ListingMetadata()


class ModuleItem(_Response):
    """One module of either listing."""

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
    """What waits for a restart."""

    pending: Annotated[list[str], BeforeValidator(_texts)] = Field(default_factory=list)


class StatusPing(_Response):
    """What ``/StatusPing`` answers."""

    state: Text = ""
    details: Text = ""


class GatewayInfo(ChangeResponse):
    """What ``gateway-info`` answers; the shape of ``license`` is described nowhere."""

    ignition_version: Text = ""
    allow_unsigned_modules: Flag = None
    redundancy_role: Text = ""
    deployment_mode: Text = ""
    edition: Text = ""
    name: Text = ""
    license: Any = None

    def license_state(self) -> str:
        """Return the licence's state, empty when it isn't said."""
        stated = self.license.get("state") if isinstance(self.license, dict) else self.license
        return _text(stated)

    def trial_seconds(self) -> int | None:
        """Return what is left of the trial, None when it isn't said."""
        return _number(_object(self.license).get("trialRemaining"))


class ApiDescription(_Response):
    """The OpenAPI document: only which routes there are."""

    paths: Object = Field(default_factory=dict)

    def has(self, route: str) -> bool:
        """Tell whether a route of the API is described."""
        return any(path.rstrip("/").endswith(f"/{route}") for path in self.paths)
