"""Marks of runs that are writing the indexes of a store without compare-and-swap.

Before its first read a run adds a mark below ``pending/``, and after its last write it looks at
them. Alone, it removes its own. Otherwise it looks once more at the modules of all marks, until
nothing is left to be written, and leaves its mark as *done*: another run that began earlier may
yet overwrite what it wrote, and has to look at it then. The last one out removes what is done.
A mark holds until a time; after that its run is taken for dead.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from ign_deploy.errors import IgnDeployError, RepositoryError
from ign_deploy.report import Reporter
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Change, Indexed, IndexSession, Key

PENDING = "pending"
_HOLDS = timedelta(minutes=10)
_TIME = "%Y%m%dT%H%M%SZ"
# <until>-<random>-<a: active, d: done>-<module>[~<hash of a claimed version>].json
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{8})-([ad])-([^~]*)((?:~[^~]*)*)\.json")


class Marks(Protocol):
    """Where marks are kept."""

    def now(self) -> datetime:
        """Return the store's own time."""

    def put_mark(self, name: str, data: bytes) -> None:
        """Write a small object below ``pending/``."""

    def mark_names(self) -> Iterable[str]:
        """Return the names of all objects directly below ``pending/``."""

    def remove_mark(self, name: str) -> None:
        """Delete such an object; one that is gone already is no error."""


class Mark(NamedTuple):
    """A mark, read from its name; ``rest`` says whose it is, see ``FolderClaims``."""

    until: datetime
    token: str
    is_done: bool
    module_id: str
    rest: str = ""

    @property
    def name(self) -> str:
        """The name of the mark's object."""
        state = "d" if self.is_done else "a"
        return f"{self.until:{_TIME}}-{self.token}-{state}-{self.module_id}{self.rest}.json"


def parse_mark(name: str) -> Mark | None:
    """Read a mark's name; None for what isn't one."""
    match = _NAME.fullmatch(name)
    if match is None or (match[4] and not is_safe_component(match[4])):
        return None
    try:
        until = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Mark(until, match[2], match[3] == "d", match[4], match[5])


def new_mark(module_id: str, *, now: datetime, holds: timedelta = _HOLDS, rest: str = "") -> Mark:
    """Return a mark of this run on a module."""
    until = (now + holds).astimezone(UTC).replace(microsecond=0)
    return Mark(until, secrets.token_hex(4), is_done=False, module_id=module_id, rest=rest)


@dataclass
class MarkGuard:
    """See ``IndexGuard``; ``own`` are marks that this run made earlier, by version."""

    marks: Marks
    reporter: Reporter
    is_needed: Callable[[], bool] = lambda: True
    own: dict[Key, Mark] = field(default_factory=dict)

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:
        """See ``IndexGuard.session``."""
        if not self.is_needed():
            yield _NoMarks()
            return
        session = _Session(self.marks, self._enter(keys), self.own)
        yield session
        try:
            session.leave()
        except IgnDeployError as problem:
            # Others look at these modules needlessly until it no longer holds.
            self.reporter.info(f"a mark below {PENDING}/ stays: {problem.message}")

    def _enter(self, keys: Collection[Key]) -> list[Mark]:
        now = self.marks.now()
        entered: list[Mark] = []
        fresh: dict[str, Mark] = {}
        for key in keys:
            mark = self.own.pop(key, None)
            if mark is not None:
                entered.append(mark)
            if (mark is None or mark.until - now < _HOLDS / 2) and key.id not in fresh:
                fresh[key.id] = new_mark(key.id, now=now)
        for mark in fresh.values():
            self.marks.put_mark(mark.name, b"{}\n")
        return [*entered, *fresh.values()]


class _NoMarks:
    def others(self, indexed: Mapping[str, Indexed]) -> Collection[Change]:  # noqa: ARG002
        return ()


@dataclass
class _Session:
    """See ``store.IndexSession``; ``siblings`` are marks of this run's other publications."""

    marks: Marks
    own: list[Mark]
    siblings: Mapping[Key, Mark]
    seen: list[Mark] = field(default_factory=list)

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[Change]:  # noqa: ARG002
        self.seen = self._look()
        if min(mark.until for mark in self.own) < self.marks.now():
            raise RepositoryError(
                "writing the indexes took longer than this run's marks hold",
                hint="run `ign-deploy reindex`.",
            )
        return [Change(mark.module_id, mark.name) for mark in self.seen]

    def leave(self) -> None:
        """Take our marks away, or leave them as done for those who may overwrite what we wrote."""
        if any(not mark.is_done for mark in self._alive()):
            for mark in self.own:
                done = mark._replace(is_done=True, rest="")
                self.marks.put_mark(done.name, b"{}\n")
            self._remove(self.own)
            self.seen = self._look()
            if any(not mark.is_done for mark in self._alive()):
                return
            self.own = []
        self._remove([*self.own, *self.seen])

    def _look(self) -> list[Mark]:
        found = [parse_mark(name) for name in self.marks.mark_names()]
        ours = {*self.own, *list(self.siblings.values())}
        return [mark for mark in found if mark is not None and mark not in ours]

    def _alive(self) -> list[Mark]:
        now = self.marks.now()
        return [mark for mark in self.seen if mark.until > now]

    def _remove(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            self.marks.remove_mark(mark.name)
