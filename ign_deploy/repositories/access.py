"""Access to a store: credentials, certificates, proxies, and where to report what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.repositories.renewal import running_clock

if TYPE_CHECKING:
    from ign_deploy.net.credentials import HostAuth
    from ign_deploy.net.session import HttpSession


@dataclass(frozen=True, slots=True)
class WaitPolicy:
    """How long to wait for other runs, in seconds.

    ``grace``: until a claim with our own bytes, or an unfinished one, counts as abandoned.
    ``poll``: between two checks.
    """

    grace: float = 15.0
    poll: float = 0.5
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = running_clock


@dataclass(frozen=True, slots=True)
class Access:
    """What a backend may use to reach its store; empty texts mean "not given".

    ``ca`` is a PEM file that replaces the public CAs; ``env`` may have the CI host's own token,
    proxies and cloud credentials; ``cache`` is the folder that keeps downloads by digest, None for
    none; ``wait_policy`` says how long to wait for other runs; ``reporter`` gets what happens.
    Its ``repr`` has no secret.
    """

    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache: Path | None = None
    wait_policy: WaitPolicy = field(default_factory=WaitPolicy)
    reporter: Reporter = field(default_factory=SilentReporter, repr=False)

    def open_session(self, auth: HostAuth | None) -> HttpSession:
        """Return a session with these certificates and proxies."""
        from functools import partial

        from ign_deploy.net.proxies import proxies_from
        from ign_deploy.net.session import open_http_session

        return open_http_session(ca=self.ca, proxies=partial(proxies_from, self.env), auth=auth)


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A repository URL in its parts. ``host`` has the port, where one is given."""

    scheme: str
    host: str
    path: str
    options: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The URL as it may be shown: it never holds credentials."""
        return f"{self.scheme}://{self.host}/{self.path}".rstrip("/")


def split_store_url(url: str, *, options: frozenset[str] = frozenset()) -> StoreUrl:
    """Split ``scheme://host[:port]/path?option=value``; ``options`` are those the backend knows.

    Raises ConfigurationError for credentials in the URL, an unknown option, or a malformed URL;
    the message never repeats the URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _malformed() from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "the repository URL holds credentials, which end up in logs and records",
            hint="remove them; set REPOSITORY_API_TOKEN, or REPOSITORY_USERNAME and "
            "REPOSITORY_PASSWORD.",
        )
    if not host or parts.fragment or not url.isprintable():
        raise _malformed()
    shown_host = f"[{host}]" if ":" in host else host
    return StoreUrl(
        scheme=parts.scheme.lower(),
        host=shown_host if port is None else f"{shown_host}:{port}",
        path=parts.path.strip("/"),
        options=_options(parts, options),
    )


def _options(parts: SplitResult, known: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in pairs:
        if name not in known:
            raise ConfigurationError(
                f"the repository URL has the unknown option {name[:40]!a}",
                hint=f"use only these: {', '.join(sorted(known)) or 'none'}.",
            )
    return dict(pairs)


def _malformed() -> ConfigurationError:
    return ConfigurationError(
        "the repository URL is not valid",
        hint="write it like https://host/path, s3://bucket/prefix or oci://registry/name.",
    )
