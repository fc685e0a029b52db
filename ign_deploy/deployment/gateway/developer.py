"""Developer gateways of 8.1 and before: a servlet that takes modules from anybody, if enabled."""

from __future__ import annotations

from pathlib import Path

from ign_deploy.deployment.gateway.client import Reply, Transport
from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    Startup,
    Upload,
)
from ign_deploy.deployment.gateway.module_file import read_module_file, require_file_name
from ign_deploy.deployment.gateway.reading import no_progress, opened_for_sending
from ign_deploy.deployment.gateway.startup import RUNNING, read_status, wait_until_running
from ign_deploy.deployment.gateway.timing import Timing
from ign_deploy.errors import DeploymentError
from ign_deploy.report import Progress

SERVLET = "/system/DeveloperModuleLoadingServlet"


class DeveloperGateway:
    """A gateway started with ``-Dia.developer.moduleupload=true``.

    It takes modules without asking who sends them, replaces the running one at once, and says
    nothing about what it has: what it got can't be verified, removed or restarted from here.
    """

    def __init__(self, transport: Transport, *, timing: Timing) -> None:
        self._transport = transport
        self._timing = timing

    @property
    def location(self) -> str:
        """The gateway's URL, fit to be shown."""
        return self._transport.base

    def facts(self) -> GatewayFacts:
        """Return what little is known; the obstacle says when the gateway isn't running."""
        status = read_status(self._transport)
        obstacle = ""
        if not status.is_running:
            shown = self._transport.clean(status.details or status.state)
            obstacle = f"it isn't running ({shown}, expected {RUNNING})"
        return GatewayFacts(
            location=self.location,
            capabilities=GatewayCapabilities(install=True, at_once=True),
            obstacle=obstacle,
        )

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return nothing: ``facts().capabilities.lists_modules`` says that it can't be asked."""
        return ()

    def upload(self, path: Path, *, file_name: str, progress: Progress = no_progress) -> Upload:
        """Read the module; the servlet would install it at once, so nothing is sent yet."""
        del progress
        file = read_module_file(path)
        return Upload(
            path=path,
            file_name=require_file_name(file_name),
            module_id=file.module_id,
            version=file.version,
            certificate_accepted=True,
            license_accepted=True,
            certificate_sha1=file.certificate_sha1,
            license_crc=file.license_crc,
        )

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Send the module as Base64 text; the same module again changes nothing.

        Raises DeploymentError when the servlet isn't there, NetworkError.
        """
        del consent  # developer mode accepts everything by itself
        doing = f"taking {upload.module_id}"

        def attempt() -> Reply:
            with opened_for_sending(upload.path, as_base64=True) as body:
                return self._transport.send(
                    "POST", SERVLET, body=body, content_type="text/plain", anonymous=True
                )

        reply = self._transport.repeating(attempt, title=doing)
        if reply.status in (404, 405):
            raise DeploymentError(
                f"{self._transport.host} has no servlet for developers ({reply.status})",
                hint="start the gateway with -Dia.developer.moduleupload=true (8.1 and before); "
                "8.3 has an API instead: give its address with https://.",
            )
        self._transport.require_success(reply, doing=doing, writes=True)
        return Installation()

    def uninstall(self, module_id: str) -> None:
        """Raise DeploymentError: the servlet only adds and replaces."""
        raise DeploymentError(
            f"{module_id} can't be removed from {self._transport.host}: its servlet for "
            "developers only adds and replaces modules",
            hint="remove it on the gateway's page under Config > Modules.",
        )

    def wait_until_running(self, timing: Timing | None = None) -> Startup:
        """Wait until the gateway is up; raises CommissioningError or RestartTimeout."""
        return wait_until_running(self._transport, timing or self._timing)
