"""Output files that are either absent or whole, whenever the process is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import ConfigurationError


@contextmanager
def atomic_output(path: Path, *, mode: int = 0o644, durable: bool = False) -> Iterator[BinaryIO]:
    """Open a hidden temporary file beside ``path`` that replaces it when the block ends well.

    The folder is made when missing. ``mode`` holds from the first byte, so a private key is never
    readable by others, not even for a moment. ``durable`` also survives a power cut (fsync);
    build outputs can be made again, published files can't. Raises ConfigurationError when the
    folder can't be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as cause:
        raise output_error(path, cause) from cause
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            os.fchmod(stream.fileno(), mode)
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
        if durable:
            sync_folder(path.parent)
    except BrokenPipeError:
        raise  # it isn't about the file: nobody reads our log any more
    except OSError as cause:
        raise output_error(path, cause) from cause
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Write ``data`` to ``path`` whole or not at all; see ``atomic_output``."""
    with atomic_output(path, mode=mode, durable=durable) as stream:
        stream.write(data)


def is_same_file(first: Path, second: Path) -> bool:
    """Tell whether both names are one existing file; what can't be reached is none."""
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


def output_error(path: Path, cause: OSError) -> ConfigurationError:
    """Explain why ``path`` could not be written."""
    return ConfigurationError(
        f"cannot write {path}: {cause.strerror or cause}; nothing was left at that name",
        hint="free disk space, or choose a writable folder with --output-dir.",
    )
