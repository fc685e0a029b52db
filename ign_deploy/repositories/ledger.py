"""The ledger: documents that are only added, and indexes that are derived from them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import get_ident
from typing import Protocol

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.store import (
    LEDGER_KEY,
    Document,
    DocumentStore,
    IndexGuard,
    IndexSession,
    Key,
)

_TRIES = 40
_LONGEST_WAIT = 2.0


class Change(Protocol):
    """What brings a derived document up to date."""

    def __call__(self, stored: bytes | None, *, is_complete: bool) -> bytes:
        """Return the new content; the same bytes if nothing has to be written.

        Unless ``is_complete``, the stored one may lack what other runs added to the ledger.
        """


@dataclass(slots=True)
class _Session:
    """A thread's guarded session; ``is_writing`` once a write has been tried in it.

    ``known`` is the document as it was read last, if it needn't be read again.
    """

    guarded: IndexSession
    known: Document | None = None
    is_writing: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The documents below ``ledger/``.

    ``lists_cheaply``: readers compare what is derived with a listing. Elsewhere writers see to it
    that it is complete once they have ended, as for the indexes of modules.
    """

    documents: DocumentStore
    guard: IndexGuard
    lists_cheaply: bool
    sleep: Callable[[float], None] = time.sleep
    _sessions: dict[tuple[str, int], _Session] = field(default_factory=dict)
    """By path and thread."""
    _known: dict[str, Document] = field(default_factory=dict)
    """Derived documents, as this run read or wrote them last."""

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        return self.documents.read(path)

    def read_derived(self, path: str) -> Document | None:
        """Read a derived document; within its session it is read once."""
        session = self._sessions.get((path, get_ident()))
        if session is not None and session.known is not None:
            return session.known
        document = self.documents.read(path)
        if document is not None:
            self._known[path] = document
        if session is not None:
            session.known = document
        return document

    def add(self, path: str, data: bytes) -> None:
        """See ``DocumentStore.add``."""
        self.documents.add(path, data)

    def names(self, folder: str) -> list[str]:
        """See ``DocumentStore.names``."""
        return self.documents.names(folder)

    def update(self, path: str, *, key: str, change: Change) -> None:
        """Change a derived document until it holds whatever runs that write it at once added.

        ``key`` is the same for all who write it. Raises RepositoryError.
        """
        with self.session(path, key=key):
            session = self._sessions[path, get_ident()]
            self._write(path, change, session, is_complete=True)
            while session.guarded.overlaps(LEDGER_KEY + key):
                session.known = None
                if not self._write(path, change, session, is_complete=False):
                    break

    @contextmanager
    def session(self, path: str, *, key: str) -> Iterator[None]:
        """Have ``update`` write what ``read_derived`` returns within: one request less.

        Fit for what takes seconds: meanwhile, other runs check more.
        """
        ours = (path, get_ident())
        if ours in self._sessions:
            yield
            return
        failure: Exception | None = None
        with self.guard.session([Key(LEDGER_KEY + key, "")]) as guarded:
            known = self._known.get(path) if guarded.is_exclusive else None
            self._sessions[ours] = session = _Session(guarded, known)
            try:
                yield
            except Exception as problem:
                if session.is_writing:
                    raise
                failure = problem  # the guard is left in order, as by a run that wrote nothing
            finally:
                del self._sessions[ours]
        if failure is not None:
            raise failure

    def _write(self, path: str, change: Change, session: _Session, *, is_complete: bool) -> bool:
        """Return whether it may have been written: others may do so at the same time."""
        for attempt in range(_TRIES):
            known, session.known = session.known, None
            document = known or self.documents.read(path)
            stored = None if document is None else document.data
            changed = change(stored, is_complete=is_complete)
            if changed == stored:
                if known is not None and session.guarded.is_exclusive:
                    continue  # another run may have written since it was read
                return attempt > 0
            session.is_writing = True
            if self.documents.write(path, changed, replaces=document):
                self._known[path] = session.known = Document(changed)
                return True
            self.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise RepositoryError(
            f"{path} is written by many runs at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )
