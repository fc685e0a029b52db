"""Addresses that something private is sent to: checked, and named in messages by host only."""

from __future__ import annotations

from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine, origin


def require_web_address(url: str, *, what: str, is_private: bool = True) -> str:
    """Return the host of ``url``, to which something is to be sent.

    ``what`` names it in messages, which never hold the URL: it may be a secret itself. Raises
    ConfigurationError for what is no URL, for credentials in it, and, where what is sent
    ``is_private``, for plain http to another machine.
    """
    if not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"the URL of {what} holds a space or a control character",
            hint="store it in one line, without spaces.",
        )
    try:
        scheme, host, _ = origin(url)
    except ConfigurationError:
        raise ConfigurationError(
            f"{what} has no URL such as https://host/…", hint="mend the URL."
        ) from None
    if is_private and scheme == "http" and not is_this_machine(host):
        raise ConfigurationError(
            f"the URL of {what} is http://{host}, where anyone on the way can read what is sent",
            hint="use https://.",
        )
    if "@" in urlsplit(url).netloc:
        raise ConfigurationError(
            f"the URL of {what} has a user or password in it", hint="leave them out of the URL."
        )
    return host
