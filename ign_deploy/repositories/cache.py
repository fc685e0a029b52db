"""A cache of downloads by digest, so that nothing is transferred twice."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from ign_deploy.errors import VerificationError
from ign_deploy.report import Progress, no_progress
from ign_deploy.repositories.local_files import copy_out
from ign_deploy.repositories.record import ReleaseFile

MAX_CACHE_SIZE = 2 << 30
_LEFTOVER_AGE = 24 * 3600.0


class Fetch(Protocol):
    """Copies the file from the store, compared with its record."""

    def __call__(self, *, to: BinaryIO, progress: Progress) -> None:
        """Copy it; raises our errors."""


class DownloadCache:
    """Files named by their SHA-256 in ``folder``, None for no cache.

    If the cache can't be written, or its file is damaged, the file comes from the store. Above
    ``limit`` bytes, the least recently used files are deleted.
    """

    def __init__(self, folder: Path | None, *, limit: int = MAX_CACHE_SIZE) -> None:
        self._folder = folder
        self._limit = limit

    def copy(self, file: ReleaseFile, *, to: BinaryIO, progress: Progress, fetch: Fetch) -> None:
        """Copy the file from the cache, or fetch it into the cache first.

        Raises what ``fetch`` raises; an OSError of ``to`` is passed on.
        """
        if self._folder is None or file.size > self._limit // 2:
            fetch(to=to, progress=progress)
            return
        kept = self._folder / file.sha256
        if not self._is_kept(kept, file):
            with self._partial(kept) as partial:
                if partial is None:
                    fetch(to=to, progress=progress)
                    return
                fetch(to=partial, progress=progress)
            self._shrink(self._folder)
        copy_out(kept, to, expected=file, progress=no_progress)

    def _is_kept(self, path: Path, file: ReleaseFile) -> bool:
        try:
            if path.stat().st_size != file.size:
                return False
            os.utime(path)
            with open(os.devnull, "wb") as nowhere:
                copy_out(path, nowhere, expected=file, progress=no_progress)
        except (OSError, VerificationError):
            return False
        return True

    @contextmanager
    def _partial(self, kept: Path) -> Iterator[BinaryIO | None]:
        """Yield a file that gets its name on success; None if it can't be created."""
        partial = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}.partial")
        try:
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stream = partial.open("xb")
        except OSError:
            yield None
            return
        try:
            with stream:
                yield stream
            partial.replace(kept)
        finally:
            with suppress(OSError):
                partial.unlink()

    def _shrink(self, folder: Path) -> None:
        """Delete leftovers of killed runs, then the least recently used files beyond the limit."""
        with suppress(OSError):
            entries = sorted(
                (
                    (entry.stat().st_mtime, entry.stat().st_size, entry)
                    for entry in os.scandir(folder)
                ),
                key=lambda item: item[0],
                reverse=True,
            )
            newest, total = entries[0][0] if entries else 0.0, 0
            for used, size, entry in entries:
                total += size
                is_leftover = entry.name.endswith(".partial") and newest - used > _LEFTOVER_AGE
                if total > self._limit or is_leftover:
                    os.unlink(entry)
