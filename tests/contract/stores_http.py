"""Empty stores on web servers, for the contract: real WebDAV servers and simulated products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import Credentials, apache, nginx

USER = Credentials("publisher", "a pässword: with a colon")
TOKEN = "a-token-of-the-test"


@dataclass(frozen=True)
class Opened:
    """How to open the store, from any process; ``env`` is what the job's environment holds."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    username: str = ""
    password: str = ""


@contextmanager
def nginx_store(folder: Path) -> Iterator[Opened]:
    """Run nginx, which wants a token; the repository's folder isn't made yet."""
    with nginx(folder, token=TOKEN) as server:
        yield Opened(f"{server.url}/modules of all", token=TOKEN)


@contextmanager
def apache_store(folder: Path) -> Iterator[Opened]:
    """Run Apache, which wants a password; the repository's folder isn't made yet."""
    with apache(folder, credentials=USER) as server:
        yield Opened(f"{server.url}/modules+all", username=USER.username, password=USER.password)
