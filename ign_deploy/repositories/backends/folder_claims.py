"""Claims on a store with folders of which a second one is refused (WebDAV's MKCOL).

A version's own folder is the first claim on it: whoever makes it is the first to touch the version,
so it can't be published yet, and nothing has to be read. What the claim says is the content of the
run's note below ``pending/``, which ``PendingGuard`` needs anyway and removes in the end. The
claims that follow one that has ended are those of ``ObjectClaims``.

Some servers let two runs make a folder at once. So a claim counts only if no other run has noted
one, and none has published: of several runs the last to write its note sees the others' notes, or
the record of one that is done. At most one sees neither. The others withdraw; if none is left, the
next generation is claimed like that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ign_deploy.errors import IgnDeployError
from ign_deploy.report import Progress
from ign_deploy.repositories.access import Access, WaitPolicy
from ign_deploy.repositories.backends.object_store import (
    ObjectClaims,
    ObjectStore,
    compose,
    last_generation,
    pending_guard,
)
from ign_deploy.repositories.backends.pending_writes import (
    PENDING,
    PendingGuard,
    new_pending_write,
    parse_pending_write,
)
from ign_deploy.repositories.claims import (
    MAX_CLAIM_SIZE,
    Claim,
    any_claim,
    claim_bytes,
    parse_claim,
)
from ign_deploy.repositories.record import RECORD_NAME, Release
from ign_deploy.repositories.store import Key, Store


class FolderStore(ObjectStore, Protocol):
    """Objects in folders."""

    def make_once(self, folder: str) -> bool:
        """Make a folder; False if it is there already."""

    def claims_folders(self) -> bool:
        """Return whether a folder that is there already can't be made again."""

    def settle(self) -> None:
        """Wait until what others wrote at the same time is seen, where that takes time."""


@dataclass(frozen=True, slots=True)
class FolderClaims:
    """See ``claims.ClaimStore``.

    It is ``ObjectClaims`` where the store has no such folders.
    """

    objects: FolderStore
    later: ObjectClaims
    guard: PendingGuard
    wait_policy: WaitPolicy

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self.objects.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a version's folder stays."""
        return self.objects.claims_folders()

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``."""
        names = self.objects.names(key.folder)
        if not self.claims_unseen() or last_generation(names) is not None:
            return self.later.current_claim(key)
        found: list[Claim] = []
        for name in self._notes(key):
            document = self.objects.get(f"{PENDING}/{name}", limit=MAX_CLAIM_SIZE)
            claim = parse_claim(b"" if document is None else document.data, generation=0)
            if claim.release is not None and claim.release.version == key.version:
                found.append(claim)
        # Without any, its run was killed before it said more.
        return any_claim(found) or Claim("", 0)

    def _notes(self, key: Key) -> list[str]:
        """Return the names of all notes below ``pending/`` that are first claims on a version."""
        found = [parse_pending_write(name.text) for name in self.objects.names(PENDING)]
        return [
            write.name
            for write in found
            if write is not None
            and not write.is_done
            and (write.module_id, write.rest) == (key.id, _rest(key))
        ]

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``ClaimStore.claim``."""
        if claim.generation or not self.claims_unseen() or claim.release is None:
            return self.later.claim(key, claim)
        begin = self.wait_policy.clock()
        if not self.objects.make_once(key.folder):
            return False
        write = new_pending_write(key.id, now=self.objects.now(), rest=_rest(key))
        self.objects.put(f"{PENDING}/{write.name}", claim_bytes(claim), replaces=None)
        if self.wait_policy.clock() - begin >= self.wait_policy.grace:
            # It was empty for so long that another run may have taken it for abandoned, and may
            # even have published by now. The next generation is claimed by one of us.
            self.guard.own[key] = write
            self.later.claim(key, replace(claim, generation=claim.generation + 1))
            return False
        self.objects.settle()
        record = f"{key.folder}/{RECORD_NAME}"
        if self._notes(key) == [write.name] and self.objects.get(record, limit=1) is None:
            self.guard.own[key] = write
            return True
        with suppress(IgnDeployError):
            self.objects.delete(f"{PENDING}/{write.name}")
        return False

    def put_files(
        self, key: Key, release: Release, *, files: Mapping[str, Path], progress: Progress
    ) -> None:
        """See ``ClaimStore.put_files``."""
        self.later.put_files(key, release, files=files, progress=progress)

    def put_record(self, key: Key, claim: Claim, record: bytes) -> bool:
        """See ``ClaimStore.put_record``."""
        oldest = 1 if self.claims_unseen() else 0
        return self.later.put_record(key, claim, record, oldest=oldest)


def _rest(key: Key) -> str:
    return f"~{hashlib.sha256(key.version.encode()).hexdigest()[:8]}"


def folder_store(objects: FolderStore, *, access: Access) -> Store:
    """Return the store that these objects make; see ``FolderClaims``."""
    guard = pending_guard(objects, access)
    later = ObjectClaims(objects, access.reporter)
    claims = FolderClaims(objects, later, guard, access.wait_policy)
    return compose(objects, claims, guard, access=access)
