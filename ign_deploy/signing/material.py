"""Reading secrets given as a path to a file, as Base64, or as the value itself.

No message ever repeats the value: what should be a path may turn out to be a key.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import errno
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ign_deploy.errors import IdentityError
from ign_deploy.module.pem import looks_like_pem
from ign_deploy.signing.jks import JCEKS_MAGIC, MAGIC

_MAX_SIZE = 4 << 20
_MAX_PATH = 1024
_PIPE_TIMEOUT = 5.0
_DER_SEQUENCE = b"0"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Text that ends like this is a file's name, not a secret; anything else is never shown.
_FILE_NAME = re.compile(
    r"[\w./ ~+\\-]{1,200}\.(?:pem|key|crt|cer|cert|der|p12|pfx|pkcs12|jks|keystore|p7b|p7c)",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_WORD = re.compile(r"\w{33,}")


@dataclass(frozen=True, slots=True)
class IdentityMaterial:
    """What the user provided for signing: ``keystore``, or ``key`` and usually ``certificates``.

    Each of these three is a path, Base64 or PEM text, see ``read_material``; ``key`` may also be
    the URI of a key that is elsewhere. The representation shows none of it.
    """

    key: str | None = field(default=None, repr=False)
    certificates: str | None = field(default=None, repr=False)
    keystore: str | None = field(default=None, repr=False)
    store_password: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)
    alias: str | None = None

    def without_line_breaks(self) -> IdentityMaterial:
        """Return the same with passwords that don't end with line breaks."""

        def trimmed(password: str | None) -> str | None:
            return password if password is None else password.rstrip("\r\n")

        return replace(
            self,
            store_password=trimmed(self.store_password),
            key_password=trimmed(self.key_password),
        )


def read_material(text: str, *, what: str) -> bytes:
    r"""Return the bytes that ``text`` means: PEM as it is, else a file's, else decoded Base64.

    A file that holds Base64 is decoded, too: CI variables of the type "file" do. ``what`` names it
    in messages (``signing key``). A PEM text on one line with ``\n`` written out, as some CI
    variables are, is unfolded. Raises IdentityError, which never has the value.
    """
    if not text.strip():
        raise IdentityError(f"the {what} is empty", hint=f"set the {what}, or check its secret.")
    if "-----BEGIN " in text:
        return _unfolded(text).encode("utf-8", "surrogateescape")
    data = _file_content(text, what=what)
    if data is not None:
        return data if _is_material(data) else _text_content(data, what=what)
    data = _decoded(text)
    if data is not None:
        return data
    shown = f" ({text})" if _is_surely_a_path(text) else ""
    raise IdentityError(
        f"the {what}{shown} is neither an existing file nor PEM text nor the Base64 of a"
        " key, certificate or keystore",
        hint="check the path (relative to the current folder) or the secret's value.",
    )


def _unfolded(text: str) -> str:
    return text if "\n" in text.strip() else text.replace("\\r", "").replace("\\n", "\n")


def _file_content(text: str, *, what: str) -> bytes | None:
    """Return the file's bytes; None when there is no such file. Pipes (``<(…)``) are read, too."""
    if len(text) > _MAX_PATH or "\0" in text or "\n" in text.strip():
        return None
    path = Path(text.strip())
    try:
        if not path.exists():
            return None
        data = _read(path)
    except OSError as cause:
        if not _is_surely_a_path(text) and not _could_be_opened(cause):
            return None
        reason = cause.strerror or type(cause).__name__
        raise IdentityError(
            f"cannot read the file of the {what}: {reason}",
            hint="check the path and the file's permissions.",
        ) from None  # the cause would repeat the text, which may be a secret
    if len(data) > _MAX_SIZE:
        raise IdentityError(
            f"the file of the {what} is larger than {_MAX_SIZE} bytes",
            hint="check the path: keys, certificates and keystores are small.",
        )
    if not data.strip():
        raise IdentityError(f"the file of the {what} is empty", hint="create the file again.")
    return data


def _read(path: Path) -> bytes:
    """Return the content, or its first bytes when it is too large.

    A pipe is given ``_PIPE_TIMEOUT`` seconds: its writer may never come. Raises OSError.
    """
    deadline = time.monotonic() + _PIPE_TIMEOUT
    content = bytearray()
    # O_NONBLOCK: opening a named pipe returns at once, and so does reading from it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        while len(content) <= _MAX_SIZE:
            with suppress(BlockingIOError):
                piece = os.read(descriptor, _MAX_SIZE + 1 - len(content))
                content += piece
                # A pipe that nothing was written to may just not have its writer yet.
                if not piece and (content or not is_pipe):
                    break
                if piece:
                    continue
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"nothing was written for {_PIPE_TIMEOUT:g} s")
            time.sleep(0.02)
    finally:
        os.close(descriptor)
    return bytes(content)


def _could_be_opened(cause: OSError) -> bool:
    """Return whether the name exists but can't be read, rather than not being a name at all."""
    return isinstance(cause, PermissionError | IsADirectoryError | TimeoutError)


def _decoded(text: str) -> bytes | None:
    """Return the bytes of strict Base64 (ignoring white space) when they may be a key."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _is_material(data) else None


def _is_material(data: bytes) -> bool:
    return data.startswith((_DER_SEQUENCE, MAGIC, JCEKS_MAGIC)) or looks_like_pem(data)


def _text_content(data: bytes, *, what: str) -> bytes:
    """Return the decoded Base64 that a file holds, else its bytes; raises IdentityError."""
    if data.startswith(_UTF16):
        raise IdentityError(
            f"the file of the {what} is UTF-16 text",
            hint="save it as UTF-8 or ASCII; PowerShell: Set-Content -Encoding ascii.",
        )
    decoded = _decoded(data.removeprefix(codecs.BOM_UTF8).decode("ascii", "replace"))
    return data if decoded is None else decoded


def _is_surely_a_path(text: str) -> bool:
    return _FILE_NAME.fullmatch(text) is not None and _LONGEST_WORD.search(text) is None
