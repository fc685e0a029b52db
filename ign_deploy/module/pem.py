"""Finding the blocks of a PEM text (RFC 7468), whatever surrounds them.

Line ends don't matter: CRLF, CR, and texts whose line feeds became spaces (a CI variable) are read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 #.]{0,40})-----")
_HEADER = re.compile(rb"\A\s*[A-Za-z][A-Za-z0-9-]*:")
_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_LINE_LENGTH = 64


class PemError(ValueError):
    """A PEM block is damaged; callers turn this into an error of their own."""


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block: its label (``CERTIFICATE``), RFC 1421 headers if any, and its bytes as Base64."""

    label: str
    headers: bytes
    text: bytes

    @property
    def is_private_key(self) -> bool:
        """Whether the label says that this is a private key, of any kind."""
        return self.label.endswith("PRIVATE KEY")

    @property
    def is_encrypted(self) -> bool:
        """Whether label or headers say that a password is needed."""
        return self.label.startswith("ENCRYPTED ") or b"ENCRYPTED" in self.headers

    def decode(self) -> bytes:
        """Return the bytes. Raises PemError when it is not Base64."""
        try:
            return base64.b64decode(b"".join(self.text.split()), validate=True)
        except binascii.Error as cause:
            raise PemError(f"the {self.label} block is not valid Base64") from cause

    def canonical(self) -> bytes:
        """Return the block as strict PEM: 64 columns, line feeds."""
        text = b"".join(self.text.split())
        lines = [text[at : at + _LINE_LENGTH] for at in range(0, len(text), _LINE_LENGTH)]
        label = self.label.encode()
        head = [*self.headers.split(b"\n"), b""] if self.headers else []
        edges = (b"-----BEGIN " + label + b"-----", b"-----END " + label + b"-----\n")
        return b"\n".join([edges[0], *head, *lines, edges[1]])

    def __repr__(self) -> str:
        return f"PemBlock({self.label})"


def looks_like_pem(data: bytes) -> bool:
    """Return whether a PEM block begins somewhere in the bytes."""
    return _BEGIN.search(data) is not None


def pem_blocks(data: bytes) -> Iterator[PemBlock]:
    """Yield every block in file order. Raises PemError at a block that doesn't end."""
    position = 0
    while begin := _BEGIN.search(data, position):
        end_line = b"-----END " + begin[1] + b"-----"
        end = data.find(b"-----END ", begin.end())
        if end < 0 or not data.startswith(end_line, end):
            raise PemError(f"the {begin[1].decode()} block has no matching END line")
        yield _block(begin[1].decode(), data[begin.end() : end])
        position = end + len(end_line)


def _block(label: str, body: bytes) -> PemBlock:
    blank = _BLANK_LINE.search(body, 1)
    if not _HEADER.match(body) or blank is None:
        return PemBlock(label, b"", body)
    headers = b"\n".join(body[: blank.start()].split(b"\n")).replace(b"\r", b"").strip()
    return PemBlock(label, headers, body[blank.end() :])
