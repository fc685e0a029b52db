"""Opening gateways: the session with its TLS and token, and the target on it."""

from __future__ import annotations

from ign_deploy.deployment.gateway import GatewayAccess
from ign_deploy.deployment.gateway.address import parse_gateway_url
from ign_deploy.deployment.gateway.client import GatewayClient
from ign_deploy.deployment.gateway.developer import DeveloperGateway
from ign_deploy.deployment.gateway.model import Timing
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import open_session
from ign_deploy.report import Reporter, SilentReporter

TOKEN_HEADER = "X-Ignition-API-Token"  # noqa: S105 - the name of a header


def open_api_gateway(
    url: str,
    *,
    access: GatewayAccess | None = None,
    timing: Timing | None = None,
    retry: RetryPolicy | None = None,
    reporter: Reporter | None = None,
) -> ApiGateway:
    """Return the gateway at ``url`` by its HTTP API; nothing is requested yet.

    Raises ConfigurationError for a URL, token or TLS setting that can't be used safely.
    """
    reporter = reporter or SilentReporter()
    chosen = access or GatewayAccess()
    client = _client(url, chosen, retry, reporter, token=chosen.token)
    return ApiGateway(client, timing=timing or Timing())


def open_developer_gateway(
    url: str,
    *,
    access: GatewayAccess | None = None,
    timing: Timing | None = None,
    retry: RetryPolicy | None = None,
    reporter: Reporter | None = None,
) -> DeveloperGateway:
    """Return the developer gateway at ``url``; it needs no token, so none is sent."""
    reporter = reporter or SilentReporter()
    client = _client(url, access or GatewayAccess(), retry, reporter, token="")
    return DeveloperGateway(client, timing=timing or Timing())


def _client(
    url: str, access: GatewayAccess, retry: RetryPolicy | None, reporter: Reporter, *, token: str
) -> GatewayClient:
    base = parse_gateway_url(url, allow_insecure_http=access.allow_insecure_http)
    if access.pin is not None and not base.startswith("https://"):
        raise ConfigurationError(
            "a TLS fingerprint was given for a gateway without TLS",
            hint="use https://, or remove the fingerprint.",
        )
    auth = None
    if token:
        _require_token(token)
        reporter.mask(token)
        auth = HostAuth(token, url=base, name=TOKEN_HEADER)
    session = open_session(ca=access.ca, pin=access.pin, proxies=access.proxies, auth=auth)
    return GatewayClient(
        session, base=base, reporter=reporter, retry=retry or RetryPolicy(), token=token
    )


def _require_token(token: str) -> None:
    name, colon, key = token.partition(":")
    if not (name and colon and key) or not token.isascii() or " " in token:
        raise ConfigurationError(
            "the gateway API token is not in the form NAME:KEY",
            hint="copy the whole token, as the gateway showed it when it was created.",
        )
