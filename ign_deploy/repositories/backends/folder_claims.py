"""Claims on a store with folders of which a second one is refused (WebDAV's MKCOL).

A version's own folder is the first claim on it: whoever makes it is the first to touch the version,
so it can't be published yet, and nothing has to be read. What the claim says is the content of the
run's note below ``pending/``, which ``PendingGuard`` needs anyway and removes in the end. The
claims that follow one that has ended are those of ``ObjectClaims``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

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
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE, Claim, claim_bytes, lease, parse_claim
from ign_deploy.repositories.record import Release
from ign_deploy.repositories.store import Key, Store


@dataclass(frozen=True, slots=True)
class FolderClaims:
    """See ``claims.ClaimStore``.

    ``make_folder`` makes a folder, and returns False if it is there already. It is used where the
    store's probe finds that it creates once.
    """

    objects: ObjectStore
    later: ObjectClaims
    guard: PendingGuard
    wait_policy: WaitPolicy
    make_folder: Callable[[str], bool]

    def now(self) -> datetime:
        """See ``ClaimStore.now``."""
        return self.objects.now()

    def claims_unseen(self) -> bool:
        """See ``ClaimStore.claims_unseen``: a version's folder stays."""
        return self.objects.probe().create_once

    def current_claim(self, key: Key) -> Claim | None:
        """See ``ClaimStore.current_claim``."""
        names = self.objects.names(key.folder)
        if not self.claims_unseen() or last_generation(names) is not None:
            return self.later.current_claim(key)
        for name in self.objects.names(PENDING):
            write = parse_pending_write(name.text)
            if (
                write is None
                or write.is_done
                or (write.module_id, write.rest) != (key.id, _rest(key))
            ):
                continue
            document = self.objects.get(f"{PENDING}/{write.name}", limit=MAX_CLAIM_SIZE)
            claim = parse_claim(b"" if document is None else document.data, generation=0)
            if claim.release is not None and claim.release.version == key.version:
                return claim
        # Its run was killed before it said more.
        return Claim("", 0)

    def claim(self, key: Key, claim: Claim) -> bool:
        """See ``ClaimStore.claim``."""
        if claim.generation or not self.claims_unseen() or claim.release is None:
            return self.later.claim(key, claim)
        begin = self.wait_policy.clock()
        if not self.make_folder(key.folder):
            return False
        holds = lease(claim.release)
        write = new_pending_write(key.id, now=self.objects.now(), holds=holds, rest=_rest(key))
        self.objects.put(f"{PENDING}/{write.name}", claim_bytes(claim), replaces=None)
        self.guard.own[key] = write
        if self.wait_policy.clock() - begin < self.wait_policy.grace:
            return True
        # It was empty for so long that another run may have taken it for abandoned, and may even
        # have published by now. The next generation is claimed by one of us.
        self.later.claim(key, replace(claim, generation=claim.generation + 1))
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


def folder_store(
    objects: ObjectStore,
    make_folder: Callable[[str], bool],
    *,
    access: Access,
) -> Store:
    """Return the store that these objects make; see ``FolderClaims``."""
    guard = pending_guard(objects, access)
    later = ObjectClaims(objects, access.reporter)
    claims = FolderClaims(objects, later, guard, access.wait_policy, make_folder)
    return compose(objects, claims, guard, access=access)
