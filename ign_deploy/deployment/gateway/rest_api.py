"""The HTTP API of Ignition 8.3 gateways: every step of getting a module onto one."""

from __future__ import annotations

from pathlib import Path

from ign_deploy.deployment.gateway.client import API, Reply, Transport
from ign_deploy.deployment.gateway.confirm import settle
from ign_deploy.deployment.gateway.consent import require_consent
from ign_deploy.deployment.gateway.facts import read_facts
from ign_deploy.deployment.gateway.listing import list_modules
from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayFacts,
    Installation,
    InstalledModule,
    ModuleCertificate,
    Startup,
    Upload,
)
from ign_deploy.deployment.gateway.module_file import read_module_file, require_file_name
from ign_deploy.deployment.gateway.reading import no_progress, opened_for_sending
from ign_deploy.deployment.gateway.startup import read_status, wait_until_running
from ign_deploy.deployment.gateway.timing import Timing
from ign_deploy.errors import DeploymentError
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.report import Progress

_ALREADY = 409
# How a route says that it doesn't know this form of a request.
_UNKNOWN_FORM = frozenset({400, 404, 405, 411, 415, 422})


class ApiGateway:
    """A gateway with the HTTP API.

    Reads are tried again; a change whose answer was lost is settled by looking at what the
    gateway has, and asked for again only if it wasn't made. So each step may be repeated after a
    kill. Every method raises GatewayRequestError when the gateway says no, DeploymentError when it
    answers nonsense, NetworkError when it can't be reached.
    """

    def __init__(self, transport: Transport, *, timing: Timing) -> None:
        self._transport = transport
        self._timing = timing

    @property
    def location(self) -> str:
        """The gateway's URL, fit to be shown."""
        return self._transport.base

    def facts(self) -> GatewayFacts:
        """Ask the gateway what it is, and find out what it can do."""
        return read_facts(self._transport)

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return every module, by id, those in quarantine included."""
        return list_modules(self._transport)

    def module(self, module_id: str) -> InstalledModule | None:
        """Return one module, None when the gateway hasn't got it."""
        return next((each for each in self.modules() if each.id == module_id), None)

    def upload(self, path: Path, *, file_name: str, progress: Progress = no_progress) -> Upload:
        """Send a module; the gateway keeps it under ``file_name`` and installs nothing yet.

        Sending the same file again under the same name changes nothing, so it is tried again as a
        whole. Raises VerificationError when the file is no module.
        """
        from ign_deploy.deployment.gateway.schema import UploadResponse

        name, file = require_file_name(file_name), read_module_file(path)
        doing = f"the upload of {name}"

        def attempt() -> Reply:
            with opened_for_sending(path, progress) as body:
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
                f"{self._transport.host} took {name} for {self._transport.clean(answer.module_id)}"
                f", expected {file.module_id}; nothing was installed",
                hint="check that nothing between here and the gateway changes what is sent.",
            )
        return Upload(
            path=path,
            file_name=name,
            module_id=file.module_id,
            version=file.version,
            # Not contains…: an unsigned module needs its missing certificate accepted too.
            certificate_accepted=answer.cert_accepted is True,
            license_accepted=answer.license_accepted is True,
            certificate_sha1=file.certificate_sha1,
            license_crc=file.license_crc,
        )

    def certificate(self, module_id: str) -> ModuleCertificate | None:
        """Return the signer of an uploaded module; None when it isn't there or is unsigned."""
        from ign_deploy.deployment.gateway.schema import CertificateResponse

        doing = f"reading the certificate of {module_id}"
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
        """Return the licence text (HTML, foreign) of an uploaded module; None when it has none."""
        doing = f"reading the licence of {module_id}"
        reply = self._read("modules/eula", module_id, doing)
        if reply.status == 404:
            return None
        self._transport.require_success(reply, doing=doing, writes=False)
        return reply.body.decode("utf-8", "replace")

    def accept_certificate(self, module_id: str) -> bool:
        """Accept the certificate of an uploaded module; False when it was accepted already."""
        return self._accept("modules/certificate", module_id, f"the certificate of {module_id}")

    def accept_license(self, module_id: str) -> bool:
        """Accept the licence of an uploaded module; False when it was accepted already."""
        return self._accept("modules/eula", module_id, f"the licence of {module_id}")

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Accept what is consented to, and install; it takes effect at the next restart.

        Raises ConsentMissing, before anything is accepted, when something has to be that nobody
        agreed to.
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
        """Remove a module at the next restart; one that isn't there is no error."""
        settle(
            lambda: self._uninstall_once(module_id),
            is_done=lambda: self._is_removed(module_id),
            title=f"removing {module_id}",
            transport=self._transport,
            timing=self._timing,
        )

    def restart(self) -> None:
        """Ask for a restart, and don't wait for it; a connection that it cuts is its beginning."""
        from ign_deploy.deployment.gateway.schema import ChangeResponse

        try:
            reply = self._transport.send(
                "POST", f"{API}restart-tasks/restart", query={"confirm": "true"}
            )
        except TransientFailure as failure:
            if not failure.sent:
                raise
            self._transport.reporter.info(f"{self._transport.host}: the restart cut the connection")
            return
        except TransientResponse:
            # A proxy answers for a gateway that is gone.
            if any(self._is_going_down() for _ in self._timing.looks(self._timing.floor)):
                return
            raise
        self._transport.parse(reply, ChangeResponse, doing="the restart", writes=True)

    def wait_until_running(self, timing: Timing | None = None) -> Startup:
        """Wait until the gateway is up again, after a restart was asked for.

        Raises CommissioningError or RestartTimeout.
        """
        return wait_until_running(self._transport, timing or self._timing)

    def pending_restart(self) -> tuple[str, ...]:
        """Return what waits for a restart, in the gateway's words.

        Nothing waiting doesn't mean that it has restarted.
        """
        from ign_deploy.deployment.gateway.schema import PendingRestart

        doing = "reading what waits for a restart"
        reply = self._transport.get(f"{API}restart-tasks/pending", title=doing)
        answer = self._transport.parse(reply, PendingRestart, doing=doing, writes=False)
        return tuple(answer.pending)

    def _is_going_down(self) -> bool:
        return not read_status(self._transport).is_running

    def _read(self, route: str, module_id: str, doing: str) -> Reply:
        return self._transport.get(API + route, title=doing, query={"moduleId": module_id})

    def _accept(self, route: str, module_id: str, what: str) -> bool:
        """Accept; twice is answered with a conflict, so it is asked again for a lost answer."""
        from ign_deploy.deployment.gateway.schema import ChangeResponse

        doing = f"accepting {what}"
        reply = self._transport.repeating(
            lambda: self._transport.send("POST", API + route, query={"moduleId": module_id}),
            title=doing,
        )
        if reply.status == _ALREADY:
            return False
        self._transport.parse(reply, ChangeResponse, doing=doing, writes=True)
        return True

    def _complete(self, upload: Upload) -> str:
        from ign_deploy.deployment.gateway.schema import InstallResponse

        doing = f"installing {upload.module_id}"
        message = ""

        def once() -> None:
            nonlocal message
            reply = self._transport.send(
                "POST", f"{API}modules/install", query={"moduleId": upload.module_id}
            )
            answer = self._transport.parse(reply, InstallResponse, doing=doing, writes=True)
            message = answer.message

        before = self.module(upload.module_id)
        settle(
            once,
            is_done=lambda: self._is_staged(upload, before),
            title=doing,
            transport=self._transport,
            timing=self._timing,
        )
        return message

    def _is_staged(self, upload: Upload, before: InstalledModule | None) -> bool:
        """Tell whether installing was done, as far as listings show."""
        now = self.module(upload.module_id)
        if now is None or now == before:
            return False
        kept_out = now.quarantined_version
        shown = [now.version] if kept_out is None else [now.version, kept_out]
        return now.pending_upgrade or any(each.is_version(upload.version) for each in shown)

    def _is_removed(self, module_id: str) -> bool:
        if self.module(module_id) is None:
            return True
        words = [word for task in self.pending_restart() for word in task.split()]
        return module_id in words

    def _uninstall_once(self, module_id: str) -> None:
        """Name the module in the body; gateways that don't know that form get it in the query."""
        import json

        from ign_deploy.deployment.gateway.schema import ChangeResponse

        doing, route = f"removing {module_id}", f"{API}modules/uninstall"
        body = json.dumps({"uninstall": [module_id]}).encode()
        reply = self._transport.send("DELETE", route, body=body, content_type="application/json")
        if reply.status in _UNKNOWN_FORM and not reply.is_html:
            if self.module(module_id) is None:
                return
            reply = self._transport.send("DELETE", route, query={"moduleId": module_id})
        self._transport.parse(reply, ChangeResponse, doing=doing, writes=True)
