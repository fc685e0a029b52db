"""The HTTP API of Ignition 8.3 gateways: every step of getting a module onto one."""

from __future__ import annotations

import json
from pathlib import Path

from ign_deploy.deployment.gateway.client import API, Reply, Transport
from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayFacts,
    Installation,
    InstalledModule,
    ModuleCertificate,
    Startup,
    Timing,
    Upload,
    require_consent,
)
from ign_deploy.deployment.gateway.module_file import (
    open_request_body,
    read_module_file,
    require_file_name,
)
from ign_deploy.deployment.gateway.schema import (
    ApiDescription,
    CertificateResponse,
    ChangeResponse,
    GatewayInfo,
    InstallResponse,
    ModuleItem,
    ModuleListing,
    PendingRestart,
    UploadResponse,
    join_listings,
)
from ign_deploy.deployment.gateway.startup import confirm_change, read_status, wait_until_running
from ign_deploy.errors import DeploymentError, NetworkError
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.report import Progress, no_progress

_ALREADY_ACCEPTED = 409
# Statuses by which a route says that it doesn't know this form of a request.
_UNKNOWN_FORM = frozenset({400, 404, 405, 411, 415, 422})
_PAGE_SIZE = 100
_MAX_MODULES = 10_000


class ApiGateway:
    """A gateway with the HTTP API.

    Reads are retried. If the response to a change is lost, the gateway's listings show whether the
    change was made; only if it wasn't is it requested again. So each step can be repeated after a
    kill. Every method raises GatewayRequestError if the gateway rejects the request,
    DeploymentError if its response makes no sense, NetworkError if it can't be reached.
    """

    def __init__(self, transport: Transport, *, timing: Timing) -> None:
        self._transport = transport
        self._timing = timing

    @property
    def location(self) -> str:
        """The gateway's URL, safe to show."""
        return self._transport.base

    def facts(self) -> GatewayFacts:
        """Read what the gateway is, and detect what it can do."""
        doing = "the gateway information"
        reply = self._transport.get(f"{API}gateway-info", title=doing)
        if reply.status == 404:
            raise self._transport.no_api(reply, doing)
        info = self._transport.parse(reply, GatewayInfo, doing=doing, writes=False)
        if not info.ignition_version:
            raise self._transport.no_api(reply, doing)
        return info.facts(location=self.location, capabilities=self._description().capabilities())

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return every module, by id, including those in quarantine."""
        return join_listings(
            self._listing("modules/healthy"), quarantined=self._listing("modules/quarantined")
        )

    def module(self, module_id: str) -> InstalledModule | None:
        """Return one module, None if the gateway doesn't have it."""
        return next((each for each in self.modules() if each.id == module_id), None)

    def upload(self, path: Path, *, file_name: str, progress: Progress = no_progress) -> Upload:
        """Send a module; the gateway stores it under ``file_name`` and installs nothing yet.

        Sending the same file again under the same name changes nothing, so the whole upload is
        retried. Raises VerificationError if the file is not a module.
        """
        name, file = require_file_name(file_name), read_module_file(path)
        doing = f"the upload of {name}"

        def attempt() -> Reply:
            with open_request_body(path, progress) as body:
                return self._transport.send(
                    "POST",
                    f"{API}modules/upload",
                    query={"fileName": name},
                    body=body,
                    content_type="application/octet-stream",
                )

        reply = self._transport.repeating(attempt, title=doing)
        answer = self._transport.parse(reply, UploadResponse, doing=doing, writes=True)
        if answer.module_id != file.module_id:
            raise DeploymentError(
                f"{self._transport.host} read {name} as {self._transport.clean(answer.module_id)}"
                f", expected {file.module_id}; nothing was installed",
                hint="check whether a proxy between here and the gateway changes uploads.",
            )
        return Upload(
            path=path,
            file_name=name,
            module_id=file.module_id,
            version=file.version,
            # Not contains…: even an unsigned module needs its missing certificate accepted.
            certificate_accepted=answer.cert_accepted is True,
            license_accepted=answer.license_accepted is True,
            certificate_sha1=file.certificate_sha1,
            license_crc=file.license_crc,
        )

    def certificate(self, module_id: str) -> ModuleCertificate | None:
        """Return the signer of an uploaded module; None if it is missing or unsigned."""
        doing = f"the certificate of {module_id}"
        reply = self._read("modules/certificate", module_id, doing)
        if reply.status == 404 and not reply.is_html:
            return None
        answer = self._transport.parse(reply, CertificateResponse, doing=doing, writes=False)
        return ModuleCertificate(
            subject=answer.subject_name,
            issuer=answer.issuer_name,
            serial=answer.serial_number,
            self_signed=answer.self_signed,
            not_before=answer.not_valid_before,
            not_after=answer.not_valid_after,
        )

    def eula(self, module_id: str) -> str | None:
        """Return the licence text of an uploaded module (HTML, untrusted); None if it has none."""
        doing = f"the licence of {module_id}"
        reply = self._read("modules/eula", module_id, doing)
        if reply.status == 404:
            return None
        self._transport.require_success(reply, doing=doing, writes=False)
        return reply.body.decode("utf-8", "replace")

    def accept_certificate(self, module_id: str) -> bool:
        """Accept the certificate of an uploaded module; False if it already was."""
        return self._accept("modules/certificate", module_id, f"the certificate of {module_id}")

    def accept_license(self, module_id: str) -> bool:
        """Accept the licence of an uploaded module; False if it already was."""
        return self._accept("modules/eula", module_id, f"the licence of {module_id}")

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Accept what the user consented to, and install; effective at the next restart.

        Raises ConsentMissing, before anything is accepted, if more would have to be accepted.
        """
        require_consent(upload, consent, host=self._transport.host)
        accepted = []
        if not upload.certificate_accepted:
            self.accept_certificate(upload.module_id)
            accepted.append("certificate")
        if not upload.license_accepted:
            self.accept_license(upload.module_id)
            accepted.append("license")
        message = self._complete(upload)
        return Installation(accepted=tuple(accepted), message=message)

    def uninstall(self, module_id: str) -> None:
        """Remove a module at the next restart; a missing one is not an error."""
        confirm_change(
            lambda: self._uninstall_once(module_id),
            is_done=lambda: self._is_removed(module_id),
            title=f"the removal of {module_id}",
            transport=self._transport,
            timing=self._timing,
        )

    def restart(self) -> None:
        """Request a restart without waiting for it; a closed connection means that it began."""
        try:
            reply = self._transport.send(
                "POST", f"{API}restart-tasks/restart", query={"confirm": "true"}
            )
        except TransientFailure as failure:
            if not failure.sent:
                raise
            self._transport.reporter.info(
                f"{self._transport.host}: the restart closed the connection"
            )
            return
        except TransientResponse:
            # A proxy responds for a gateway that is down.
            if any(self._is_going_down() for _ in self._timing.polls(self._timing.floor)):
                return
            raise
        self._transport.parse(reply, ChangeResponse, doing="the restart", writes=True)

    def wait_until_running(self, timing: Timing | None = None) -> Startup:
        """Wait until the gateway is up again after a requested restart.

        Raises CommissioningError or RestartTimeout.
        """
        return wait_until_running(self._transport, timing or self._timing)

    def pending_restart(self) -> tuple[str, ...]:
        """Return what is pending until a restart, in the gateway's words.

        If nothing is pending, it still may not have restarted.
        """
        doing = "the pending restart tasks"
        reply = self._transport.get(f"{API}restart-tasks/pending", title=doing)
        answer = self._transport.parse(reply, PendingRestart, doing=doing, writes=False)
        return tuple(answer.pending)

    def _description(self) -> ApiDescription:
        try:
            reply = self._transport.send("GET", "/openapi.json")
            document = reply.document() if reply.status == 200 else None
        except (NetworkError, ValueError):
            document = None
        return ApiDescription.model_validate(document if isinstance(document, dict) else {})

    def _listing(self, route: str) -> tuple[ModuleItem, ...]:
        """Read page after page, up to the total that the gateway reports."""
        transport = self._transport
        doing = f"the list of modules ({route})"
        found: dict[str, ModuleItem] = {}
        seen = 0
        while True:
            reply = transport.get(
                API + route, title=doing, query={"limit": str(_PAGE_SIZE), "offset": str(seen)}
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
                    f"{transport.host} reports {total} modules, but listed only {seen}",
                    hint="try again; if it happens again, check the gateway's log.",
                )

    def _is_going_down(self) -> bool:
        return not read_status(self._transport).is_running

    def _read(self, route: str, module_id: str, doing: str) -> Reply:
        return self._transport.get(API + route, title=doing, query={"moduleId": module_id})

    def _accept(self, route: str, module_id: str, what: str) -> bool:
        """Accept; accepting twice only gives a conflict, so a lost response is retried."""
        doing = f"the acceptance of {what}"
        reply = self._transport.repeating(
            lambda: self._transport.send("POST", API + route, query={"moduleId": module_id}),
            title=doing,
        )
        if reply.status == _ALREADY_ACCEPTED:
            return False
        self._transport.parse(reply, ChangeResponse, doing=doing, writes=True)
        return True

    def _complete(self, upload: Upload) -> str:
        doing = f"the installation of {upload.module_id}"
        message = ""

        def once() -> None:
            nonlocal message
            reply = self._transport.send(
                "POST", f"{API}modules/install", query={"moduleId": upload.module_id}
            )
            answer = self._transport.parse(reply, InstallResponse, doing=doing, writes=True)
            message = answer.message

        before = self.module(upload.module_id)
        confirm_change(
            once,
            is_done=lambda: self._is_staged(upload, before),
            title=doing,
            transport=self._transport,
            timing=self._timing,
        )
        return message

    def _is_staged(self, upload: Upload, before: InstalledModule | None) -> bool:
        """Return whether the listings show the installation."""
        now = self.module(upload.module_id)
        if now is None or now == before:
            return False
        quarantined = now.quarantined_version
        shown = [now.version] if quarantined is None else [now.version, quarantined]
        return now.pending_upgrade or any(each.is_version(upload.version) for each in shown)

    def _is_removed(self, module_id: str) -> bool:
        if self.module(module_id) is None:
            return True
        words = [word for task in self.pending_restart() for word in task.split()]
        return module_id in words

    def _uninstall_once(self, module_id: str) -> None:
        """Name the module in the body; for gateways that don't know that form, in the query."""
        doing, route = f"the removal of {module_id}", f"{API}modules/uninstall"
        body = json.dumps({"uninstall": [module_id]}).encode()
        reply = self._transport.send("DELETE", route, body=body, content_type="application/json")
        if reply.status in _UNKNOWN_FORM and not reply.is_html:
            if self.module(module_id) is None:
                return
            reply = self._transport.send("DELETE", route, query={"moduleId": module_id})
        self._transport.parse(reply, ChangeResponse, doing=doing, writes=True)
