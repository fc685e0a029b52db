"""What the routes of the simulated gateway do, in the shapes of the API."""

from __future__ import annotations

import json
from pathlib import Path

from ign_deploy.errors import VerificationError
from tests.support.gateway.listing import healthy_items, page, quarantined_items
from tests.support.gateway.modl import Modl, read_modl
from tests.support.gateway.state import Misuse, Refused, State
from tests.support.gateway.wire import Request, Response, as_json


def info(state: State, _: Request) -> Response:
    options = state.options
    license_ = (
        {"state": "trial", "trialRemaining": 7017} if options.trial else {"state": "licensed"}
    )
    return as_json(
        {
            "ignitionVersion": f"{options.version} (b{options.build})",
            "allowUnsignedModules": options.allow_unsigned,
            "redundancyRole": options.redundancy_role,
            "deploymentMode": options.deployment_mode,
            "edition": options.edition,
            "name": options.name,
            "license": license_,
        }
    )


def upload(state: State, request: Request) -> Response:
    file_name = request.query["fileName"]
    if Path(file_name).name != file_name or not file_name.endswith(".modl"):
        raise Misuse(400, "a bad file name", f"{file_name!r} isn't the plain name of a module")
    try:
        modl = state.upload(read_modl(request.body, file_name=file_name))
    except VerificationError as problem:
        raise Refused(400, "the file is not a module") from problem
    return as_json(
        {
            "moduleId": modl.id,
            "licenseAccepted": state.accepts_license(modl),
            "certAccepted": modl.fingerprint in state.accepted_certificates,
            "containsEula": modl.eula is not None,
            "containsCert": modl.is_signed,
        }
    )


def certificate(state: State, request: Request) -> Response:
    certificate = _modl(state, request).certificate
    if certificate is None:
        raise Refused(404, "the module has no certificate")
    return as_json(
        {
            "subjectName": certificate.subject.rfc4514_string(),
            "issuerName": certificate.issuer.rfc4514_string(),
            "serialNumber": str(certificate.serial_number),
            "selfSigned": _modl(state, request).self_signed,
            "notValidBefore": certificate.not_valid_before_utc.isoformat(),
            "notValidAfter": certificate.not_valid_after_utc.isoformat(),
        }
    )


def accept_certificate(state: State, request: Request) -> Response:
    state.accept_certificate(request.query["moduleId"])
    return as_json({"success": True, "message": "the certificate is accepted"})


def eula(state: State, request: Request) -> Response:
    text = _modl(state, request).eula
    if text is None:
        raise Refused(404, "the module has no licence")
    return Response(200, text, "text/html")


def accept_eula(state: State, request: Request) -> Response:
    state.accept_license(request.query["moduleId"])
    return as_json({"success": True, "message": "the licence is accepted"})


def install(state: State, request: Request) -> Response:
    running = state.listed.get(request.query["moduleId"])
    modl = state.install(request.query["moduleId"])
    if state.options.speaks_old_forms:
        return as_json({"success": True, "message": f"Module {modl.id} installed"})
    return as_json(
        {
            "filename": modl.file_name,
            "onStartup": "enabled",
            "certFingerprint": modl.fingerprint if modl.is_signed else None,
            "licenseAgreementHash": modl.eula_crc,
            "upgradeVersion": modl.shown_version if running is not None else None,
            "upgradeFilename": modl.file_name if running is not None else None,
        }
    )


def healthy(state: State, request: Request) -> Response:
    return as_json(page(healthy_items(state), request.query, state.options.page_cap))


def quarantined(state: State, request: Request) -> Response:
    items = quarantined_items(state)
    return as_json(page(items, request.query, state.options.page_cap))


def toggle(state: State, request: Request) -> Response:
    body = _body(request, {"enable", "disable"})
    failed = state.toggle(enable=body["enable"], disable=body["disable"])
    return as_json({"success": not any(failed.values()), "failedUpdates": failed})


def uninstall(state: State, request: Request) -> Response:
    if state.options.speaks_old_forms:
        if "moduleId" not in request.query:
            raise Refused(400, "moduleId is missing")
        ids = [request.query["moduleId"]]
    elif "moduleId" in request.query:
        raise Misuse(400, "no body", "a module in its query, expected it in the body")
    else:
        ids = _body(request, {"uninstall"})["uninstall"]
    state.uninstall(ids)
    return as_json({"success": True, "message": "it takes effect at the next restart"})


def pending(state: State, _: Request) -> Response:
    return as_json({"pending": state.tasks})


def restart(state: State, request: Request) -> Response:
    if request.query.get("confirm") != "true":
        raise Refused(400, "the restart is not confirmed")
    state.restart()
    return Response(200, b"true", cut=state.options.restart_cuts)


def _modl(state: State, request: Request) -> Modl:
    return state.find(request.query["moduleId"])


def _body(request: Request, keys: set[str]) -> dict[str, list[str]]:
    try:
        body = json.loads(request.body.read_bytes())
    except ValueError as cause:
        raise Misuse(400, "the body is not JSON", "its body isn't JSON") from cause
    if not isinstance(body, dict) or set(body) != keys:
        raise Misuse(400, "unexpected body", f"its body has other keys than {sorted(keys)}")
    if not all(isinstance(ids, list) for ids in body.values()):
        raise Misuse(400, "unexpected body", "its body has no lists of modules")
    return body
