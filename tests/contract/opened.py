"""An empty store of some kind, as the contract suite uses it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ign_deploy.report import Reporter
from ign_deploy.repositories import Repository
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends import open_repository

QUICK = WaitPolicy(grace=0.5, poll=0.02)
"""For runs that meet others."""


def _hardly_sleep(seconds: float) -> None:
    time.sleep(min(seconds, 0.01))


EAGER = WaitPolicy(grace=0.02, poll=0.02, sleep=_hardly_sleep)
"""For runs without rivals: waiting is pointless."""


@dataclass(frozen=True)
class Opened:
    """How to reach the store, also from another process.

    ``server`` is the http URL that requests go to (empty for a folder), ``version`` the program's.
    """

    url: str
    server: str = ""
    version: str = ""
    token: str = ""
    username: str = ""
    password: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    def open(
        self, *, reporter: Reporter | None = None, wait_policy: WaitPolicy = QUICK
    ) -> Repository:
        """Open the repository again, as another run would."""
        access = Access(
            token=self.token,
            username=self.username,
            password=self.password,
            env=self.env,
            wait_policy=wait_policy,
        )
        return open_repository(self.url, access=access, reporter=reporter)

    def through(self, proxy: str) -> Opened:
        """Return the same store behind a proxy at the URL ``proxy``."""
        before, after = urlsplit(self.server).netloc, urlsplit(proxy).netloc
        env = {name: value.replace(before, after) for name, value in self.env.items()}
        return replace(self, url=self.url.replace(before, after), server=proxy, env=env)

    def order(self) -> dict[str, Any]:
        """Return it as JSON values, for a process that publishes."""
        return {**asdict(self), "env": dict(self.env)}
