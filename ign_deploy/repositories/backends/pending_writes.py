"""Runs that are writing the indexes of a store without compare-and-swap, noted below ``pending/``.

Before its first read a run notes its *pending write*, and after its last write it looks at all of
them. Alone, it removes its own. Otherwise it looks once more at the modules of all, until there is
nothing left to write, and then leaves its own as *done*: another run that began earlier may yet
overwrite what it wrote, and has to look at it then. The last one out removes what is done. A
pending write holds until a time; after that its run is taken for dead.
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
from ign_deploy.repositories.index_guard import NoGuard
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import LEDGER_KEY, Indexed, IndexSession, Key

PENDING = "pending"
_HOLDS = timedelta(minutes=10)
_TIME = "%Y%m%dT%H%M%SZ"
# <until>-<random>-<a: active, d: done>-<module>[~<hash of a claimed version>].json
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{8})-([ad])-([^~]*)((?:~[^~]*)*)\.json")


class PendingStore(Protocol):
    """Where pending writes are noted."""

    def now(self) -> datetime:
        """Return the store's own time."""

    def put_pending(self, name: str, data: bytes) -> None:
        """Write a small object below ``pending/``."""

    def pending_names(self) -> Iterable[str]:
        """Return the names of all objects directly below ``pending/``."""

    def remove_pending(self, name: str) -> None:
        """Delete such an object; one that is gone already is not an error."""


class PendingWrite(NamedTuple):
    """A pending write, all in the name of its object; for ``rest`` see ``FolderClaims``."""

    until: datetime
    token: str
    is_done: bool
    module_id: str
    rest: str = ""

    @property
    def name(self) -> str:
        """The object's name."""
        state = "d" if self.is_done else "a"
        return f"{self.until:{_TIME}}-{self.token}-{state}-{self.module_id}{self.rest}.json"


def parse_pending_write(name: str) -> PendingWrite | None:
    """Read a pending write from its name; None for other names."""
    match = _NAME.fullmatch(name)
    if match is None or (match[4] and not is_safe_component(match[4])):
        return None
    try:
        until = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return PendingWrite(until, match[2], match[3] == "d", match[4], match[5])


def new_pending_write(module_id: str, *, now: datetime, rest: str = "") -> PendingWrite:
    """Return a pending write of this run, for a module."""
    until = (now + _HOLDS).astimezone(UTC).replace(microsecond=0)
    return PendingWrite(until, secrets.token_hex(4), is_done=False, module_id=module_id, rest=rest)


def _is_ledger(write: PendingWrite) -> bool:
    return write.module_id.startswith(LEDGER_KEY)


@dataclass
class PendingGuard:
    """See ``IndexGuard``; ``own`` are those that this run noted earlier, by version."""

    store: PendingStore
    reporter: Reporter
    is_needed: Callable[[], bool] = lambda: True
    own: dict[Key, PendingWrite] = field(default_factory=dict)

    @contextmanager
    def session(self, keys: Collection[Key]) -> Iterator[IndexSession]:
        """See ``IndexGuard.session``."""
        if not self.is_needed():
            with NoGuard().session(keys) as session:
                yield session
            return
        session = _Session(self.store, self._enter(keys), self.own)
        yield session
        try:
            session.leave()
        except IgnDeployError as problem:
            # Others look at these modules needlessly until it no longer holds.
            self.reporter.info(f"a note below {PENDING}/ stays: {problem.message}")

    def _enter(self, keys: Collection[Key]) -> list[PendingWrite]:
        now = self.store.now()
        entered: list[PendingWrite] = []
        fresh: dict[str, PendingWrite] = {}
        for key in keys:
            write = self.own.pop(key, None)
            if write is not None:
                entered.append(write)
            if (write is None or write.until - now < _HOLDS / 2) and key.id not in fresh:
                fresh[key.id] = new_pending_write(key.id, now=now)
        for write in fresh.values():
            self.store.put_pending(write.name, b"{}\n")
        return [*entered, *fresh.values()]


@dataclass
class _Session:
    """See ``store.IndexSession``; ``siblings`` are those of this run's other publications."""

    store: PendingStore
    own: list[PendingWrite]
    siblings: Mapping[Key, PendingWrite]
    seen: list[PendingWrite] = field(default_factory=list)
    is_exclusive: bool = False

    def others(self, indexed: Mapping[str, Indexed]) -> Collection[str]:  # noqa: ARG002
        self.seen = self._look()
        until: dict[str, datetime] = {}
        for write in self.own:
            until[write.module_id] = max(write.until, until.get(write.module_id, write.until))
        if min(until.values()) < self.store.now():
            raise RepositoryError(
                "writing the indexes took so long that other runs no longer waited for this one",
                hint="run `ign-deploy reindex`.",
            )
        return {write.module_id for write in self.seen}

    def overlaps(self, key: str) -> bool:
        return key in self.others({})

    def leave(self) -> None:
        """Remove ours, or leave them as done for runs that may overwrite what we wrote."""
        if self.seen:
            # A run that came since may have read the index before another repaired it.
            self.seen = self._look()
        if any(not write.is_done for write in self._alive()):
            for write in self.own:
                done = write._replace(is_done=True, rest="")
                self.store.put_pending(done.name, b"{}\n")
            self._remove(self.own)
            self.seen = self._look()
            if any(not write.is_done for write in self._alive()):
                return
            self.own = []
        self._remove([*self.own, *self.seen])

    def _look(self) -> list[PendingWrite]:
        found = [parse_pending_write(name) for name in self.store.pending_names()]
        ours = {*self.own, *list(self.siblings.values())}
        return [
            write
            for write in found
            if write is not None and write not in ours and self._concerns_us(write)
        ]

    def _concerns_us(self, write: PendingWrite) -> bool:
        """Return whether it writes what we write: the indexes of modules, or the same ledger."""
        kinds = {each.module_id if _is_ledger(each) else "" for each in self.own}
        return (write.module_id if _is_ledger(write) else "") in kinds

    def _alive(self) -> list[PendingWrite]:
        now = self.store.now()
        return [write for write in self.seen if write.until > now]

    def _remove(self, writes: Iterable[PendingWrite]) -> None:
        for write in writes:
            self.store.remove_pending(write.name)
