"""A module file: what a gateway reads in it, and its bytes as the body of a request."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ign_deploy.errors import ConfigurationError, DeploymentError
from ign_deploy.files import os_error_reason
from ign_deploy.module.archive import Archive
from ign_deploy.module.descriptor import read_descriptor
from ign_deploy.module.signature import CERTIFICATES_NAME, MAX_CERTIFICATES_SIZE
from ign_deploy.report import Progress, no_progress

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,199}\.modl")


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """The contents of a .modl that matter to a gateway.

    ``certificate_sha1`` is None if it is unsigned, ``license_crc`` if it has no licence file.
    """

    module_id: str
    name: str
    version: str
    certificate_sha1: str | None
    license_crc: int | None


def read_module_file(path: Path) -> ModuleFile:
    """Read a module; raises VerificationError if the file is not a module."""
    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        certificates = archive.entry(CERTIFICATES_NAME)
        sha1 = None
        if certificates is not None:
            from ign_deploy.module.certificates import describe, read_certificates

            data = archive.read(certificates, limit=MAX_CERTIFICATES_SIZE)
            sha1 = describe(read_certificates(data)[0]).sha1
        license_file = archive.entry(descriptor.license) if descriptor.license else None
        return ModuleFile(
            module_id=descriptor.id,
            name=descriptor.name,
            version=descriptor.version,
            certificate_sha1=sha1,
            license_crc=license_file.crc32 if license_file is not None else None,
        )


def require_file_name(file_name: str) -> str:
    """Return the name; raises ConfigurationError unless it is the plain name of a .modl.

    The gateway stores the file under this name, and an upgrade replaces the file of the same name.
    """
    if _FILE_NAME.fullmatch(file_name) is None or ".." in file_name:
        raise ConfigurationError(
            f"{file_name[:100]!a} is not a valid module file name",
            hint="use letters, digits and . _ + - (no folders), ending in .modl.",
        )
    return file_name


# A multiple of three bytes becomes Base64 without padding.
_BLOCK = 3 * (64 << 10)


class RequestBody:
    """A file that is read while it is sent; it has a length, so the request isn't chunked."""

    def __init__(self, stream: BinaryIO, size: int, progress: Progress) -> None:
        self._stream = stream
        self._size = size
        self._progress = progress

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, empty at the end."""
        block = self._stream.read(size)
        self._progress(len(block))
        return block


class _Base64Body(RequestBody):
    """The same file as Base64 text; progress counts the bytes of the file."""

    def __init__(self, stream: BinaryIO, size: int, progress: Progress) -> None:
        super().__init__(stream, 4 * -(-size // 3), progress)
        self._pending = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next characters."""
        while size < 0 or len(self._pending) < size:
            block = self._stream.read(_BLOCK)
            if not block:
                break
            self._progress(len(block))
            self._pending += base64.b64encode(block)
        length = len(self._pending) if size < 0 else size
        text, self._pending = self._pending[:length], self._pending[length:]
        return text


@contextmanager
def open_request_body(
    path: Path, progress: Progress = no_progress, *, as_base64: bool = False
) -> Iterator[RequestBody]:
    """Open a file as the body of one request. Raises DeploymentError if it can't be read."""
    try:
        stream = path.open("rb")
    except OSError as cause:
        raise DeploymentError(
            f"cannot read {path}: {os_error_reason(cause)}", hint="check the path of the module."
        ) from cause
    with stream:
        size = os.fstat(stream.fileno()).st_size
        kind = _Base64Body if as_base64 else RequestBody
        yield kind(stream, size, progress)
