"""Where a registry and the repository in it are reached: https, and http on this machine only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine
from ign_deploy.repositories.access import StoreUrl, split_store_url

_IMMUTABLE = "immutable-tags"
_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_MAX_NAME = 255
# Docker Hub's registry isn't at the address that its images are named by.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Location:
    """One repository of a registry.

    ``api`` is the registry's URL without a slash at the end; ``host`` is as the user wrote it;
    ``immutable``: the user relies on tags that can't be moved.
    """

    host: str
    name: str
    api: str
    immutable: bool = False

    @property
    def shown(self) -> str:
        """The repository's URL, fit to be shown."""
        return f"oci://{self.host}/{self.name}"

    @property
    def root(self) -> str:
        """The URL that all requests about the repository begin with."""
        return f"{self.api}/v2/{self.name}"


def location_at(url: str) -> Location:
    """Return the location that a repository URL names; raises ConfigurationError."""
    parts = split_store_url(url, options=frozenset({_IMMUTABLE}))
    host = parts.host.lower()
    if _NAME.fullmatch(parts.path) is None or len(parts.path) > _MAX_NAME:
        raise ConfigurationError(
            f"{parts.path[:100]!a} is not a valid repository name in a registry",
            hint="write oci://registry/name with lower-case letters, digits, and . _ - / between "
            "them, such as oci://ghcr.io/acme/ignition-modules.",
        )
    bare = urlsplit(f"//{host}").hostname or ""
    scheme = "http" if is_this_machine(bare) else "https"
    return Location(
        host=host,
        name=parts.path,
        api=f"{scheme}://{_DOCKER_HUB.get(host, host)}",
        immutable=_is_immutable(parts),
    )


def _is_immutable(parts: StoreUrl) -> bool:
    text = parts.options.get(_IMMUTABLE, "false").lower()
    if text not in {"true", "false"}:
        raise ConfigurationError(
            f"the repository URL's {_IMMUTABLE} is {text[:40]!a}, expected true or false",
            hint=f"write ?{_IMMUTABLE}=true, or omit it.",
        )
    return text == "true"
