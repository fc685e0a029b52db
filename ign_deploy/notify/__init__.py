"""Notifications: people and services learn what happened; a failure there is only a warning.

The channels are created by ``webhook.webhook``, ``mail.mail``, ``github.github_statuses`` and
``gitlab.gitlab_statuses``; ``notify_all`` sends a notice through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from ign_deploy.net.retry import BEST_EFFORT_SECONDS, best_effort
from ign_deploy.notify.notice import Notice, Redact
from ign_deploy.report import Reporter


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


def notify_all(
    channels: Sequence[Channel],
    notice: Notice,
    *,
    reporter: Reporter,
    redact: Redact,
    deadline: float = BEST_EFFORT_SECONDS,
) -> int:
    """Send the notice through every channel; return how many accepted it. Never raises an error.

    Each failure is one warning that names the host and says what to do. ``redact`` replaces secrets
    in all texts. A channel that isn't done at the ``deadline`` (seconds) is abandoned.
    """
    for channel in channels:
        for secret in channel.secrets:
            reporter.mask(secret)
    clean = notice.cleaned(redact)
    problems = best_effort([partial(each.send, clean) for each in channels], deadline=deadline)
    for channel, problem in zip(channels, problems, strict=True):
        if problem:
            reporter.warning(f"could not notify {channel.name}: {redact(problem)}")
    return problems.count("")
