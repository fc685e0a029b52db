"""The HTTP API of Ignition 8.3 gateways: every step of getting a module onto one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ign_deploy.deployment.gateway.client import API, GatewayClient, is_html
from ign_deploy.deployment.gateway.comparison import (
    Difference,
    InstalledAs,
    installation_differences,
    listing_differences,
    mismatch_error,
    signer_differences,
)
from ign_deploy.deployment.gateway.denied import unusable_error
from ign_deploy.deployment.gateway.errors import GatewayRequestError
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
from ign_deploy.deployment.gateway.module_file import require_file_name, verified_source
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
from ign_deploy.deployment.gateway.startup import (
    confirm_change,
    read_status,
    wait_until_running,
    wait_while_starting,
)
from ign_deploy.errors import DeploymentError, NetworkError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.net.errors import TransientFailure, TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.report import Progress, no_progress

_ALREADY_ACCEPTED = 409
# Statuses by which a route says that it doesn't know this form of a request.
_UNKNOWN_FORM = frozenset({400, 404, 405, 411, 415, 422})
# What a gateway answers that has no API, or denies access to it.
_UNUSABLE = frozenset({401, 403, 404})
_PAGE_SIZE = 100
_MAX_MODULES = 10_000
# The description of the whole API has a few megabytes.
_MAX_DESCRIPTION = 16 << 20


class ApiGateway:
    """A gateway with the HTTP API.

    Reads are retried. If the response to a change is lost, the gateway's listings show whether the
    change was made; only if it wasn't is it requested again. So each step can be repeated after a
    kill. Every method raises GatewayRequestError if the gateway rejects the request,
    DeploymentError if its response makes no sense, NetworkError if it can't be reached.
    """

    def __init__(self, client: GatewayClient, *, timing: Timing) -> None:
        self._client = client
        self.timing = timing

    @property
    def location(self) -> str:
        """The gateway's URL, safe to show."""
        return self._client.base

    def facts(self) -> GatewayFacts:
        """Read what the gateway is, and detect what it can do."""
        title = "reading the gateway information"
        # It is asked first: one that hangs costs its time-out once.
        response = self._client.get(f"{API}gateway-info", title=title, retries_timeouts=False)
        if response.status in _UNUSABLE:
            raise unusable_error(self._client, response)
        info = self._client.parse(response, GatewayInfo)
        if not info.ignition_version:
            raise self._client.no_api(response)
        return info.facts(location=self.location, capabilities=self._description().capabilities())

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return every module, by id, including those in quarantine."""
        return join_listings(
            self._listing("modules/healthy"), quarantined=self._listing("modules/quarantined")
        )

    def module(self, module_id: str) -> InstalledModule | None:
        """Return one module, None if the gateway doesn't have it."""
        return next((each for each in self.modules() if each.id == module_id), None)

    def upload(
        self, module: VerifiedModule, *, file_name: str, progress: Progress = no_progress
    ) -> Upload:
        """Send a module; the gateway stores it under ``file_name`` and installs nothing yet.

        Sending the same file again under the same name changes nothing, so the whole upload is
        retried. Raises ModuleMismatch if the gateway read another module or signer in the file.
        """
        name, module_id = require_file_name(file_name), module.descriptor.id
        response = self._client.send_module(
            f"{API}modules/upload",
            source=verified_source(module),
            title=f"the upload of {name}",
            query={"fileName": name},
            progress=progress,
        )
        parsed = self._client.parse(response, UploadResponse)
        if parsed.module_id != module_id:
            different = Difference("the id", parsed.module_id, module_id)
            self._require_same(module, (different,), file_name=name)
        certificate = self.certificate(module_id)
        # Not all gateways may show a certificate that they accepted long ago.
        if certificate is not None or parsed.cert_accepted is not True:
            self._require_same(module, signer_differences(module, certificate), file_name=name)
        return Upload(
            module=module,
            file_name=name,
            # Not contains…: even an unsigned module needs its missing certificate accepted.
            certificate_accepted=parsed.cert_accepted is True,
            license_accepted=parsed.license_accepted is True,
        )

    def certificate(self, module_id: str) -> ModuleCertificate | None:
        """Return the signer of an uploaded module; None if it is missing or unsigned."""
        title = f"reading the certificate of {module_id}"
        response = self._read("modules/certificate", module_id, title)
        if response.status == 404 and not is_html(response):
            return None
        return self._client.parse(response, CertificateResponse).certificate()

    def accept_certificate(self, module_id: str) -> bool:
        """Accept the certificate of an uploaded module; False if it already was."""
        return self._accept("modules/certificate", module_id, f"the certificate of {module_id}")

    def accept_license(self, module_id: str) -> bool:
        """Accept the licence of an uploaded module; False if it already was."""
        return self._accept("modules/eula", module_id, f"the licence of {module_id}")

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Accept what the user consented to, and install; effective at the next restart.

        Raises ConsentMissing, before anything is accepted, if more would have to be accepted, and
        ModuleMismatch if the gateway installed something else than what was verified.
        """
        require_consent(upload, consent, host=self._client.host)
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
        try:
            confirm_change(
                lambda: self._uninstall_once(module_id),
                is_done=lambda: self._is_removed(module_id),
                title=f"the removal of {module_id}",
                client=self._client,
                timing=self.timing,
            )
        except GatewayRequestError:
            if self.module(module_id) is not None:
                raise

    def restart(self) -> None:
        """Request a restart without waiting for it; a closed connection means that it began."""
        try:
            response = self._client.send(
                "POST",
                f"{API}restart-tasks/restart",
                title="the restart",
                query={"confirm": "true"},
            )
        except TransientFailure as failure:
            if not failure.sent:
                raise
            self._client.reporter.info(f"{self._client.host}: the restart closed the connection")
            return
        except TransientResponse:
            # A proxy responds for a gateway that is down.
            if any(self._is_going_down() for _ in self.timing.polls(self.timing.floor)):
                return
            raise
        self._client.parse(response, ChangeResponse)

    def wait_until_running(self) -> Startup:
        """Wait until the gateway is up again after a requested restart.

        Raises CommissioningError or RestartTimeout.
        """
        return wait_until_running(self._client, self.timing)

    def wait_while_starting(self, *, may_be_down: bool) -> bool:
        """Wait if the gateway is starting; see ``startup.wait_while_starting``."""
        return wait_while_starting(self._client, self.timing, may_be_down=may_be_down)

    def pending_restart(self) -> tuple[str, ...]:
        """Return what is pending until a restart, in the gateway's words.

        If nothing is pending, it still may not have restarted.
        """
        title = "reading the pending restart tasks"
        response = self._client.get(f"{API}restart-tasks/pending", title=title)
        parsed = self._client.parse(response, PendingRestart)
        return tuple(parsed.pending)

    def _description(self) -> ApiDescription:
        try:
            response = self._client.send(
                "GET", "/openapi.json", title="reading the API's routes", limit=_MAX_DESCRIPTION
            )
        except (NetworkError, DeploymentError):
            return ApiDescription()
        return ApiDescription.model_validate(response.fields() if response.ok else {})

    def _listing(self, route: str) -> tuple[ModuleItem, ...]:
        """Read page after page, up to the total that the gateway reports."""
        client = self._client
        title = f"listing the modules ({route})"
        found: dict[str, ModuleItem] = {}
        seen = 0
        # For all pages together: a gateway may send one module at a time.
        deadline = client.deadline()
        while True:
            deadline.check()
            response = client.get(
                API + route, title=title, query={"limit": str(_PAGE_SIZE), "offset": str(seen)}
            )
            page = client.parse(response, ModuleListing)
            if page.items is None:
                raise client.no_api(response)
            items = [ModuleItem.model_validate(item) for item in page.items]
            seen += len(items)
            found.update((item.id, item) for item in items if item.id)
            total = page.metadata.total
            if total is None or seen >= min(total, _MAX_MODULES):
                return tuple(found.values())
            if not items:
                raise DeploymentError(
                    f"{client.host} reports {total} modules, but listed only {seen}",
                    hint="try again; if it happens again, check the gateway's log.",
                )

    def _is_going_down(self) -> bool:
        return not read_status(self._client).is_running

    def _read(self, route: str, module_id: str, title: str) -> Response:
        return self._client.get(API + route, title=title, query={"moduleId": module_id})

    def _accept(self, route: str, module_id: str, what: str) -> bool:
        """Accept; accepting twice only gives a conflict, so a lost response is retried."""
        title = f"accepting {what}"
        response = self._client.repeat(
            lambda: self._client.send(
                "POST", API + route, title=title, query={"moduleId": module_id}
            ),
            title=title,
            expect=ANY_STATUS,
        )
        if response.status == _ALREADY_ACCEPTED:
            return False
        self._client.parse(response, ChangeResponse)
        return True

    def _complete(self, upload: Upload) -> str:
        title = f"the installation of {upload.module_id}"
        message, shown = "", InstalledAs()

        def once() -> None:
            nonlocal message, shown
            response = self._client.send(
                "POST", f"{API}modules/install", title=title, query={"moduleId": upload.module_id}
            )
            parsed = self._client.parse(response, InstallResponse)
            message = parsed.message
            shown = InstalledAs(
                parsed.cert_fingerprint, parsed.license_agreement_hash, parsed.upgrade_version
            )

        before = self.module(upload.module_id)
        confirm_change(
            once,
            is_done=lambda: self._is_staged(upload, before),
            title=title,
            client=self._client,
            timing=self.timing,
        )
        module = upload.module
        found = installation_differences(module, shown, before=before)
        found += listing_differences(module, self.module(upload.module_id), before=before)
        self._require_same(module, found, file_name=upload.file_name)
        return message

    def _require_same(
        self, module: VerifiedModule, differences: Sequence[Difference], *, file_name: str
    ) -> None:
        """Raise ModuleMismatch if there are differences."""
        if differences:
            client = self._client
            raise mismatch_error(
                module, differences, host=client.host, file_name=file_name, clean=client.clean
            )

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
        title, route = f"the removal of {module_id}", f"{API}modules/uninstall"
        body = json.dumps({"uninstall": [module_id]}).encode()
        response = self._client.send(
            "DELETE", route, title=title, body=body, content_type="application/json"
        )
        if response.status in _UNKNOWN_FORM and not is_html(response):
            if self.module(module_id) is None:
                return
            response = self._client.send(
                "DELETE", route, title=title, query={"moduleId": module_id}
            )
        self._client.parse(response, ChangeResponse)
