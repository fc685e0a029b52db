"""Notifications: people and services are told what happened, and a failure there is a warning.

Channels are made by ``webhook.webhook``, ``smtp.mail``, ``github.github_statuses`` and
``gitlab.gitlab_statuses``; ``sending.notify_all`` uses them.
"""

from __future__ import annotations

from typing import Protocol

from ign_deploy.notify.notice import Notice


class Channel(Protocol):
    """One way to tell somebody."""

    @property
    def name(self) -> str:
        """What messages call it; names the host, never a whole URL."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be masked in everything written."""

    def send(self, notice: Notice) -> None:
        """Tell it; raises an IgnDeployError that names the host and says what to do."""
