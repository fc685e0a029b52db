"""Copying files into and out of a directory repository, compared with their record on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import RepositoryError, VerificationError
from ign_deploy.files import open_regular
from ign_deploy.module.findings import error
from ign_deploy.report import Progress
from ign_deploy.repositories.backends.directory.filesystem import (
    READING,
    SOURCE,
    explained,
)
from ign_deploy.repositories.record import ReleaseFile

_BLOCK = 1 << 20


def copy_in(source: Path, target: Path, *, expected: ReleaseFile, progress: Progress) -> None:
    """Copy a local file to a new one, mode 0644, and make it survive a power cut.

    What is hashed is what is written, in constant memory. Raises RepositoryError when it can't be
    copied or isn't what the record says.
    """
    digest = hashlib.sha256()
    size = 0
    with explained("read", source, hints=SOURCE):
        reader = source.open("rb", buffering=0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        reader,
        explained("write", target),
        os.fdopen(os.open(target, flags, 0o644), "wb") as writer,
    ):
        while block := _read(reader, source, hints=SOURCE):
            writer.write(block)
            digest.update(block)
            size += len(block)
            progress(len(block))
        writer.flush()
        os.fchmod(writer.fileno(), 0o644)
        os.fsync(writer.fileno())
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise RepositoryError(
            f"{source} changed while it was being published: expected {expected.size} bytes with "
            f"SHA-256 {expected.sha256}, read {size} bytes with {digest.hexdigest()}",
            hint="run again when nothing else writes the file; nothing was published.",
        )


def copy_out(source: Path, target: BinaryIO, *, expected: ReleaseFile, progress: Progress) -> None:
    """Copy a published file, at most one block beyond the size that the record says.

    Raises VerificationError when it isn't what the record says, RepositoryError when it can't be
    read; an OSError of ``target`` is passed on.
    """
    digest = hashlib.sha256()
    size = 0
    with explained("read", source, hints=READING):
        reader = os.fdopen(open_regular(source), "rb", buffering=0)
    with reader:
        while size <= expected.size and (block := _read(reader, source, hints=READING)):
            target.write(block)
            digest.update(block)
            size += len(block)
            progress(len(block))
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        problem = error(
            "digest-mismatch",
            f"{source} isn't what its record says: expected {expected.size} bytes with SHA-256 "
            f"{expected.sha256}, read {size} bytes with {digest.hexdigest()}",
            location=expected.name,
            hint="don't install it; restore the file from a backup, and find out who changed it.",
        )
        raise VerificationError.from_findings(problem)


def _read(reader: BinaryIO, source: Path, *, hints: Mapping[int, str]) -> bytes:
    with explained("read", source, hints=hints):
        return reader.read(_BLOCK)
