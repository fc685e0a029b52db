"""GitLab's generic packages, simulated, for the contract of all stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract.opened import Opened
from tests.support.gitlab_packages import gitlab_world


@contextmanager
def gitlab_store(folder: Path, **options: Any) -> Iterator[Opened]:
    """Run a GitLab with one empty project; ``options`` as for ``gitlab_world``."""
    with gitlab_world(**options) as world:
        yield Opened(world.url, server=f"{world.server.url}", token=world.token)
