"""A file's size and SHA-256, as far as the headers of a response state them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

# RFC 9530, and RFC 3230 before it; a value may be one of several in a list.
_REPR = re.compile(r"(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):", re.IGNORECASE)
_OLD = re.compile(r"(?:^|[,\s])sha-256=([A-Za-z0-9+/]{43}=)(?:[,\s]|$)", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-fA-F]{64}")
REQUESTED: Mapping[str, str] = {"Want-Repr-Digest": "sha-256=10", "Want-Digest": "sha-256"}
"""Headers that request the digest."""


def stated_digest(headers: Mapping[str, str]) -> str | None:
    """Return the SHA-256 (lower-case hex) of the whole file, None where no header has it."""
    for name, pattern in (("Repr-Digest", _REPR), ("Digest", _OLD)):
        if found := pattern.search(headers.get(name, "")):
            return base64.b64decode(found[1]).hex()
    text = headers.get("X-Checksum-Sha256", "").strip()
    return text.lower() if _HEX.fullmatch(text) else None


def stated_size(headers: Mapping[str, str]) -> int | None:
    """Return the size in bytes, None where it isn't stated."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
