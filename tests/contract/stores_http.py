"""Empty stores on web servers, for the contract: real WebDAV servers and simulated products."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.opened import Opened
from tests.support.artifactory import Artifactory
from tests.support.nexus import Nexus
from tests.support.servers import Credentials, apache, nginx
from tests.support.serving import serving

USER = Credentials("publisher", "a pässword: with a colon")
TOKEN = "a-token-of-the-test"


@contextmanager
def nginx_store(folder: Path) -> Iterator[Opened]:
    """Run nginx, which requires a token; the repository's folder isn't made yet."""
    with nginx(folder, token=TOKEN) as server:
        yield Opened(
            f"{server.url}/modules of all", server=server.url, version=server.version, token=TOKEN
        )


@contextmanager
def apache_store(folder: Path) -> Iterator[Opened]:
    """Run Apache, which requires a password; the repository's folder isn't made yet."""
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
    with serving(Nexus()) as product:
        yield Opened(
            f"nexus+{product.repository}/a folder",
            server=product.url,
            version="simulated",
            username=product.username,
            password=product.password,
        )


@contextmanager
def artifactory_store(folder: Path) -> Iterator[Opened]:
    """Run a simulated Artifactory, whose account may not overwrite records and claims."""
    with serving(Artifactory()) as product:
        yield Opened(
            f"artifactory+{product.repository}/a folder",
            server=product.url,
            version="simulated",
            token=product.token,
        )
