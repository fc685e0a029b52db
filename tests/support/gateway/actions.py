"""What the routes of the simulated gateway do, in the shapes of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ign_deploy.errors import VerificationError
from tests.support.gateway.modl import Modl, read_modl
from tests.support.gateway.state import NO_CERTIFICATE, Listed, Misuse, Refused, State
from tests.support.serving import Reply, Request

Document = dict[str, Any]
DEFAULT_LIMIT = 25


@dataclass(frozen=True)
class GatewayRequest(Request):
    """A request whose body is in a file."""

    file: Path = Path()
    is_tls: bool = False

    @property
    def size(self) -> int:
        return self.file.stat().st_size


def info(state: State, _: GatewayRequest) -> Document:
    options = state.options
    return {
        "ignitionVersion": f"{options.version} (b{options.build})",
        "allowUnsignedModules": options.allow_unsigned,
        "redundancyRole": options.redundancy_role,
        "deploymentMode": options.deployment_mode,
        "edition": options.edition,
        "name": options.name,
        "license": {
            "mode": "Trial" if options.trial else "Activated",
            "validForVersion": None,
            "expirationDate": None,
            "licenseRestrictions": [],
        },
        "hostname": f"{options.name}.plant.example",
        "port": "8088",
        "redundantPeerAddress": None,
        "timeZone": "Central European Time",
        "timeZoneId": "Europe/Berlin",
        "jvmVersion": "17.0.16+8",
    }


def upload(state: State, request: GatewayRequest) -> Document:
    file_name = request.query["fileName"]
    if Path(file_name).name != file_name or not file_name.endswith(".modl"):
        raise Misuse(400, "a bad file name", f"{file_name!r} isn't the plain name of a module")
    try:
        sent = read_modl(request.file, file_name=file_name)
        read = replace(state.options.reads_as.get(sent.id, sent), file_name=file_name)
        modl = state.upload(read)
    except VerificationError as problem:
        raise Refused(400, "the file is not a module") from problem
    return {
        "moduleId": modl.id,
        "licenseAccepted": state.accepts_license(modl),
        "certAccepted": modl.fingerprint in state.accepted_certificates,
        "containsEula": modl.eula is not None,
        "containsCert": modl.is_signed,
    }


def certificate(state: State, request: GatewayRequest) -> Document:
    certificate = _modl(state, request).certificate
    if certificate is None:
        raise Refused(404, "the module has no certificate")
    return {
        "subjectName": certificate.subject.rfc4514_string(),
        "issuerName": certificate.issuer.rfc4514_string(),
        "serialNumber": str(certificate.serial_number),
        "selfSigned": _modl(state, request).self_signed,
        "notValidBefore": certificate.not_valid_before_utc.isoformat(),
        "notValidAfter": certificate.not_valid_after_utc.isoformat(),
    }


def accept_certificate(state: State, request: GatewayRequest) -> Document:
    state.accept_certificate(request.query["moduleId"])
    return {"success": True, "message": "the certificate is accepted"}


def eula(state: State, request: GatewayRequest) -> Reply:
    text = _modl(state, request).eula
    if text is None:
        raise Refused(404, "the module has no licence")
    return Reply(200, {"Content-Type": "text/html"}, text)


def accept_eula(state: State, request: GatewayRequest) -> Document:
    state.accept_license(request.query["moduleId"])
    return {"success": True, "message": "the licence is accepted"}


def install(state: State, request: GatewayRequest) -> Document:
    running = state.listed.get(request.query["moduleId"])
    modl = state.install(request.query["moduleId"])
    if state.options.speaks_old_forms:
        return {"success": True, "message": f"Module {modl.id} installed"}
    return {
        "filename": modl.file_name,
        "onStartup": "enabled",
        "certFingerprint": modl.fingerprint if modl.is_signed else None,
        "licenseAgreementHash": modl.eula_crc,
        "upgradeVersion": modl.shown_version if running is not None else None,
        "upgradeFilename": modl.file_name if running is not None else None,
    }


def healthy(state: State, request: GatewayRequest) -> Document:
    return page(healthy_items(state), request.query, state.options.page_cap)


def quarantined(state: State, request: GatewayRequest) -> Document:
    items = quarantined_items(state)
    return page(items, request.query, state.options.page_cap)


def toggle(state: State, request: GatewayRequest) -> Document:
    body = _body(request, {"enable", "disable"})
    failed = state.toggle(enable=body["enable"], disable=body["disable"])
    return {"success": not any(failed.values()), "failedUpdates": failed}


def uninstall(state: State, request: GatewayRequest) -> Document:
    if state.options.speaks_old_forms:
        if "moduleId" not in request.query:
            raise Refused(400, "moduleId is missing")
        ids = [request.query["moduleId"]]
    elif "moduleId" in request.query:
        raise Misuse(400, "no body", "a module in its query, expected it in the body")
    else:
        ids = _body(request, {"uninstall"})["uninstall"]
    state.uninstall(ids)
    return {"success": True, "message": "it takes effect at the next restart"}


def pending(state: State, _: GatewayRequest) -> Document:
    return {"pending": state.tasks}


def restart(state: State, request: GatewayRequest) -> Reply:
    if request.query.get("confirm") != "true":
        raise Refused(400, "the restart is not confirmed")
    state.restart()
    headers = {"Content-Type": "application/json"}
    return Reply(200, headers, b"true", cut=2 if state.options.restart_cuts else None)


def _modl(state: State, request: GatewayRequest) -> Modl:
    return state.find(request.query["moduleId"])


def _body(request: GatewayRequest, keys: set[str]) -> dict[str, list[str]]:
    try:
        body = json.loads(request.file.read_bytes())
    except ValueError as cause:
        raise Misuse(400, "the body is not JSON", "its body isn't JSON") from cause
    if not isinstance(body, dict) or set(body) != keys:
        raise Misuse(400, "unexpected body", f"its body has other keys than {sorted(keys)}")
    if not all(isinstance(ids, list) for ids in body.values()):
        raise Misuse(400, "unexpected body", "its body has no lists of modules")
    return body


# The two listings of modules, page by page


def healthy_items(state: State) -> list[Document]:
    """Return every module that is not kept out, faulted and inactive ones too."""
    return [_healthy(state, state.listed[module_id]) for module_id in sorted(state.listed)]


def quarantined_items(state: State) -> list[Document]:
    """Return every module that is kept out, and why."""
    return [
        {
            "id": modl.id,
            "name": modl.name,
            "version": modl.shown_version,
            "certAccepted": modl.fingerprint in state.accepted_certificates,
            "licenseAccepted": state.accepts_license(modl),
            "reason": state.obstacle(modl) or NO_CERTIFICATE,
        }
        for _, modl in sorted(state.quarantined.items())
    ]


def page(items: Sequence[Document], query: Mapping[str, str], cap: int) -> Document:
    """Return the requested part, at most ``cap`` items."""
    limit = min(int(query.get("limit", DEFAULT_LIMIT)), cap)
    offset = int(query.get("offset", 0))
    return {
        "items": list(items[offset : offset + limit]),
        "metadata": {
            "total": len(items),
            "matching": len(items),
            "limit": limit,
            "offset": offset,
        },
    }


def _healthy(state: State, listed: Listed) -> Document:
    modl = listed.modl
    license_state = "TRIAL" if state.options.trial else "ACTIVATED"
    item: Document = {
        "id": modl.id,
        "name": modl.name,
        "version": modl.shown_version,
        "onStartup": "enabled" if listed.enabled else "disabled",
        "shouldUpgrade": state.should_upgrade(modl.id),
        "state": listed.state,
        "faultCause": None,
        "faultTime": None,
        "exception": None,
        "selfSigned": modl.self_signed,
        "licenseState": "FREE" if modl.free else license_state,
        "startupTime": 17,
        "description": "",
        "docUrl": None,
        "vendorId": 0,
        "vendorName": "Example",
        "restrictions": {},
    }
    if listed.fault:
        item["faultCause"] = listed.fault
        item["faultTime"] = "2026-08-21T22:03:29Z"
        item["exception"] = {
            "message": listed.fault,
            "stacktrace": "java.lang.IllegalStateException\n\tat com.example.GatewayHook.startup",
        }
    return item
