"""A gateway's URL: what is refused before anything is sent to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_private, origin


def parse_gateway_url(text: str, *, allow_insecure_http: bool = False) -> str:
    """Return the gateway's base URL, without a slash at its end.

    A path is kept, for gateways behind a proxy. Raises ConfigurationError, never repeating the
    URL, for credentials in it, a query, or plain http to another machine that nobody allowed.
    """
    if not text.isprintable() or " " in text:
        raise ConfigurationError(
            "the gateway's URL has a space or a control character", hint="mend the URL."
        )
    scheme, host, port = origin(text)
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of the gateway at {host} has credentials in it, where logs show them",
            hint="take them out; set the API token as IGN_DEPLOY_GATEWAY_TOKEN.",
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"the URL of the gateway at {host} has a query or a fragment",
            hint="give its address only, such as https://gateway.example:8043.",
        )
    if not allow_insecure_http and not is_private(text):
        raise ConfigurationError(
            f"http://{host} would send the module in plain, and anyone on the way can change it",
            hint="use https://, or add --insecure-http if the network is trusted.",
        )
    shown = f"[{host}]" if ":" in host else host
    usual = 443 if scheme == "https" else 80
    location = shown if port == usual else f"{shown}:{port}"
    return f"{scheme}://{location}{parts.path.rstrip('/')}"
