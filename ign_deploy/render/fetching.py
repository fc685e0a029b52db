"""The command of an init container: fetch one module, exactly that, verified."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from ign_deploy.render.model import RenderedModule, RenderOptions

PROGRAM = "ign-deploy"
FOLDER = "/modules"  # where the shared volume is in the init containers
REPOSITORY = "/repository"  # where a repository that is a folder is in them
# The vendor's image loads modules from here; its own lie there, too, so a volume in the folder's
# place would hide them: each module is put there as a single file.
GATEWAY_MODULES = "/usr/local/bin/ignition/user-lib/modules"
GATEWAY_DATA = "/usr/local/bin/ignition/data"
GATEWAY_PORT = 8088
# The gateway's user in the vendor's image.
GATEWAY_UID = 2003


def fetch_arguments(module: RenderedModule, options: RenderOptions) -> list[str]:
    """Return the arguments of ign-deploy; exit code 0 only when the file is in its folder."""
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
        REPOSITORY if options.repository_folder else options.repository_url,
    ]


def step_name(number: int, module: RenderedModule) -> str:
    """Return a name for the container that fetches a module, one that Compose and DNS allow."""
    slug = re.sub(r"[^a-z0-9]+", "-", module.id.lower())
    return f"fetch-{number}-{slug}"[:63].rstrip("-")


def volume_path(module: RenderedModule) -> str:
    """Return where the file is, seen from the root of the shared volume.

    A folder for each module: two may have the same file name.
    """
    return f"{module.id}/{module.file_name}"


def gateway_path(module: RenderedModule) -> str:
    """Return the file the gateway loads: without version, as data/modules.json keeps its name."""
    return f"{GATEWAY_MODULES}/{module.id}.modl"


def module_lines(modules: tuple[RenderedModule, ...]) -> list[str]:
    """Say which modules these are, a line each."""
    return [
        f"{each.id} {each.version}  sha256:{each.sha256}  {each.size} bytes"
        + (f"  {_without_secrets(each.url)}" if each.url else "")
        for each in modules
    ]


def _without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment: signed URLs have their secret there."""
    try:
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    except ValueError:
        return ""
