"""Empty stores on web servers, for the contract: real WebDAV servers and simulated products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.contract.opened import Opened
from tests.support.artifactory import Artifactory
from tests.support.nexus import Nexus
from tests.support.servers import Credentials, apache, lighttpd, nginx, rclone, sabre, wsgidav
from tests.support.servers.processes import WebServer
from tests.support.serving import serving

USER = Credentials("publisher", "a pässword: with a colon")
TOKEN = "a-token-of-the-test"


class Start(Protocol):
    """How servers are run."""

    def __call__(
        self, folder: Path, *, credentials: Credentials
    ) -> AbstractContextManager[WebServer]: ...


@contextmanager
def nginx_store(folder: Path) -> Iterator[Opened]:
    """Run nginx, which requires a token; the repository's folder isn't made yet."""
    with nginx(folder, token=TOKEN) as server:
        yield Opened(
            f"{server.url}/modules of all", server=server.url, version=server.version, token=TOKEN
        )


def webdav_store(start: Start) -> Callable[[Path], AbstractContextManager[Opened]]:
    """Return how to run a server that requires a password; the repository's folder isn't made."""

    @contextmanager
    def open_store(folder: Path) -> Iterator[Opened]:
        with start(folder, credentials=USER) as server:
            yield Opened(
                f"{server.url}/modules+all",
                server=server.url,
                version=server.version,
                username=USER.username,
                password=USER.password,
            )

    return open_store


apache_store = webdav_store(apache)
lighttpd_store = webdav_store(lighttpd)
rclone_store = webdav_store(rclone)
sabre_store = webdav_store(sabre)
wsgidav_store = webdav_store(wsgidav)


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
