"""Credentials: they go to their own origin only, and never readable over the network."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from ign_deploy.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}
_LOCAL_NAMES = frozenset({"localhost"})


class HostAuth(AuthBase):
    """Sends a header with credentials to one origin only.

    ``header`` is its whole value, such as ``Bearer …``; ``name`` is that of the header, where it
    isn't ``Authorization`` (``JOB-TOKEN``). The origin is scheme, host and port of ``url``. Raises
    ConfigurationError for plain http to any host but this machine.
    """

    def __init__(self, header: str, *, url: str, name: str = "Authorization") -> None:
        if not header.isprintable():
            raise ConfigurationError(
                "the token or password has a line break or a control character",
                hint="store the secret without a newline at its end.",
            )
        require_safe_for_credentials(url)
        self._name = name
        self._header = header
        self._origin = origin(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header, if the request goes to the origin."""
        if request.url is not None and origin(request.url) == self._origin:
            request.headers[self._name] = self._header
        return request

    def __repr__(self) -> str:
        return f"HostAuth({self._origin[1]})"


class NoAuth(AuthBase):
    """No credentials; its being there keeps requests from reading the machine's netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


def basic_auth(username: str, password: str, *, url: str) -> HostAuth:
    """Return HTTP basic authentication (RFC 7617, UTF-8) for the URL's origin."""
    from base64 import b64encode

    pair = f"{username}:{password}".encode()
    return HostAuth(f"Basic {b64encode(pair).decode()}", url=url)


def token_auth(token: str, *, url: str) -> HostAuth:
    """Return a bearer token (RFC 6750) for the URL's origin."""
    return HostAuth(f"Bearer {token}", url=url)


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL; raises ConfigurationError if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _PORTS:
        raise ConfigurationError(
            "a URL is neither http://host/… nor https://host/…", hint="mend the URL."
        )
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


def require_safe_for_credentials(url: str) -> None:
    """Raise ConfigurationError if credentials for this URL would be readable on the way."""
    if is_private(url):
        return
    _, host, _ = origin(url)
    raise ConfigurationError(
        f"credentials are set for http://{host}, where anyone on the way can read them",
        hint="use https://, or remove the credentials.",
    )


def is_private(url: str) -> bool:
    """Tell whether nobody on the way can read along: https, or a URL of this machine."""
    scheme, host, _ = origin(url)
    return scheme == "https" or is_this_machine(host)


def is_this_machine(host: str) -> bool:
    """Tell whether a host name or address means this machine: nobody else is on the way."""
    if host in _LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
