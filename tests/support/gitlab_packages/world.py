"""A GitLab with one empty project, and how a run reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ign_deploy.repositories.access import Access, WaitPolicy
from tests.support.gitlab_packages.registry import Project, Switches
from tests.support.gitlab_packages.server import GitLab, gitlab

PROJECT = "acme/plant-7/modules"
TOKEN = "glpat-0123456789abcdefghij"


@dataclass(frozen=True)
class World:
    """An empty project: what ``open_repository`` needs, and the simulator to look into."""

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
            "wait_policy": WaitPolicy(grace=0.2, poll=0.02),
        }
        return Access(**values | fields)

    def snapshot(self) -> dict[tuple[str, str, str], list[bytes]]:
        """Return everything that is in the store."""
        return self.server.files(self.project.path)


@contextmanager
def gitlab_world(*, role: int | None = None, **options: Any) -> Iterator[World]:
    """Run a GitLab with one empty project; ``options`` are the switches of the simulator.

    ``role`` is that of the token, Maintainer if it isn't given.
    """
    with gitlab(switches=Switches(**options)) as server:
        project = server.add_project(PROJECT)
        fields: dict[str, Any] = {} if role is None else {"roles": {PROJECT: role}}
        token = server.add_token(TOKEN, **fields)
        yield World(f"gitlab://{server.host}/{PROJECT}", token, server, project)
