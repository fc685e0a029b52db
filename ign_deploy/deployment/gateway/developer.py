"""Developer gateways, 8.1 and earlier: a servlet that takes modules from anyone, if enabled."""

from __future__ import annotations

from ign_deploy.deployment.gateway.client import GatewayClient
from ign_deploy.deployment.gateway.model import (
    DEVELOPER_PREFIX,
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    Startup,
    Timing,
    Upload,
)
from ign_deploy.deployment.gateway.module_file import require_file_name, verified_source
from ign_deploy.deployment.gateway.startup import RUNNING, read_status, wait_until_running
from ign_deploy.errors import DeploymentError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.net.upload import read_source
from ign_deploy.report import Progress, no_progress

SERVLET = "/system/DeveloperModuleLoadingServlet"


class DeveloperGateway:
    """A gateway started with ``-Dia.developer.moduleupload=true``.

    It takes modules without authentication, replaces the running one at once, and can't list
    what it has: from here, modules can't be verified or removed, nor the gateway restarted.
    """

    def __init__(self, client: GatewayClient, *, timing: Timing) -> None:
        self._client = client
        self.timing = timing

    @property
    def location(self) -> str:
        """The gateway's URL as --gateway takes it, safe to show."""
        return f"{DEVELOPER_PREFIX}{self._client.base}"

    def facts(self) -> GatewayFacts:
        """Return what little is known; the obstacle says if the gateway is not running."""
        status = read_status(self._client)
        obstacle = ""
        if not status.is_running:
            shown = self._client.clean(status.details or status.state)
            obstacle = f"it is not running ({shown}, expected {RUNNING})"
        return GatewayFacts(
            location=self.location,
            capabilities=GatewayCapabilities(install=True, at_once=True),
            obstacle=obstacle,
        )

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return nothing; ``facts().capabilities.lists_modules`` is False."""
        return ()

    def upload(
        self, module: VerifiedModule, *, file_name: str, progress: Progress = no_progress
    ) -> Upload:
        """Read the file, but send nothing yet, since the servlet would install it at once.

        Raises DeploymentError if it changed: later, it wouldn't be known what the gateway has.
        """
        name = require_file_name(file_name)
        for block in read_source(verified_source(module), error=DeploymentError):
            progress(len(block))
        return Upload(module, name, certificate_accepted=True, license_accepted=True)

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Send the module as Base64 text; sending the same module again changes nothing.

        Raises DeploymentError if there is no servlet, NetworkError.
        """
        del consent  # developer mode accepts everything by itself
        response = self._client.send_module(
            SERVLET,
            source=verified_source(upload.module, as_base64=True),
            title=f"the upload of {upload.module_id}",
            content_type="text/plain",
        )
        if response.status in (404, 405):
            raise DeploymentError(
                f"{self._client.host} has no developer upload servlet ({response.status})",
                hint="on 8.1 and earlier, start the gateway with -Dia.developer.moduleupload=true; "
                "on 8.3, give its https:// address to use its API.",
            )
        self._client.require_success(response)
        return Installation()

    def uninstall(self, module_id: str) -> None:
        """Raise DeploymentError: the servlet can only add and replace."""
        raise DeploymentError(
            f"cannot remove {module_id} from {self._client.host}: the developer upload servlet "
            "can only add and replace modules",
            hint="remove it on the gateway's web page, under Config > Modules.",
        )

    def wait_until_running(self) -> Startup:
        """Wait until the gateway is up; raises CommissioningError or RestartTimeout."""
        return wait_until_running(self._client, self.timing)
