"""Which proxy a URL is requested through: the usual variables, read from a given mapping only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine, origin

Proxies = Mapping[str, str] | Callable[[str], Mapping[str, str]]
"""Proxies by scheme, or a function that returns them for a URL."""

# No HTTP_PROXY, on purpose and as in curl: in a CGI process a client's ``Proxy`` header sets it.
_NAMES = {
    "http": ("http_proxy", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}
# Its password is masked all the same.
_ALL_NAMES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_SCHEMES = frozenset({"http", "https"})


def proxies_from(env: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the proxy for a URL in the form of requests (by scheme); empty when there is none.

    The first of these that isn't empty applies: for https ``https_proxy``, ``HTTPS_PROXY``, for
    http ``http_proxy`` only (not ``HTTP_PROXY``), then ``all_proxy``, ``ALL_PROXY``. ``no_proxy``
    or ``NO_PROXY`` lists names (with all below them), addresses, networks (``10.0.0.0/8``), each
    with a port if needed, or ``*``; this machine is never reached through a proxy. A proxy's URL
    may hold a password: mask it. Raises ConfigurationError for a proxy with an invalid URL.
    """
    scheme, host, port = origin(url)
    if is_this_machine(host) or _is_exempt(host, port, _first(env, "no_proxy", "NO_PROXY")):
        return {}
    proxy = _first(env, *_NAMES[scheme])
    return {scheme: _usable(proxy)} if proxy else {}


def proxy_passwords(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passwords that the proxies' URLs hold, as written and decoded: to be masked."""
    found: list[str] = []
    for name in _ALL_NAMES:
        try:
            password = urlsplit(env.get(name, "").strip()).password
        except ValueError:
            continue
        if password:
            found += [password, unquote(password)]
    return tuple(dict.fromkeys(found))


def _first(env: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := env.get(name, "").strip())), "")


def _usable(proxy: str) -> str:
    full = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(full)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            "the proxy in the environment is not a valid http:// or https:// URL",
            hint="correct https_proxy, http_proxy or all_proxy.",
        )
    return full


def _is_exempt(host: str, port: int, listed: str) -> bool:
    return any(_matches(host, port, each) for each in listed.replace(",", " ").lower().split())


def _matches(host: str, port: int, pattern: str) -> bool:
    from ipaddress import ip_address, ip_network

    if pattern == "*":
        return True
    pattern, only = _split_port(pattern)
    if only is not None and only != port:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        name = pattern.removeprefix("*").strip(".")
        host = host.rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ip_network(pattern, strict=False)
    except ValueError:
        return False


def _split_port(pattern: str) -> tuple[str, int | None]:
    """Split ``name:port`` and ``[address]:port``; an IPv6 address has colons of its own."""
    if pattern.startswith("["):
        address, _, rest = pattern[1:].partition("]")
        return address, _port(rest.removeprefix(":"))
    name, colon, digits = pattern.rpartition(":")
    if colon and ":" not in name:
        return name, _port(digits)
    return pattern, None


def _port(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else None
