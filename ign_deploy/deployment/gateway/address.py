"""A gateway's URL, checked before anything is sent to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_private, origin


def parse_gateway_url(text: str, *, allow_insecure_http: bool = False) -> str:
    """Return the gateway's base URL, without a trailing slash.

    A path is kept, for gateways behind a proxy. Raises ConfigurationError, without repeating the
    URL, if it has credentials or a query, or is unencrypted http to another machine and that isn't
    allowed.
    """
    if not text.isprintable() or " " in text:
        raise ConfigurationError(
            "the gateway URL contains a space or a control character", hint="fix the URL."
        )
    scheme, host, port = origin(text)
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of the gateway at {host} contains credentials, which would show up in logs",
            hint="remove them, and set the API token as IGN_DEPLOY_GATEWAY_TOKEN.",
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"the URL of the gateway at {host} has a query or a fragment",
            hint="give only its address, such as https://gateway.example:8043.",
        )
    if not allow_insecure_http and not is_private(text):
        raise ConfigurationError(
            f"http://{host} would send the module unencrypted; anyone on the way could change it",
            hint="use https://, or add --insecure-http if you trust the network.",
        )
    shown = f"[{host}]" if ":" in host else host
    usual = 443 if scheme == "https" else 80
    location = shown if port == usual else f"{shown}:{port}"
    return f"{scheme}://{location}{parts.path.rstrip('/')}"
