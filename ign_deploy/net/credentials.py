"""Credentials: they go to their own origin only, and never readable over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError

if TYPE_CHECKING:
    import requests

_PORTS = {"http": 80, "https": 443}
_LOCAL_NAMES = frozenset({"localhost"})


class HostAuth:
    """Sends a header with credentials to one origin only.

    ``header`` is its whole value, such as ``Bearer …``; ``name`` is that of the header, where it
    isn't ``Authorization`` (``JOB-TOKEN``). The origin is scheme, host and port of ``url``. Raises
    ConfigurationError for plain http to any host but this machine.
    """

    def __init__(self, header: str, *, url: str, name: str = "Authorization") -> None:
        require_safe_for_credentials(url)
        self._name = name
        self._header = printable_header(header)
        self._origin = origin(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header, if the request goes to the origin."""
        if request.url is not None and origin(request.url) == self._origin:
            request.headers[self._name] = self._header
        return request

    def __repr__(self) -> str:
        return f"HostAuth({self._origin[1]})"


class NoAuth:
    """No credentials."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


def basic_auth(username: str, password: str, *, url: str) -> HostAuth:
    """Return HTTP basic authentication (RFC 7617, UTF-8) for the URL's origin."""
    return HostAuth(basic_header(username, password), url=url)


def basic_header(username: str, password: str) -> str:
    """Return the value of ``Authorization`` for HTTP basic authentication."""
    from base64 import b64encode

    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


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
            "a URL does not have the form http://host/… or https://host/…",
            hint="correct the URL.",
        )
    return parts.scheme, host, _PORTS[parts.scheme] if port is None else port


def require_safe_for_credentials(url: str) -> None:
    """Raise ConfigurationError if credentials for this URL would be readable on the network."""
    if is_private(url):
        return
    _, host, _ = origin(url)
    raise ConfigurationError(
        f"credentials are set for http://{host}, which would send them unencrypted",
        hint="use https://, or remove the credentials.",
    )


def require_web_address(url: str, *, what: str, is_private: bool = True) -> str:
    """Return the host of ``url``, to which something is to be sent.

    ``what`` names it in messages, which never hold the URL: it may be a secret itself. Raises
    ConfigurationError for an invalid URL, for credentials in it, and, where what is sent
    ``is_private``, for plain http to another machine.
    """
    if not url.isprintable() or " " in url:
        raise ConfigurationError(
            f"the URL of {what} contains a space or a control character",
            hint="store it as one line, without spaces.",
        )
    try:
        scheme, host, _ = origin(url)
    except ConfigurationError:
        raise ConfigurationError(
            f"the URL of {what} does not have the form https://host/…", hint="correct the URL."
        ) from None
    if is_private and scheme == "http" and not is_this_machine(host):
        raise ConfigurationError(
            f"the URL of {what} is http://{host}, which would send everything unencrypted",
            hint="use https://.",
        )
    if "@" in urlsplit(url).netloc:
        raise ConfigurationError(
            f"the URL of {what} contains a user name or password",
            hint="remove it from the URL.",
        )
    return host


def is_private(url: str) -> bool:
    """Return whether no one else can read what is sent: https, or a URL of this machine."""
    scheme, host, _ = origin(url)
    return scheme == "https" or is_this_machine(host)


def is_this_machine(host: str) -> bool:
    """Return whether a host name or address is this machine's: nothing goes over a network."""
    from ipaddress import ip_address

    if host in _LOCAL_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def leads_inside(old: str, new: str) -> bool:
    """Return whether a server at ``old`` would send us to a host that only we can reach.

    Those are this machine, in any notation, and its link, where clouds have their metadata. A
    server elsewhere has no business there, except to have us ask what it can't.
    """
    return _is_inside(new) and not _is_inside(old)


def _is_inside(host: str) -> bool:
    import socket
    from ipaddress import IPv6Address, ip_address

    name = host.lower().rstrip(".")
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        try:
            # 127.1, 0x7f000001 and 2130706433 are addresses, too.
            address = ip_address(socket.inet_aton(name))
        except (OSError, UnicodeError):
            return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_unspecified


def printable_header(value: str) -> str:
    """Return the value; raises ConfigurationError, which doesn't show it, if it can't be sent."""
    if not value.isprintable():
        raise ConfigurationError(
            "the token or password contains a line break or a control character",
            hint="store the secret without a newline at its end.",
        )
    return value
