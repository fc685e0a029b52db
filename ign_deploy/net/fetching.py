"""Small responses as backends read them that don't use ``net.client`` yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ign_deploy.errors import RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS
from ign_deploy.net.response import Response as SmallAnswer
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from ign_deploy.net.session import Session

__all__ = ["SmallAnswer"]


def read_small(
    session: Session,
    url: str,
    *,
    limit: int,
    title: str,
    reporter: Reporter,
    headers: Mapping[str, str] = NO_HEADERS,
    policy: RetryPolicy | None = None,
    method: str = "GET",
    data: bytes = b"",
    cut: bool = False,
) -> SmallAnswer:
    """Read at most ``limit`` bytes with a safe method; see ``Client.request``."""
    client = Client(session, reporter=reporter, retry=policy, error=RepositoryError)
    return client.request(
        method, url, title=title, limit=limit, headers=headers, body=data, truncate=cut,
        expect=ANY_STATUS,
    )  # fmt: skip
