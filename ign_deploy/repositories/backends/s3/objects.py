"""The objects of a repository in a bucket; see ``path_store.ObjectStore``."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Patience
from ign_deploy.repositories.backends.object_store import Name
from ign_deploy.repositories.backends.s3.bodies import checksum_of
from ign_deploy.repositories.backends.s3.calls import Calls
from ign_deploy.repositories.backends.s3.download import receive_file
from ign_deploy.repositories.backends.s3.errors import Refusal
from ign_deploy.repositories.backends.s3.listing import list_folder
from ign_deploy.repositories.backends.s3.ordered_claims import SETTLE, Tickets
from ign_deploy.repositories.backends.s3.probe import Conditions, probe_conditions, require_access
from ign_deploy.repositories.backends.s3.reading import read_object
from ign_deploy.repositories.backends.s3.upload import send_file
from ign_deploy.repositories.claims import MAX_CLAIM_SIZE
from ign_deploy.repositories.record import ReleaseFile
from ign_deploy.repositories.store import MAX_DOCUMENT_SIZE, Document

_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}
_NO_CONDITIONS = (
    "This store ignores or refuses conditional writes (If-None-Match), so of several jobs that "
    "publish the same version at once only those of ign-deploy are kept apart, by a wait of "
    f"{SETTLE:.0f} seconds; use a store with conditional writes, or let one job at a time publish "
    "a module."
)
_NO_SWAP = (
    "This store ignores If-Match, so indexes that several jobs write at once can lag behind; "
    "`ign-deploy reindex` brings them up to date."
)
_LEFTOVER = (
    "Without s3:DeleteObject, claims, removed versions and the probe below .ign-deploy/ stay in "
    "the bucket; publishing works."
)


class S3ObjectStore:
    """ObjectStore below the prefix of ``calls``' address."""

    def __init__(self, calls: Calls, *, reporter: Reporter, patience: Patience) -> None:
        self._calls = calls
        self._reporter = reporter
        settle = min(SETTLE, patience.grace)
        self._tickets = Tickets(calls, settle=settle, sleep=patience.sleep)
        self._lock = threading.Lock()
        self._known: Conditions | None = None

    def probe(self) -> Capabilities:
        """See ``ObjectStore.probe``."""
        require_access(self._calls)
        found = self._conditions()
        remarks = []
        if not found.obstacle:
            remarks = [] if found.creates_once else [_NO_CONDITIONS]
            remarks += [_NO_SWAP] if found.creates_once and not found.swaps else []
            remarks += [_LEFTOVER] if found.leftover else []
        return Capabilities(
            location=self._calls.address.url("").rstrip("/"),
            writable=not found.obstacle,
            obstacle=found.obstacle,
            create_once=found.creates_once,
            compare_and_swap=found.swaps,
            server_digest=True,
            resume=True,
            remarks=tuple(remarks),
        )

    def now(self) -> datetime:
        """See ``ObjectStore.now``."""
        return self._calls.now()

    def url(self, path: str) -> str:
        """See ``ObjectStore.url``."""
        return self._calls.address.url(path)

    def get(self, path: str, *, limit: int) -> Document | None:
        """See ``ObjectStore.get``."""
        return read_object(self._calls, path, limit=limit)

    def put(self, path: str, data: bytes, *, replaces: Document | None) -> bool:
        """See ``ObjectStore.put``."""
        if replaces is None:
            self._write(path, data)
            return True
        if not self._conditions().swaps:
            self._write(path, data)
            return self._is_there(path, data)
        try:
            self._write(path, data, IfMatch=replaces.tag)
        except Refusal as refusal:
            if refusal.status not in {404, 412} or refusal.refused == "NoSuchBucket":
                raise
            # Ours, if only the acknowledgement of an earlier attempt got lost.
            return self._is_there(path, data)
        return True

    def create(self, path: str, data: bytes) -> bool:
        """See ``ObjectStore.create``."""
        if not self._conditions().creates_once:
            return self._tickets.claim(path, data)
        try:
            self._write(path, data, IfNoneMatch="*")
        except Refusal as refusal:
            if refusal.status != 412:
                raise
            return False
        return True

    def created(self, path: str) -> bytes | None:
        """See ``ObjectStore.created``."""
        holder: str | None = path
        if not self._conditions().creates_once:
            holder = self._tickets.oldest(path)
        found = None if holder is None else self.get(holder, limit=MAX_CLAIM_SIZE)
        return None if found is None else found.data

    def send(self, path: str, source: Path, *, expected: ReleaseFile, progress: Progress) -> None:
        """See ``ObjectStore.send``."""
        send_file(self._calls, path, source, expected=expected, progress=progress)

    def receive(
        self, path: str, *, to: BinaryIO, expected: ReleaseFile, progress: Progress
    ) -> None:
        """See ``ObjectStore.receive``."""
        receive_file(self._calls, path, to=to, expected=expected, progress=progress)

    def names(self, folder: str) -> list[Name]:
        """See ``ObjectStore.names``."""
        return [Name(each.text, each.is_folder) for each in list_folder(self._calls, folder)]

    def delete(self, path: str) -> None:
        """See ``ObjectStore.delete``."""
        if not self._conditions().creates_once:
            self._tickets.remove(path)
        try:
            self._calls.ask("delete_object", path=path)
        except Refusal as refusal:
            if refusal.refused != "NoSuchKey":
                raise

    def _conditions(self) -> Conditions:
        """Return which conditions the store keeps; asked once."""
        with self._lock:
            if self._known is None:
                self._known = probe_conditions(self._calls)
            return self._known

    def _write(self, path: str, data: bytes, **condition: str) -> None:
        kind = _TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        self._calls.ask(
            "put_object",
            path=path,
            Body=data,
            ContentType=kind,
            ChecksumSHA256=checksum_of(data),
            **condition,
        )

    def _is_there(self, path: str, data: bytes) -> bool:
        found = self.get(path, limit=MAX_DOCUMENT_SIZE)
        return found is not None and found.data == data
