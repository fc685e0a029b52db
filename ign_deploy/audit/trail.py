"""The trail's file: opened safely, locked, and appended to one durable line at a time."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ign_deploy.audit.entry import (
    FIRST_PREVIOUS,
    MAX_ENTRY_SIZE,
    AuditEntry,
    Redact,
    line_digest,
    make_line,
    read_line,
)
from ign_deploy.errors import ConfigurationError
from ign_deploy.files import (
    LOCK_TIMEOUT,
    open_regular,
    os_error_reason,
    require_replaceable,
    sync_folder,
    wait_for_lock,
    write_atomically,
)

RECOVERED = "audit.recovered"
_BEGIN = b'{"action":"'


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry's number, and the trail's ``head``: the SHA-256 of its line."""

    seq: int
    head: str


def append_entry(
    path: Path,
    entry: AuditEntry,
    *,
    time: datetime,
    redact: Redact,
    timeout: float = LOCK_TIMEOUT,
) -> Appended:
    """Add a line to the trail at ``path``, created if missing; processes may do so at once.

    ``time`` is aware; ``redact`` replaces secrets in every text. A last line that a killed writer
    left unfinished is kept in a file next to the trail, and a line ``audit.recovered`` says so.
    Raises ConfigurationError when the line can't be written, or the file isn't an audit trail.
    """
    with _locked_trail(path, timeout=timeout) as descriptor:
        try:
            return _append(path, descriptor, entry, time=time, redact=redact)
        except OSError as cause:
            raise ConfigurationError(
                f"cannot write the audit trail {path}: {os_error_reason(cause)}",
                hint="free disk space, or choose another file.",
            ) from cause


def check_trail(path: Path) -> None:
    """Raise ConfigurationError unless an entry could be added now; nothing is written.

    Once the change is made that an entry is about, it is too late.
    """
    try:
        descriptor = open_trail(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        require_replaceable(path, what="the audit trail")
        return
    try:
        last, _ = _tail(path, descriptor)
        if last and read_line(last) is None:
            raise _no_trail(path)
    finally:
        os.close(descriptor)


def open_trail(path: Path, flags: int) -> int:
    """Open the trail's file and nothing else; return its descriptor.

    A build may have left a link under the trail's name, to have another file written: it isn't
    followed. Raises ConfigurationError, but FileNotFoundError as it is.
    """
    try:
        return open_regular(path, flags)
    except FileNotFoundError:
        raise
    except OSError as cause:
        if cause.errno == errno.ELOOP or path.is_symlink():
            raise ConfigurationError(
                f"the audit trail {path} is a symbolic link, which could point anywhere",
                hint="use the path of the file itself, and find out who made the link.",
            ) from cause
        raise ConfigurationError(
            f"cannot open the audit trail {path}: {os_error_reason(cause)}",
            hint="choose a file in a writable folder.",
        ) from cause


@contextmanager
def _locked_trail(path: Path, *, timeout: float) -> Iterator[int]:
    """Open the trail for reading and appending, created if missing, and lock it.

    Waits up to ``timeout`` seconds for other writers, threads and processes alike. Raises
    ConfigurationError when they take longer, or the file system has no locks.
    """
    while True:
        descriptor = _open_or_make(path)
        try:
            _lock(descriptor, path, timeout)
            if _is_still(path, descriptor):
                yield descriptor
                return
            # Moved away while we waited: the file that is there now is the trail.
        finally:
            os.close(descriptor)


def _open_or_make(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot create the folder of the audit trail {path}: {os_error_reason(cause)}",
            hint="choose a file in a writable folder.",
        ) from cause
    with suppress(FileNotFoundError):
        return open_trail(path, os.O_RDWR | os.O_APPEND)
    descriptor = open_trail(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    sync_folder(path.parent)
    return descriptor


def _lock(descriptor: int, path: Path, timeout: float) -> None:
    try:
        wait_for_lock(descriptor, timeout=timeout)
    except TimeoutError as cause:
        raise ConfigurationError(
            f"the audit trail {path} is still locked by another process after {timeout:g} s",
            hint="look for a process that hangs, then run again.",
        ) from cause
    except OSError as cause:
        raise ConfigurationError(
            f"cannot lock the audit trail {path}: {os_error_reason(cause)}",
            hint="put it on a file system with locks, such as a local disk.",
        ) from cause


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        there, ours = os.stat(path, follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _append(
    path: Path, descriptor: int, entry: AuditEntry, *, time: datetime, redact: Redact
) -> Appended:
    last, torn = _tail(path, descriptor)
    if last and read_line(last) is None:
        raise _no_trail(path)
    if torn:
        kept = _set_aside(path, descriptor, torn)
        details = {"file": kept, "bytes": str(len(torn))}
        recovered = AuditEntry(
            RECOVERED, "set-aside", entry.actor, entry.host, digests={"sha256": line_digest(torn)},
            details=details,
        )  # fmt: skip
        _, last = _write(descriptor, recovered, last, time=time, redact=redact)
    seq, data = _write(descriptor, entry, last, time=time, redact=redact)
    return Appended(seq, line_digest(data))


def _write(
    descriptor: int, entry: AuditEntry, last: bytes, *, time: datetime, redact: Redact
) -> tuple[int, bytes]:
    """Write the line after ``last`` completely or not at all; return its number and bytes."""
    line = read_line(last)
    seq, previous = (1, FIRST_PREVIOUS) if line is None else (line.seq + 1, line_digest(last))
    data = make_line(entry, seq=seq, previous=previous, time=time, redact=redact)
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        if written != len(data):
            raise OSError(0, "the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return seq, data


def _tail(path: Path, descriptor: int) -> tuple[bytes, bytes]:
    """Return the last complete line, and what follows it without a line feed."""
    size = os.fstat(descriptor).st_size
    # Room for an unfinished line and a whole one, and the line feed before that.
    begin = max(0, size - 2 * MAX_ENTRY_SIZE - 1)
    data = os.pread(descriptor, size - begin, begin)
    whole, feed, torn = data.rpartition(b"\n")
    if len(torn) > MAX_ENTRY_SIZE or (not feed and begin) or not may_be_unfinished(torn):
        raise _no_trail(path)
    return (whole.rpartition(b"\n")[2] + feed if feed else b""), torn


def may_be_unfinished(torn: bytes) -> bool:
    """Return whether we began an unfinished line; after a power cut, it may be zero bytes."""
    text = torn.rstrip(b"\0")
    return text.startswith(_BEGIN) or _BEGIN.startswith(text)


def _set_aside(path: Path, descriptor: int, torn: bytes) -> str:
    """Move the unfinished line to a file of its own; return the file's name."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = path.with_name(f"{path.name}.torn-{moment}-{secrets.token_hex(4)}")
    write_atomically(kept, torn, durable=True)
    os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(torn))
    os.fsync(descriptor)
    return kept.name


def _no_trail(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"the last line of {path} is not a valid audit entry; nothing was added",
        hint="check it with `ign-deploy audit verify`; move the file away to start a new trail.",
    )
