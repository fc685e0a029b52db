"""An empty repository in the CNCF registry, for the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.contract.opened import Opened
from tests.support.servers import Credentials, registry

USER = Credentials("publisher", "a pässword: with a colon")


@contextmanager
def oci_store(folder: Path) -> Iterator[Opened]:
    """Run a registry that requires a password; the repository isn't there yet."""
    with registry(folder, credentials=USER) as server:
        yield Opened(
            f"oci://{urlsplit(server.url).netloc}/acme/ignition-modules",
            server=server.url,
            version=server.version,
            username=USER.username,
            password=USER.password,
        )
