"""Gateways: the targets that modules are installed on, and one interface to all types of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from ign_deploy.deployment.gateway.model import (
    DEVELOPER_PREFIX,
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    ModuleCertificate,
    ShownVersion,
    Startup,
    Timing,
    Upload,
    parse_shown,
)
from ign_deploy.errors import ConfigurationError
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.report import Progress, Reporter, SilentReporter, no_progress

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway.client import Observer

__all__ = [
    "DEVELOPER_PREFIX",
    "NO_CONSENT",
    "TARGETS",
    "Consent",
    "GatewayAccess",
    "GatewayCapabilities",
    "GatewayFacts",
    "Installation",
    "InstalledModule",
    "ModuleCertificate",
    "Restartable",
    "ShownVersion",
    "Startup",
    "Target",
    "Timing",
    "Upload",
    "open_target",
    "parse_shown",
]


class Target(Protocol):
    """Where modules are installed. Changes take effect at its next restart."""

    @property
    def location(self) -> str:
        """Its address or path, safe to show."""

    @property
    def timing(self) -> Timing:
        """How long to wait for it, and on which clock."""

    def facts(self) -> GatewayFacts:
        """Detect what it is and can do, before anything is changed."""

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return its modules, by id."""

    def upload(
        self, module: VerifiedModule, *, file_name: str, progress: Progress = no_progress
    ) -> Upload:
        """Hand over a module under a stable file name without a path; nothing is installed yet.

        Here or in ``install``, the file's bytes are sent; both raise DeploymentError, and nothing
        is installed, unless they are those that were verified.
        """

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Accept what the user consented to, and install; repeating it changes nothing.

        Raises ConsentMissing, before anything is accepted, if consent is missing.
        """

    def uninstall(self, module_id: str) -> None:
        """Remove a module; a missing one is not an error."""


class Restartable(Protocol):
    """A target that can be restarted from here (``facts().capabilities.restart``)."""

    def restart(self) -> None:
        """Request a restart without waiting for it."""

    def wait_until_running(self) -> Startup:
        """Wait until it is up again; raises CommissioningError or RestartTimeout."""

    def pending_restart(self) -> tuple[str, ...]:
        """Return what is pending until a restart, in the gateway's words."""

    def wait_while_starting(self, *, may_be_down: bool) -> bool:
        """Wait if it is starting; return whether it runs.

        ``may_be_down``: it may not respond at all, as during a restart. Raises RestartTimeout.
        """

    def certificate(self, module_id: str) -> ModuleCertificate | None:
        """Return the signer of a module that was uploaded; None if the target shows none."""


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """How to connect to a gateway.

    ``token`` (``NAME:KEY``) is sent to its origin only, and never over unencrypted HTTP except to
    this machine. ``ca`` is a PEM file that replaces the well-known authorities, ``pin`` the SHA-256
    fingerprint of the gateway's TLS certificate. ``proxies`` map ``http`` and ``https`` to URLs.
    ``manifest`` is the ``modules.json`` of a folder, None for gateways before 8.3. ``name`` is what
    messages call the gateway, empty for its address; ``token_variable`` holds its token.
    """

    token: str = field(default="", repr=False)
    ca: Path | None = None
    pin: str | None = None
    allow_insecure_http: bool = False
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    manifest: Path | None = None
    name: str = ""
    token_variable: str = "IGN_DEPLOY_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How to communicate with a target: waits, retries, and who gets messages and requests."""

    timing: Timing
    retry: RetryPolicy
    reporter: Reporter
    observe: Observer | None = None


TargetOpener = Callable[[str, GatewayAccess, TargetOptions], Target]


def _open_api(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    from ign_deploy.deployment.gateway.client import open_gateway_client
    from ign_deploy.deployment.gateway.rest_api import ApiGateway

    client = open_gateway_client(
        url,
        access,
        token=access.token,
        retry=options.retry,
        reporter=options.reporter,
        observe=options.observe,
    )
    return ApiGateway(client, timing=options.timing)


def _open_developer(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    """Open a developer gateway; it needs no token, so none is sent."""
    from ign_deploy.deployment.gateway.client import open_gateway_client
    from ign_deploy.deployment.gateway.developer import DeveloperGateway

    address = url.partition("+")[2]
    client = open_gateway_client(
        address, access, token="", retry=options.retry, reporter=options.reporter
    )
    return DeveloperGateway(client, timing=options.timing)


def _open_folder(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    from ign_deploy.deployment.gateway.folder import FolderTarget

    del options
    return FolderTarget(_local_path(url), manifest=access.manifest)


TARGETS: Mapping[str, TargetOpener] = {
    "https": _open_api,
    "http": _open_api,
    f"{DEVELOPER_PREFIX}https": _open_developer,
    f"{DEVELOPER_PREFIX}http": _open_developer,
    "file": _open_folder,
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def open_target(
    url: str,
    *,
    access: GatewayAccess | None = None,
    timing: Timing | None = None,
    retry: RetryPolicy | None = None,
    reporter: Reporter | None = None,
    observe: Observer | None = None,
) -> Target:
    """Return the target at ``url``; nothing is requested or changed yet.

    ``https://…`` and ``http://…`` are the API of 8.3, ``developer+http://…`` is the servlet of a
    developer gateway before it, a path or ``file:`` URL a folder of modules. Raises
    ConfigurationError for anything unsafe; messages never repeat URLs or tokens.

    Without ``retry``, a request with all its attempts takes at most the timing's ``deadline`` and
    the time that a large module needs, however slowly the gateway responds. ``observe`` gets every
    request to the API of 8.3.
    """
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "file"
    opener = TARGETS.get(scheme)
    if opener is None:
        raise _unsupported(scheme, rest=url.partition(":")[2])
    timing = timing or Timing()
    retry = retry or RetryPolicy(deadline=timing.deadline)
    options = TargetOptions(timing, retry, reporter or SilentReporter(), observe)
    return opener(url, access or GatewayAccess(), options)


def _unsupported(scheme: str, *, rest: str) -> ConfigurationError:
    hint = "give the gateway's address, such as https://gateway.example:8043."
    if rest.partition("/")[0].isdigit():  # localhost:8043, a host and its port
        return ConfigurationError(f'missing https:// before "{scheme}"', hint=hint)
    return ConfigurationError(
        f'unsupported gateway type "{scheme}:", expected one of {", ".join(TARGETS)}', hint=hint
    )


def _local_path(url: str) -> Path:
    text = url
    if _SCHEME.match(url):
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigurationError(
                "the file: URL of the modules folder is not valid",
                hint="write it like file:///absolute/path.",
            ) from None
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise ConfigurationError(
                "the file: URL of the modules folder has a host, a query or a fragment",
                hint="write it like file:///absolute/path, with ? and # as %3F and %23.",
            )
        text = unquote(parts.path)
    if not text.strip() or not text.isprintable():
        raise ConfigurationError(
            f"{text[:100]!r} is not a valid path of a modules folder",
            hint="give the path of a folder such as user-lib/modules.",
        )
    return Path(text)
