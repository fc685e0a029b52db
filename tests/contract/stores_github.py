"""A GitHub repository, simulated, for the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract.opened import Opened
from tests.support.github.server import WRITER, github_simulator


@contextmanager
def github_store(_: Path, **switches: Any) -> Iterator[Opened]:
    """Run a server with an empty repository; ``switches`` are the simulated repository's.

    Files come from the API itself, so that a proxy before it sees them too.
    """
    with github_simulator(**{"streams": True, **switches}) as simulator:
        yield Opened(simulator.repository_url, server=simulator.url, token=WRITER)
