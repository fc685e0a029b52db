"""An empty GitLab project for the contract of all repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ign_deploy.repositories.access import Access, Patience
from tests.support.gitlab_packages import GitLab, Project, Switches, gitlab

PROJECT = "acme/plant-7/modules"
TOKEN = "glpat-0123456789abcdefghij"


@dataclass(frozen=True)
class Opened:
    """An empty store: what ``open_repository`` needs, in this process or another.

    ``server`` and ``project`` are the simulator's, for tests that look inside.
    """

    url: str
    token: str
    server: GitLab
    project: Project
    env: dict[str, str] = field(default_factory=dict)

    def access(self, **fields: Any) -> Access:
        """Return access for one run, as impatient as a test."""
        values: dict[str, Any] = {
            "token": self.token,
            "env": self.env,
            "patience": Patience(grace=0.2, poll=0.02),
        }
        return Access(**values | fields)

    def snapshot(self) -> dict[tuple[str, str, str], list[bytes]]:
        """Return everything that is in the store."""
        return self.server.files(self.project.path)


@contextmanager
def gitlab_store(folder: Path, *, role: int | None = None, **options: Any) -> Iterator[Opened]:
    """Run a GitLab with one empty project; ``options`` are the switches of the simulator.

    ``role`` is that of the token, Maintainer if it isn't given. Nothing is kept in the folder.
    """
    assert folder.is_dir()
    with gitlab(switches=Switches(**options)) as server:
        project = server.add_project(PROJECT)
        fields: dict[str, Any] = {} if role is None else {"roles": {PROJECT: role}}
        token = server.add_token(TOKEN, **fields)
        yield Opened(f"gitlab://{server.host}/{PROJECT}", token, server, project)
