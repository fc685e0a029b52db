"""Which repository of a registry a URL means, and what the registry's error responses mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.module.findings import legible
from ign_deploy.net.credentials import is_this_machine
from ign_deploy.net.response import Response
from ign_deploy.repositories.access import StoreUrl, split_store_url

_IMMUTABLE = "immutable-tags"
_TLS = "tls"
_NAME = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_MAX_NAME = 255
# Docker Hub's registry isn't at the address that its images are named by.
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
SET_CREDENTIALS = (
    "set REPOSITORY_USERNAME and REPOSITORY_PASSWORD, or REPOSITORY_API_TOKEN, for this registry."
)
_WRONG = (
    "check the user name, password or token: it is wrong or expired, or lacks the permission to "
    "pull and push in this repository."
)
_FORBIDDEN = (
    "let these credentials pull and push in this repository (GitHub: the token's permission "
    "packages: write; Harbor: the role Developer; GitLab: the scopes read_registry and "
    "write_registry)."
)
_IMMUTABLE_HINT = (
    "make only tags that don't begin with '_' immutable: the others are indexes, status events and "
    "claims; release a removed version's tag by hand."
)
_HINTS = {
    404: "check the registry and the repository's name in the URL; create the repository first if "
    "the registry doesn't do so at the first push, and let the credentials see it.",
    413: "raise the size limit of the registry and of any proxy in front of it, or make the module "
    "smaller.",
    507: "free storage in the registry, or raise its quota.",
}


@dataclass(frozen=True, slots=True)
class OciLocation:
    """One repository of a registry: reached by https, on this machine by http unless TLS is set.

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


def find_oci_location(url: str) -> OciLocation:
    """Return the location that a repository URL names; raises ConfigurationError."""
    parts = split_store_url(url, options=frozenset({_IMMUTABLE, _TLS}))
    host = parts.host.lower()
    if _NAME.fullmatch(parts.path) is None or len(parts.path) > _MAX_NAME:
        raise ConfigurationError(
            f"{parts.path[:100]!a} is not a valid repository name in a registry",
            hint="write oci://registry/name with lower-case letters, digits, and . _ - / between "
            "them, such as oci://ghcr.io/acme/ignition-modules.",
        )
    bare = urlsplit(f"//{host}").hostname or ""
    # As with docker, crane and oras: registries on this machine rarely have a certificate.
    is_local = is_this_machine(bare)
    has_tls = _is_true(parts, _TLS, default=not is_local)
    if not has_tls and not is_local:
        raise ConfigurationError(
            f"the repository URL turns TLS off for {bare}, which is another machine",
            hint=f"omit ?{_TLS}=false.",
        )
    scheme = "https" if has_tls else "http"
    return OciLocation(
        host=host,
        name=parts.path,
        api=f"{scheme}://{_DOCKER_HUB.get(host, host)}",
        immutable=_is_true(parts, _IMMUTABLE, default=False),
    )


def _is_true(parts: StoreUrl, option: str, *, default: bool) -> bool:
    text = parts.options.get(option, str(default)).lower()
    if text not in {"true", "false"}:
        raise ConfigurationError(
            f"the repository URL's {option} is {text[:40]!a}, expected true or false",
            hint=f"write ?{option}=true, or omit it.",
        )
    return text == "true"


def oci_error(response: Response, *, location: OciLocation, known: bool) -> RepositoryError:
    """Return the error for a response that isn't a success.

    ``known`` says whether we have credentials for the registry.
    """
    reason = oci_reason(response)
    return RepositoryError(
        f"{response.title} failed: {location.host} returned {response.status}"
        f"{f' ({reason})' if reason else ''} for the repository {location.name}",
        hint=_hint(response.status, reason.lower(), known=known),
    )


def error_codes(response: Response) -> list[str]:
    """Return the codes that an error response lists (OCI distribution specification)."""
    return [code for each in _errors(response) if isinstance(code := each.get("code"), str)]


def oci_reason(response: Response) -> str:
    """Return the registry's own words, harmless and short; empty if there are none."""
    texts = [
        text
        for each in _errors(response)
        for name in ("code", "message")
        if isinstance(text := each.get(name), str) and text
    ]
    return legible(": ".join(texts[:2])[:200])


def _errors(response: Response) -> list[dict[str, Any]]:
    listed = response.fields().get("errors")
    if not isinstance(listed, list):
        return []
    return [each for each in listed[:10] if isinstance(each, dict)]


def _hint(status: int, reason: str, *, known: bool) -> str:
    if "immutab" in reason:
        return _IMMUTABLE_HINT
    if "quota" in reason or "storage" in reason:
        return _HINTS[507]
    if status == 401:
        return _WRONG if known else SET_CREDENTIALS
    if status == 403:
        return _FORBIDDEN if known else SET_CREDENTIALS
    return _HINTS.get(status, "check the registry's log.")
