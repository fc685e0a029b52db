"""Files: atomic output, safe opening, locks, and explained errors."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import ConfigurationError, IgnDeployError

LOCK_TIMEOUT = 60.0
"""Seconds."""
FILE_MODE = 0o666
"""Of new files that aren't secret, less what the umask takes away."""


@contextmanager
def atomic_output(
    path: Path, *, mode: int | None = None, durable: bool = False
) -> Iterator[BinaryIO]:
    """Open a hidden temporary file next to ``path`` that replaces it when the block succeeds.

    The folder is created if missing. ``mode`` applies whatever the umask, and from the first byte,
    so a private key is never readable by others, not even for a moment; without it, the umask
    decides. ``durable`` also survives a power cut (fsync);
    build outputs can be built again, published files can't. Raises ConfigurationError when the
    folder can't be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, FILE_MODE if mode is None else mode)
    except OSError as cause:
        raise output_error(path, cause) from cause
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
        if durable:
            sync_folder(path.parent)
    except BrokenPipeError:
        raise  # not about this file: whoever read our log is gone
    except OSError as cause:
        raise output_error(path, cause) from cause
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_atomically(
    path: Path, data: bytes, *, mode: int | None = None, durable: bool = False
) -> None:
    """Write ``data`` to ``path`` completely or not at all; see ``atomic_output``."""
    with atomic_output(path, mode=mode, durable=durable) as stream:
        stream.write(data)


def is_same_file(first: Path, second: Path) -> bool:
    """Return whether both names are the same existing file; False if either can't be reached."""
    try:
        return first.samefile(second)
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, flags: int = os.O_RDONLY, *, follow_links: bool = False) -> int:
    """Open a regular file and nothing else; return its descriptor.

    A link in its place isn't followed, unless ``follow_links``: someone may have put it there to
    have another file read or written. A named pipe doesn't make us wait for its other end. Raises
    OSError: FileNotFoundError when there is nothing, ELOOP for a link, EISDIR or EINVAL for
    anything else that isn't a regular file.
    """
    # O_NONBLOCK: opening a named pipe returns at once.
    safe = os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags | safe, FILE_MODE)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "not a regular file")
    return descriptor


def read_regular(path: Path, *, limit: int, follow_links: bool = True) -> bytes:
    """Return the content of a regular file that a person named, of at most ``limit`` bytes.

    Links are followed: secrets are often mounted as some. Raises OSError, EFBIG when it is larger.
    """
    with os.fdopen(open_regular(path, follow_links=follow_links), "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return data


def decode_text(data: bytes) -> str:
    """Return UTF-8 text without its byte order mark, if any.

    Raises ValueError, whose text says what it is instead: ``it is UTF-16 text, not UTF-8``.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is UTF-16 text, not UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise ValueError(f"it is not UTF-8 text (line {line})") from cause


def read_inside(root: Path, path: Path, *, limit: int) -> bytes:
    """Return the content of a regular file in the folder ``root``, of at most ``limit`` bytes.

    No part of the path below ``root`` may be a link, or lead out of it: what is read here gets
    published. Raises OSError: ELOOP or ENOTDIR for a link, EXDEV when the file is outside.
    """
    inside = os.path.normpath(root.joinpath(path))
    names = Path(inside).relative_to(root).parts if Path(inside).is_relative_to(root) else ()
    if not names or ".." in path.parts:
        raise OSError(errno.EXDEV, f"it is not in {root}")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(name, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        return read_regular(
            Path(f"/proc/self/fd/{folder}/{names[-1]}"), limit=limit, follow_links=False
        )
    finally:
        os.close(folder)


def require_replaceable(path: Path, *, what: str) -> None:
    """Raise ConfigurationError unless a file can be made at ``path``, or the one there replaced."""
    folder = nearest_existing(path.parent)
    reason = ""
    if os.path.lexists(path) and not path.is_file():
        reason = "it is not a regular file"
    elif not can_write_in(folder):
        reason = f"the folder {folder} is not writable"
    if reason:
        raise ConfigurationError(
            f"cannot write {what} {path}: {reason}", hint="choose a file in a writable folder."
        )


def nearest_existing(path: Path) -> Path:
    """Return the path itself, or its nearest parent that exists."""
    absolute = path.absolute()
    # Not Path.exists(), which raises where a folder on the way can't be entered.
    return next(each for each in (absolute, *absolute.parents) if os.path.exists(each))


def can_write_in(folder: Path) -> bool:
    """Try it: root passes every permission check, also on a read-only file system."""
    import tempfile

    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def locked(path: Path, *, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the lock file ``path``, created if missing, across threads and processes.

    The kernel frees it when we are killed. See ``wait_for_lock`` for ``timeout`` and errors.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        wait_for_lock(descriptor, timeout=timeout)
        yield
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, *, timeout: float) -> None:
    """Lock an open file until it is closed, waiting up to ``timeout`` seconds for others.

    Raises TimeoutError (an OSError), or another OSError where the file system has no locks.
    """
    # A blocking flock can't be given a deadline, and a stopped process may hold the lock.
    deadline = time.monotonic() + timeout
    pause = 0.001
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"still locked after {timeout:g} s")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def try_lock(descriptor: int) -> bool:
    """Lock an open file without waiting; return False when another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as cause:
        if cause.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


@contextmanager
def explain_os_error(
    action: str,
    path: Path,
    *,
    error: type[IgnDeployError],
    hint: str,
    hints: Mapping[int, str] | None = None,
) -> Iterator[None]:
    """Turn an OSError of the block into ``error``: ``cannot <action> <path>: <why>``.

    ``hints`` gives better advice than ``hint`` for some error numbers.
    """
    try:
        yield
    except OSError as cause:
        advice = (hints or {}).get(cause.errno or 0, hint)
        raise error(f"cannot {action} {path}: {os_error_reason(cause)}", hint=advice) from cause


def os_error_reason(cause: OSError) -> str:
    """Return the reason that the system gave: ``No space left on device``."""
    return cause.strerror or str(cause)


def output_error(path: Path, cause: OSError) -> ConfigurationError:
    """Return the error for a file that could not be written."""
    return ConfigurationError(
        f"cannot write {path}: {os_error_reason(cause)}; no partial file was left",
        hint="free disk space, or choose a writable folder with --output-dir.",
    )
