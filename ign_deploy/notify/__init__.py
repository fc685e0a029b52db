"""Notifications for people and services; a failure here is only a warning.

Channels are created by ``webhook.webhook``, ``smtp.mail``, ``github.github_statuses`` and
``gitlab.gitlab_statuses``; ``send.notify_all`` uses them.
"""

from __future__ import annotations

from typing import Protocol

from ign_deploy.notify.notice import Notice


class Channel(Protocol):
    """One channel for notifications."""

    @property
    def name(self) -> str:
        """Its name in messages: names the host, never a full URL."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values to mask in all output."""

    def send(self, notice: Notice) -> None:
        """Send it; raises an IgnDeployError that names the host and says what to do."""
