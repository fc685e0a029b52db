"""Gateways: where modules are installed, and the one interface to all kinds of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ign_deploy.deployment.gateway.model import (
    NO_CONSENT,
    Consent,
    GatewayCapabilities,
    GatewayFacts,
    Installation,
    InstalledModule,
    ModuleCertificate,
    Startup,
    Upload,
)
from ign_deploy.deployment.gateway.reading import no_progress
from ign_deploy.deployment.gateway.timing import Timing
from ign_deploy.deployment.gateway.versions import ShownVersion, parse_shown
from ign_deploy.errors import ConfigurationError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.report import Progress, Reporter, SilentReporter

__all__ = [
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
    """A place where modules are installed. What is changed takes effect at its next restart."""

    @property
    def location(self) -> str:
        """Where it is, fit to be shown."""

    def facts(self) -> GatewayFacts:
        """Find out what it is and can do, before anything is changed."""

    def modules(self) -> tuple[InstalledModule, ...]:
        """Return what is there, by module id."""

    def upload(self, path: Path, *, file_name: str, progress: Progress = no_progress) -> Upload:
        """Hand over a module under a stable, path-free name; nothing is installed yet."""

    def install(self, upload: Upload, *, consent: Consent = NO_CONSENT) -> Installation:
        """Accept what is consented to, and install; the same again changes nothing.

        Raises ConsentMissing, before anything is accepted, when consent is missing.
        """

    def uninstall(self, module_id: str) -> None:
        """Remove a module; one that isn't there is no error."""


class Restartable(Protocol):
    """A target that can be restarted from here (``facts().capabilities.restart``)."""

    def restart(self) -> None:
        """Ask for a restart and don't wait for it."""

    def wait_until_running(self, timing: Timing | None = None) -> Startup:
        """Wait until it is up again; raises CommissioningError or RestartTimeout."""

    def pending_restart(self) -> tuple[str, ...]:
        """Return what waits for a restart, in the gateway's words."""


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """How to get to a gateway.

    ``token`` (``NAME:KEY``) goes to its origin only, and never over plain http but to this
    machine. ``ca`` is a PEM file that replaces the well-known authorities, ``pin`` the SHA-256
    fingerprint of the gateway's TLS certificate. ``proxies`` map ``http`` and ``https`` to URLs.
    ``manifest`` is the ``modules.json`` of a folder, None for gateways before 8.3.
    """

    token: str = field(default="", repr=False)
    ca: Path | None = None
    pin: str | None = None
    allow_insecure_http: bool = False
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    manifest: Path | None = None


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How to talk to a target: its waits, its retries, and who is told."""

    timing: Timing
    retry: RetryPolicy
    reporter: Reporter


Opener = Callable[[str, GatewayAccess, TargetOptions], Target]


def _open_api(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    from ign_deploy.deployment.gateway.opening import open_api_gateway

    return open_api_gateway(
        url,
        access=access,
        timing=options.timing,
        retry=options.retry,
        reporter=options.reporter,
    )


def _open_developer(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    from ign_deploy.deployment.gateway.opening import open_developer_gateway

    return open_developer_gateway(
        url.partition("+")[2],
        access=access,
        timing=options.timing,
        retry=options.retry,
        reporter=options.reporter,
    )


def _open_folder(url: str, access: GatewayAccess, options: TargetOptions) -> Target:
    from ign_deploy.deployment.gateway.folder import FolderTarget

    del options
    return FolderTarget(_local_path(url), manifest=access.manifest)


TARGETS: Mapping[str, Opener] = {
    "https": _open_api,
    "http": _open_api,
    "developer+https": _open_developer,
    "developer+http": _open_developer,
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
) -> Target:
    """Return the target at ``url``; nothing is asked or changed yet.

    ``https://…`` and ``http://…`` are the API of 8.3, ``developer+http://…`` is the servlet of a
    developer's gateway before it, a path or ``file:`` URL a folder of modules. Raises
    ConfigurationError for what isn't safe to talk to; URLs and tokens aren't repeated.
    """
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else "file"
    opener = TARGETS.get(scheme)
    if opener is None:
        raise ConfigurationError(
            f"no gateway of the kind {scheme}: is known; there are {', '.join(TARGETS)}",
            hint="give the gateway's address, such as https://gateway.example:8043.",
        )
    options = TargetOptions(
        timing or Timing(), retry or RetryPolicy(), reporter or SilentReporter()
    )
    return opener(url, access or GatewayAccess(), options)


def _local_path(url: str) -> Path:
    text = url
    if _SCHEME.match(url):
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigurationError(
                "the file: URL of the modules' folder can't be read",
                hint="write file:///absolute/path.",
            ) from None
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise ConfigurationError(
                "the file: URL of the modules' folder names a host, a query or a fragment",
                hint="write file:///absolute/path, with ? and # as %3F and %23.",
            )
        text = unquote(parts.path)
    if not text.strip() or not text.isprintable():
        raise ConfigurationError(
            f"the folder of modules is {text[:100]!a}, expected a path",
            hint="give the path of a folder such as user-lib/modules.",
        )
    return Path(text)
