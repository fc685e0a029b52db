"""The input and the result of rendering."""

from __future__ import annotations

import re
from dataclasses import dataclass

EVERYTHING = "yes"  # accepts all requested modules, whatever their certificate or licence

_LINE = re.compile(r":v?(\d+)\.(\d+)(?![\d])")


@dataclass(frozen=True)
class RenderedModule:
    """One published version of a module.

    Digests and fingerprints are lower-case hex, ``size`` is in bytes, ``licence_crc`` is None
    without a licence. ``url`` is the file's location, for readers; the containers download it
    from the repository.
    """

    id: str
    version: str
    file_name: str
    sha256: str
    size: int
    certificate_sha1: str
    certificate_sha256: str
    licence_crc: int | None = None
    url: str = ""


@dataclass(frozen=True)
class Secret:
    """A secret outside the file: environment variables, each with its key in a cluster's secret.

    Compose takes the variables' values from its own environment and needs no ``name``.
    """

    name: str = ""
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RenderOptions:
    """How the gateway should run.

    ``image`` and ``ign_deploy_image`` are image references, preferably with a digest.
    ``repository_url`` is a URL or a folder; in a cluster, a folder must be the root of the
    persistent volume claim ``repository_claim``. ``accept_certificates`` are SHA-1 or SHA-256
    fingerprints, ``accept_licenses`` decimal CRCs; either can contain ``EVERYTHING``.
    ``storage_size`` is a Kubernetes quantity; empty means that the gateway's data is lost with its
    pod. ``http_port`` is the published port. ``admin_secret`` contains the first administrator's
    password as ``gateway-admin-password``.
    """

    image: str
    ign_deploy_image: str
    repository_url: str
    name: str = "ignition"
    namespace: str = ""
    repository_claim: str = ""
    credentials: Secret = Secret()
    admin_secret: str = ""
    accept_certificates: tuple[str, ...] = ()
    accept_licenses: tuple[str, ...] = ()
    accept_ignition_eula: bool = False
    storage_size: str = "3Gi"
    http_port: int = 8088

    @property
    def ignition_line(self) -> tuple[int, int] | None:
        """Major and minor version from the image's tag; None if it doesn't say."""
        found = _LINE.search(self.image.partition("@")[0])
        return (int(found[1]), int(found[2])) if found else None

    @property
    def accepts_by_variable(self) -> bool:
        """Whether the gateway supports ACCEPT_MODULE_…, which is new in 8.3."""
        return self.ignition_line is None or self.ignition_line >= (8, 3)

    @property
    def repository_folder(self) -> str:
        """The folder, if the repository is one."""
        if self.repository_url.startswith("file:"):
            return self.repository_url.removeprefix("file:").removeprefix("//") or "/"
        return "" if "://" in self.repository_url else self.repository_url


@dataclass(frozen=True)
class Rendered:
    """A file's text, and notes for its reader, which are also comments in the text."""

    text: str
    notes: tuple[str, ...]
