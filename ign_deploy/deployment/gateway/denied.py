"""Requests that a gateway denied (401, 403): what is missing, as far as it can be known.

No route says what a token may do. What helps is what the gateway says without one
(``/system/gwinfo``), and whether it accepted the same token for reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.errors import DeploymentError, NetworkError

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway.client import GatewayClient
    from ign_deploy.net.response import Response

GWINFO = "/system/gwinfo"
_TIMEOUT = (5.0, 10.0)
_FIRST_WITH_API = (8, 3)
_CREATE = "create a token under Platform > Security > API Keys of the gateway, and set it as {}."


@dataclass(frozen=True, slots=True)
class Platform:
    """What a gateway says of itself without a token; empty or False if it doesn't."""

    version: str = ""
    requires_tls: bool = False

    @property
    def has_api(self) -> bool:
        """Whether its version has the API, as far as it says one."""
        parts = self.version.split(".")[:2]
        if len(parts) != len(_FIRST_WITH_API) or not all(each.isdecimal() for each in parts):
            return True
        return (int(parts[0]), int(parts[1])) >= _FIRST_WITH_API


def read_platform(client: GatewayClient) -> Platform:
    """Read ``Key=value;…`` of a page that needs no token; anything else says nothing."""
    try:
        response = client.attempt(
            "GET",
            GWINFO,
            title="reading the version",
            anonymous=True,
            timeout=_TIMEOUT,
            deadline=client.deadline(sum(_TIMEOUT)),
        )
    except (NetworkError, DeploymentError):
        return Platform()
    if not response.ok:
        return Platform()
    text = response.body.decode("utf-8", errors="replace")
    pairs = (each.strip().partition("=") for each in text.split(";"))
    values = {key: value for key, equals, value in pairs if equals}
    version = values.get("Version", "")
    return Platform(
        version=version if version.isascii() and version.isprintable() else "",
        requires_tls=values.get("RequireSsl", "").lower() == "true",
    )


def unusable_error(client: GatewayClient, response: Response) -> DeploymentError:
    """Return why the first request to a gateway failed, with what it says without a token."""
    platform = read_platform(client)
    if not platform.has_api:
        return DeploymentError(
            f"{client.host} runs Ignition {platform.version[:40]}, and gateways before 8.3 have no "
            "API and no API tokens",
            hint="give its modules folder, or developer+http://… if it is a developer gateway.",
        )
    if response.status == 401 and platform.requires_tls and client.base.startswith("http://"):
        return GatewayRequestError(
            f"{response.title} failed: {client.host} requires https",
            hint="give its https:// address.",
            status=401,
        )
    return client.no_api(response) if response.status == 404 else client.error_for(response)


def unauthorized_error(
    response: Response, *, host: str, has_token: bool, is_accepted: bool, variable: str
) -> GatewayRequestError:
    """Return the error for a 401; ``is_accepted``: the token was good for reading before.

    ``variable`` is where the token is set.
    """
    if not has_token:
        return GatewayRequestError(
            f"{response.title} failed: {host} requires an API token, and none is set",
            hint=_CREATE.format(variable),
            status=401,
        )
    if is_accepted and response.method != "GET":
        return GatewayRequestError(
            f"{response.title} failed: the API token may read on {host}, but not change it (401)",
            hint="grant the token a security level that has the gateway's write permission.",
            status=401,
        )
    is_plain = response.url.startswith("http://")
    return GatewayRequestError(
        f"{response.title} failed: {host} doesn't accept the API token (401)",
        hint=f"check the token in {variable} (NAME:KEY), and that it is enabled on this gateway: "
        "one that was deleted, replaced or made on another gateway is unknown"
        + ("; use https://, since a token may demand a secure channel." if is_plain else "."),
        status=401,
    )


def forbidden_error(
    response: Response, *, host: str, reason: str, is_page: bool
) -> GatewayRequestError:
    """Return the error for a 403; ``is_page``: the body is a web page, as proxies send."""
    level = "read" if response.method == "GET" else "write"
    hint = f"grant the token a security level that has the gateway's {level} permission."
    if is_page:
        hint += " If it has, a proxy in front of the gateway refuses the request: check its rules."
    return GatewayRequestError(
        f"{response.title} failed: the API token lacks a security level on {host} (403): {reason}",
        hint=hint,
        status=403,
    )
