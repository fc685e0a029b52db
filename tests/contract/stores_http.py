"""Empty stores on web servers, for the contract: real WebDAV servers and simulated products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.opened import Opened
from tests.support.artifactory import Artifactory, artifactory
from tests.support.nexus import Nexus, nexus
from tests.support.servers import Credentials, apache, nginx

USER = Credentials("publisher", "a pässword: with a colon")
TOKEN = "a-token-of-the-test"


@contextmanager
def nginx_store(folder: Path) -> Iterator[Opened]:
    """Run nginx, which wants a token; the repository's folder isn't made yet."""
    with nginx(folder, token=TOKEN) as server:
        yield Opened(
            f"{server.url}/modules of all", server=server.url, version=server.version, token=TOKEN
        )


@contextmanager
def apache_store(folder: Path) -> Iterator[Opened]:
    """Run Apache, which wants a password; the repository's folder isn't made yet."""
    with apache(folder, credentials=USER) as server:
        yield Opened(
            f"{server.url}/modules+all",
            server=server.url,
            version=server.version,
            username=USER.username,
            password=USER.password,
        )


@contextmanager
def nexus_store(folder: Path) -> Iterator[Opened]:
    """Run a simulated Nexus that refuses redeploys."""
    product = Nexus()
    with nexus(product) as url:
        yield Opened(
            f"nexus+{url}/a folder",
            server=_server_of(url),
            version="simulated",
            username=product.username,
            password=product.password,
        )


@contextmanager
def artifactory_store(folder: Path) -> Iterator[Opened]:
    """Run a simulated Artifactory, whose account may not overwrite records and claims."""
    product = Artifactory()
    with artifactory(product) as url:
        yield Opened(
            f"artifactory+{url}/a folder",
            server=_server_of(url),
            version="simulated",
            token=product.token,
        )


def _server_of(url: str) -> str:
    return "/".join(url.split("/")[:3])
