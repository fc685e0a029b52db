"""What a run reads from the workspace: each file once, before a build could have changed it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import os_error_reason, read_regular

if TYPE_CHECKING:
    from cryptography import x509

    from ign_deploy.module.trust import TrustPolicy

_MAX_NOTES = 512 << 10
_MAX_CA_FILE = 16 << 20
_MAX_ANCHOR = 1 << 20

T = TypeVar("T")


class Once(Generic[T]):
    """A value that is acquired when it is first needed, once, whichever thread asks first."""

    def __init__(self, acquire: Callable[[], T]) -> None:
        self._acquire = acquire
        self._lock = threading.RLock()
        self._values: list[T] = []

    def get(self) -> T:
        """Return the value. What acquiring it raises is passed on; the next call tries again."""
        with self._lock:
            if not self._values:
                self._values.append(self._acquire())
            return self._values[0]


class Workspace:
    """The files that the settings name: release notes, trust anchors, CA certificates.

    A build runs code of others in these very folders; what it changes there must decide neither
    what is trusted nor what a record says. So a release reads them all in its preflight. CA files
    are copied into ``folder``, because the libraries that need them take a path.
    """

    def __init__(
        self,
        *,
        notes: str,
        trust_anchors: Sequence[str],
        allow_expired: bool,
        ca_files: Iterable[str],
        folder: Callable[[], Path],
    ) -> None:
        self._notes = Once(partial(read_notes, notes))
        self._trust = Once(partial(read_trust, trust_anchors, allow_expired=allow_expired))
        self._ca_files = {
            path: Once(partial(_copy_ca_file, path, folder=folder, number=number))
            for number, path in enumerate(dict.fromkeys(ca_files))
        }

    @property
    def notes(self) -> str:
        """The release notes; raises ConfigurationError when they can't be read."""
        return self._notes.get()

    @property
    def trust(self) -> TrustPolicy:
        """Which signers are trusted; raises ConfigurationError."""
        return self._trust.get()

    def ca_file(self, path: str) -> Path | None:
        """Return the copy of a CA file, None for an empty path; raises ConfigurationError."""
        return self._ca_files[path].get() if path else None


def read_notes(notes: str) -> str:
    """Return the release notes: the text itself, or the content of the file it names."""
    if not notes or "\n" in notes or len(notes) > 4096:
        return _bounded(notes)
    # Not Path.is_file(), which raises for a sentence that is too long for a file name.
    if not os.path.isfile(notes):
        return notes
    path = Path(notes)
    try:
        with path.open(encoding="utf-8") as stream:
            return _bounded(stream.read(_MAX_NOTES + 1))
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigurationError(
            f"cannot read the release notes {path}: {cause}", hint="give a UTF-8 text file."
        ) from cause


def _bounded(text: str) -> str:
    if len(text) > _MAX_NOTES:
        raise ConfigurationError(
            f"the release notes have more than {_MAX_NOTES} characters",
            hint="shorten --notes.",
        )
    return text


def read_trust(paths: Sequence[str], *, allow_expired: bool = False) -> TrustPolicy:
    """Read every certificate of the given trust anchors; raises ConfigurationError."""
    from ign_deploy.module.trust import TrustAnchor, TrustPolicy

    anchors = [
        TrustAnchor(Path(path).name, certificate)
        for path in paths
        for certificate in _read_anchor(path)
    ]
    return TrustPolicy(tuple(anchors), allow_expired)


def _read_anchor(path: str) -> tuple[x509.Certificate, ...]:
    from ign_deploy.errors import VerificationError
    from ign_deploy.module.certificates import read_certificates

    try:
        data = read_regular(Path(path), limit=_MAX_ANCHOR)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read the trust anchor {path}: {os_error_reason(cause)}",
            hint="check --trust-anchor.",
        ) from cause
    hint = "give a PEM, DER or PKCS#7 file with the root certificate and nothing before it."
    # Whatever else a file is, such as a module with a certificate in it, it must not be trusted.
    if not data.startswith((b"-----BEGIN ", b"0\x80", b"0\x81", b"0\x82", b"0\x83")):
        raise ConfigurationError(
            f"the trust anchor {path} doesn't begin with a certificate", hint=hint
        )
    try:
        return read_certificates(data)
    except VerificationError as cause:
        raise ConfigurationError(
            f"no certificate found in the trust anchor {path}: {cause.message}", hint=hint
        ) from cause


def _copy_ca_file(path: str, *, folder: Callable[[], Path], number: int) -> Path:
    try:
        data = read_regular(Path(path), limit=_MAX_CA_FILE)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read the CA certificates {path}: {os_error_reason(cause)}",
            hint="correct the path, or drop the setting.",
        ) from cause
    copy = folder() / f"ca-{number}.pem"
    copy.write_bytes(data)
    return copy
