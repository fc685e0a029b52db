"""Changing an index that other runs may change at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.store import Document, DocumentStore

Stored = TypeVar("Stored")
UNREAD = Document(b"", tag="unread")
_TRIES = 40
_LONGEST_WAIT = 2.0


@dataclass
class IndexWriter:
    """Writes indexes, and what is derived from them."""

    documents: DocumentStore
    sleep: Callable[[float], None]

    def write(
        self,
        path: str,
        parse: Callable[[bytes], Stored | None],
        change: Callable[[Stored | None], Stored],
        dump: Callable[[Stored], bytes],
        *,
        first: Document | None = UNREAD,
        reread: Callable[[], None] | None = None,
    ) -> tuple[bool, Stored]:
        """Change a document until the store takes the change; others may write it, too.

        Return whether it may have been written, and what it is now. ``first`` is what was read
        already; ``reread`` is called before the change is made once more.
        """
        for attempt in range(_TRIES):
            is_read = not attempt and first is not UNREAD
            document = first if is_read else self.documents.read(path)
            if attempt and reread is not None:
                reread()
            stored = None if document is None else parse(document.data)
            changed = change(stored)
            if changed == stored:
                return attempt > 0, changed
            if self.documents.write(path, dump(changed), replaces=document):
                return True, changed
            self.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.05 * 2**attempt)))  # noqa: S311
        raise RepositoryError(
            f"{path} is written by many runs at once: {_TRIES} attempts to change it failed",
            hint="run `ign-deploy reindex` when the other jobs are done.",
        )
