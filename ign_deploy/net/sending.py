"""Uploads as backends make them that don't use ``net.client`` yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ign_deploy.errors import RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.upload import Source
from ign_deploy.report import Progress, Reporter

if TYPE_CHECKING:
    from ign_deploy.net.session import Session


__all__ = ["Sent", "Source", "send_bytes", "send_file"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A response, or the knowledge that the server has the bytes already (``settled``)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    settled: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the server has what was sent."""
        return self.settled or 200 <= self.status < 300


def send_file(
    session: Session,
    method: str,
    url: str,
    *,
    source: Source,
    title: str,
    reporter: Reporter,
    progress: Progress,
    headers: Mapping[str, str] = NO_HEADERS,
    policy: RetryPolicy | None = None,
    settle: Callable[[], bool] | None = None,
) -> Sent:
    """Send a file; see ``Client.upload``."""
    client = Client(session, reporter=reporter, retry=policy, error=RepositoryError)
    return _sent(
        client.upload(
            method, url, source=source, title=title, progress=progress, headers=headers,
            confirm=settle, expect=ANY_STATUS,
        )
    )  # fmt: skip


def send_bytes(
    session: Session,
    method: str,
    url: str,
    *,
    data: bytes,
    title: str,
    reporter: Reporter,
    headers: Mapping[str, str] = NO_HEADERS,
    policy: RetryPolicy | None = None,
    settle: Callable[[], bool] | None = None,
) -> Sent:
    """Send a small body, or none; see ``Client.request``."""
    client = Client(session, reporter=reporter, retry=policy, error=RepositoryError)
    return _sent(
        client.request(
            method, url, title=title, body=data, headers=headers, confirm=settle, expect=ANY_STATUS
        )
    )


def _sent(response: Response) -> Sent:
    return Sent(response.status, response.headers, response.body, response.confirmed)
