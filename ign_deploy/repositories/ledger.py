"""The ledger: documents that are only added, and indexes that are derived from them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.store import LEDGER_KEY, Document, DocumentStore, IndexGuard, Key

_TRIES = 40
_LONGEST_WAIT = 2.0


class Change(Protocol):
    """What brings a derived document up to date."""

    def __call__(self, stored: bytes | None, *, is_complete: bool) -> bytes:
        """Return the new content; the same bytes if nothing has to be written.

        Unless ``is_complete``, the stored one may lack what other runs added to the ledger.
        """


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

    def read(self, path: str) -> Document | None:
        """See ``DocumentStore.read``."""
        return self.documents.read(path)

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
        key = LEDGER_KEY + key
        with self.guard.session([Key(key, "")]) as session:
            self._write(path, change, is_complete=True)
            while session.overlaps(key):
                if not self._write(path, change, is_complete=False):
                    break

    def _write(self, path: str, change: Change, *, is_complete: bool) -> bool:
        """Return whether it may have been written: others may do so at the same time."""
        for attempt in range(_TRIES):
            document = self.documents.read(path)
            stored = None if document is None else document.data
            changed = change(stored, is_complete=is_complete)
            if changed == stored:
                return attempt > 0
            if self.documents.write(path, changed, replaces=document):
                return True
            self.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise RepositoryError(
            f"{path} is written by many runs at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )
