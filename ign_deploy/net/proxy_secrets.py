"""The passwords in proxies' URLs; apart from ``proxies``, as every command looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

_NAMES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def proxy_passwords(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passwords that the proxies' URLs hold, as written and decoded: to be masked."""
    found: list[str] = []
    for name in _NAMES:
        try:
            password = urlsplit(env.get(name, "").strip()).password
        except ValueError:
            continue
        if password:
            found += [password, unquote(password)]
    return tuple(dict.fromkeys(found))
