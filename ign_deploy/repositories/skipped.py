"""What can't be read in a repository is skipped with a warning; a copy must not overlook that."""

from __future__ import annotations

from collections.abc import Collection

from ign_deploy.errors import RepositoryError
from ign_deploy.report import Reporter, SilentReporter

_SKIPPED = " is skipped: "


def warn_skipped(what: str, why: str, reporter: Reporter) -> None:
    """Warn that a module or something of it is skipped; ``what`` has the module's id."""
    reporter.warning(f"{what}{_SKIPPED}{why}")


class SourceReporter(SilentReporter):
    """Passes on what reading a source reports, each warning once, and remembers what is skipped."""

    def __init__(self, target: Reporter) -> None:
        self._target = target
        self._warnings: dict[str, None] = {}

    def info(self, message: str) -> None:
        """Pass it on."""
        self._target.info(message)

    def warning(self, message: str) -> None:
        """Pass it on if it is new."""
        if message not in self._warnings:
            self._warnings[message] = None
            self._target.warning(message)

    def require_complete(self, location: str, ids: Collection[str] | None = None) -> None:
        """Raise RepositoryError if something was skipped of these modules, by default of any."""
        parted = [each.partition(_SKIPPED) for each in self._warnings]
        skipped = [what.split() for what, mark, _ in parted if mark]
        count = sum(ids is None or not set(ids).isdisjoint(words) for words in skipped)
        if count:
            raise RepositoryError(
                f"the copy of {location} is incomplete: {count} of its modules, versions or "
                "status events could not be read",
                hint="repair what the warnings name, then run the same command again.",
            )
