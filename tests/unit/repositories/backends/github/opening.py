"""Opening the simulated repository as different people do."""

from __future__ import annotations

import io
from collections.abc import Mapping

from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.github import open_github
from ign_deploy.repositories.store import Store
from tests.support.github.server import WRITER, GitHub
from tests.support.reporting import Recorder

QUICK = WaitPolicy(grace=0.2, poll=0.02)


def opened(
    simulator: GitHub,
    *,
    token: str = WRITER,
    env: Mapping[str, str] | None = None,
    reporter: Recorder | None = None,
) -> Repository:
    """Open the repository again, as another run would."""
    access = Access(token=token, env=env or {}, wait_policy=QUICK)
    return open_repository(simulator.repository_url, access=access, reporter=reporter)


def store_of(simulator: GitHub, *, token: str = WRITER) -> Store:
    """Return the store below the repository."""
    return open_github(simulator.repository_url, Access(token=token))


def content_of(repository: Repository, module_id: str, version: str) -> bytes:
    """Download a module."""
    stream = io.BytesIO()
    repository.fetch(module_id, version=version, to=stream)
    return stream.getvalue()
