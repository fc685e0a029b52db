"""Guards of the indexes: what sees to it that runs that write them at once lose nothing.

See docs/decisions/0015: why an index is complete once the publishers have ended.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ign_deploy.repositories.store import LEDGER_KEY, Indexed, IndexSession, Key

_DONE = "done "
_HOLDS = timedelta(minutes=10)
_TIME = "%Y%m%dT%H%M%SZ"
_MARK = re.compile(r"([0-9]{8}T[0-9]{6}Z) [0-9a-f]{32}")


class _Undisturbed:
    """A session beside which no other run can lose anything; see ``store.IndexSession``."""

    is_exclusive = True

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:  # noqa: ARG002
        return ()

    def overlaps(self, key: str) -> bool:  # noqa: ARG002
        return False


class NoGuard:
    """For stores with compare-and-swap: a write that would lose another's is refused."""

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:  # noqa: ARG002
        """See ``IndexGuard.session``."""
        yield _Undisturbed()


@dataclass(frozen=True, slots=True)
class ListingGuard:
    """Compares what was written with a listing of all versions, made after the write.

    For stores that list everything in few requests: ``listing`` yields every version, and for each
    status event its module with an empty version. ``may_have_lost`` returns whether a write since
    the last question may have replaced another run's.
    """

    listing: Callable[[], Iterable[Key]]
    may_have_lost: Callable[[], bool]

    @property
    def is_exclusive(self) -> bool:
        """See ``IndexSession.is_exclusive``."""
        return False

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:  # noqa: ARG002
        """See ``IndexGuard.session``."""
        self.may_have_lost()
        yield self

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:
        """See ``IndexSession.others``."""
        if not self.may_have_lost():
            return ()
        listed: dict[str, list[str]] = {}
        for key in self.listing():
            listed.setdefault(key.id, []).append(key.version)
        return [
            module_id
            for module_id, versions in listed.items()
            if not _agrees(indexed.get(module_id), versions)
        ]

    def overlaps(self, key: str) -> bool:  # noqa: ARG002
        """See ``IndexSession.overlaps``."""
        return self.may_have_lost()


class Marks(Protocol):
    """Short texts by name: whoever begins to write what a name stands for replaces its text."""

    def read(self, name: str) -> str:
        """Return the text that was written last; empty if there is none."""

    def write(self, name: str, text: str) -> None:
        """Replace the text, whatever it is by now."""


@dataclass(frozen=True, slots=True)
class MarkGuard:
    """Lists, as ``ListingGuard`` does, only after another run has begun to write, or was killed.

    For stores whose listing grows: a run leaves its mark before it reads the indexes, looks after
    writing whether it is still there, and marks the end: unless it has seen the mark of another run
    that may write yet, or may have been killed before it looks. ``now`` is the store's own time.
    """

    listing: ListingGuard
    marks: Marks
    now: Callable[[], datetime]

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:
        """See ``IndexGuard.session``."""
        ids = {key.id for key in keys}
        ledger = [each for each in ids if each.startswith(LEDGER_KEY)]
        session = _MarkedSession(self, ids, ledger[0] if ledger else "indexes")
        session.begin()
        yield session
        session.end()


@dataclass
class _MarkedSession:
    """See ``store.IndexSession``; ``ids`` are the modules that this run writes."""

    guard: MarkGuard
    ids: Collection[str]
    name: str
    ours: str = ""
    others_until: datetime | None = None
    is_disturbed: bool = False
    is_exclusive: bool = False

    def begin(self) -> None:
        found = self.guard.marks.read(self.name)
        # Of a run that is still writing, or was killed.
        self.is_disturbed = bool(found) and not found.startswith(_DONE)
        self._note(found)
        self._leave_mark()

    def end(self) -> None:
        """Mark the end; others check more until those that this run has seen can't write."""
        if self.others_until is not None and self.guard.now() < self.others_until:
            self._leave_mark(until=self.others_until)
        else:
            self.guard.marks.write(self.name, f"{_DONE}{secrets.token_hex(16)}")

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:
        if not self._was_disturbed():
            return ()
        return {*self.guard.listing.others(indexed), *self.ids}

    def overlaps(self, key: str) -> bool:  # noqa: ARG002
        return self._was_disturbed()

    def _was_disturbed(self) -> bool:
        if not self.is_disturbed:
            found = self.guard.marks.read(self.name)
            if found == self.ours:
                return False
            self._note(found)
        self.is_disturbed = False
        # Before all is read again: a run that overwrites what is found then will see the mark.
        self._leave_mark()
        return True

    def _note(self, found: str) -> None:
        """Note until when the run that left this mark may write."""
        match = _MARK.fullmatch(found)
        if match is None:
            return
        with suppress(ValueError):
            until = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
            # One from the future isn't believed.
            until = min(until, self.guard.now() + _HOLDS)
            self.others_until = max(until, self.others_until or until)

    def _leave_mark(self, *, until: datetime | None = None) -> None:
        until = until or self.guard.now() + _HOLDS
        self.ours = f"{until.astimezone(UTC):{_TIME}} {secrets.token_hex(16)}"
        self.guard.marks.write(self.name, self.ours)


def _agrees(indexed: Indexed | None, listed: list[str]) -> bool:
    if indexed is None or indexed.latest not in listed:
        return False
    # Neither versions nor status events are ever deleted: as many are the same.
    events = listed.count("")
    return (indexed.versions, indexed.status_events) == (len(listed) - events, events)
