"""The command of an init container, which downloads and verifies exactly one module."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ign_deploy.render.model import RenderedModule, RenderOptions

PROGRAM = "ign-deploy"
FOLDER = "/modules"  # the shared volume in the init containers
REPOSITORY_MOUNT = "/repository"  # a repository folder in the init containers
# The vendor's image loads modules from this folder. It also contains Ignition's own modules, which
# a volume would hide, so each module is mounted as a single file.
GATEWAY_MODULES = "/usr/local/bin/ignition/user-lib/modules"
GATEWAY_DATA = "/usr/local/bin/ignition/data"
GATEWAY_PORT = 8088
# The gateway's user in the vendor's image.
GATEWAY_UID = 2003


def fetch_arguments(module: RenderedModule, options: RenderOptions) -> list[str]:
    """Return the arguments for ign-deploy, which succeeds only if the file is in its folder."""
    return [
        "download",
        module.id,
        "--version",
        module.version,
        "--sha256",
        module.sha256,
        "--output-dir",
        f"{FOLDER}/{module.id}",
        "--repository-url",
        REPOSITORY_MOUNT if options.repository_folder else options.repository_url,
    ]


def step_name(number: int, module: RenderedModule) -> str:
    """Return the name of the container that downloads a module, valid for Compose and DNS."""
    slug = re.sub(r"[^a-z0-9]+", "-", module.id.lower())
    return f"fetch-{number}-{slug}"[:63].rstrip("-")


def volume_path(module: RenderedModule) -> str:
    """Return the path of the file in the shared volume.

    Each module has its own folder, because two could share a file name.
    """
    return f"{module.id}/{module.file_name}"


def gateway_path(module: RenderedModule) -> str:
    """Return the file that the gateway loads: without version, as data/modules.json stores it."""
    return f"{GATEWAY_MODULES}/{module.id}.modl"


def module_lines(modules: tuple[RenderedModule, ...]) -> list[str]:
    """Describe the modules, one per line."""
    return [
        f"{each.id} {each.version}  sha256:{each.sha256}  {each.size} bytes"
        + (f"  {_without_secrets(each.url)}" if each.url else "")
        for each in modules
    ]


def _without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment, where signed URLs have their secret."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    except ValueError:
        return ""
