"""What a run reads from the workspace: each file once, before a build could have changed it."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import (
    decode_text,
    explain_os_error,
    os_error_reason,
    read_inside,
    read_regular,
)

if TYPE_CHECKING:
    from cryptography import x509

    from ign_deploy.module.trust_policy import TrustPolicy

_MAX_NOTES = 512 << 10
# One word that is meant as a file, not as notes: "N/A" and "fix/alarms" aren't.
_FILE = re.compile(r"(~?|\.{1,2})/.*|.*\.(md|markdown|txt|rst|adoc|html?)", re.IGNORECASE)
_MAX_CA_FILE = 16 << 20
_MAX_ANCHOR = 1 << 20

Value = TypeVar("Value")


class Once(Generic[Value]):
    """A value that is acquired when it is first needed, once, whichever thread asks first."""

    def __init__(self, acquire: Callable[[], Value]) -> None:
        self._acquire = acquire
        self._lock = threading.RLock()
        self._values: list[Value] = []

    def get(self) -> Value:
        """Return the value. What acquiring it raises is passed on; the next call tries again."""
        with self._lock:
            if not self._values:
                self._values.append(self._acquire())
            return self._values[0]


class Workspace:
    """The files that the settings name: release notes, trust anchors, CA certificates.

    A build runs code of others in these very folders; what it changes there must decide neither
    what is trusted nor what a record says. So a release reads them all in its preflight. CA files
    are copied into ``folder``, because the libraries that need them take a path. ``default_ca`` is
    the one for whatever has none of its own; ``warn`` is called if it can't be read.
    """

    def __init__(
        self,
        *,
        notes: str,
        notes_file: str,
        trust: Callable[[], TrustPolicy],
        ca_files: Iterable[str],
        folder: Callable[[], Path],
        default_ca: str,
        warn: Callable[[str], None],
    ) -> None:
        self._notes = Once(partial(read_notes, notes, notes_file))
        self._trust = Once(trust)
        self._ca_files = {
            path: Once(partial(_copy_ca_file, path, folder=folder, number=number))
            for number, path in enumerate(dict.fromkeys(ca_files))
        }
        copy_default = partial(_copy_default_ca, default_ca, folder=folder, warn=warn)
        self._default_ca = Once(copy_default)

    @property
    def notes(self) -> str:
        """The release notes; raises ConfigurationError when they can't be read."""
        return self._notes.get()

    @property
    def trust(self) -> TrustPolicy:
        """Which signers are trusted; raises ConfigurationError."""
        return self._trust.get()

    def ca_file(self, path: str) -> Path | None:
        """Return the copy of a CA file, of the default for an empty path; None for public CAs.

        Raises ConfigurationError.
        """
        return self._ca_files[path].get() if path else self._default_ca.get()


def read_notes(text: str, file: str = "") -> str:
    """Return the release notes: the text, or the content of a file in the working directory.

    Notes are published, so no other file is read, and none through a link.
    """
    if text and file:
        raise ConfigurationError(
            "both --notes and --notes-file are given", hint="give the text, or the file."
        )
    if file:
        return _read_notes_file(file)
    if _looks_like_file(text) and (not os.path.lexists(text) or _is_notes_file(text)):
        raise ConfigurationError(
            f"--notes takes text, but {text!r} looks like a file",
            hint=f"give --notes-file {text}, or more than one word.",
        )
    if len(text) > _MAX_NOTES:
        raise ConfigurationError(
            f"the release notes have more than {_MAX_NOTES} characters",
            hint="shorten --notes.",
        )
    return text


def _read_notes_file(file: str) -> str:
    try:
        data = read_inside(Path.cwd(), Path(file), limit=_MAX_NOTES)
    except OSError as cause:
        is_link = cause.errno in (errno.ELOOP, errno.ENOTDIR)
        reason = "it is, or is behind, a symbolic link" if is_link else os_error_reason(cause)
    else:
        try:
            return decode_text(data)
        except ValueError as cause:
            reason = str(cause)
    raise ConfigurationError(
        f"cannot read the release notes {file!r}: {reason}",
        hint="give a UTF-8 text file of at most 512 KiB in the working directory, not a link.",
    )


def _looks_like_file(text: str) -> bool:
    is_word = bool(text) and len(text.split()) == 1
    return is_word and bool(_FILE.fullmatch(text.strip()))


def _is_notes_file(text: str) -> bool:
    try:
        _read_notes_file(text)
    except ConfigurationError:
        return False
    return True


def read_trust(paths: Sequence[str], *, allow_expired: bool = False) -> TrustPolicy:
    """Read every certificate of the given trust anchors; raises ConfigurationError."""
    from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy

    anchors = [
        TrustAnchor(Path(path).name, certificate)
        for path in paths
        for certificate in _read_anchor(path)
    ]
    return TrustPolicy(tuple(anchors), allow_expired)


def _read_anchor(path: str) -> tuple[x509.Certificate, ...]:
    from ign_deploy.errors import VerificationError
    from ign_deploy.module.certificates import read_certificates

    data = _read_setting("the trust anchor", path, _MAX_ANCHOR, hint="check --trust-anchor.")
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


def _copy_ca_file(path: str, *, folder: Callable[[], Path], number: int | str) -> Path:
    hint = "correct the path, or drop the setting."
    data = _read_setting("the CA certificates", path, _MAX_CA_FILE, hint=hint)
    copy = folder() / f"ca-{number}.pem"
    copy.write_bytes(data)
    return copy


def _copy_default_ca(
    path: str, *, folder: Callable[[], Path], warn: Callable[[str], None]
) -> Path | None:
    """Copy the default CA file; one that isn't there may be a path of the runner's machine."""
    if not path:
        return None
    try:
        return _copy_ca_file(path, folder=folder, number="default")
    except ConfigurationError as problem:
        warn(f"SSL_CERT_FILE is ignored: {problem.message}")
        return None


def _read_setting(what: str, path: str, limit: int, *, hint: str) -> bytes:
    """Return the content of a file that a setting names."""
    with explain_os_error(f"read {what}", Path(path), error=ConfigurationError, hint=hint):
        return read_regular(Path(path), limit=limit)
