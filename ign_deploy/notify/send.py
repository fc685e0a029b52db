"""Send a notice through all channels in parallel; a failed notification is a warning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ign_deploy.net.retry import BEST_EFFORT_SECONDS, best_effort
from ign_deploy.notify import Channel
from ign_deploy.notify.notice import Notice, Redact
from ign_deploy.report import Reporter


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
