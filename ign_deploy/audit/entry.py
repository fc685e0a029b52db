"""One line of the trail: its fields, its canonical bytes, and its reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FIRST_PREVIOUS = "0" * 64
MAX_ENTRY_SIZE = 1 << 20
"""Bytes, with the line feed; the limits below keep a line far shorter."""
_MOST_TEXT = 1000
_MOST_NAME = 100
_MOST_ITEMS = 16
_HEX = frozenset("0123456789abcdef")
Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an action was about; fields that don't apply are empty."""

    module: str = ""
    version: str = ""
    environment: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What someone did: ``action`` such as ``install``, ``result`` such as ``deployed``.

    ``actor`` and ``host`` say who and where; ``digests`` are by name (``sha256``,
    ``certificate``), ``details`` are free text by name.
    """

    action: str
    result: str
    actor: str = ""
    host: str = ""
    subject: Subject = field(default_factory=Subject)
    digests: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A line that was read: valid by itself if ``hash_matches``, whatever its position."""

    seq: int
    time: str
    previous: str
    hash_matches: bool
    fields: Mapping[str, Any]


def make_line(
    entry: AuditEntry, *, seq: int, previous: str, time: datetime, redact: Redact
) -> bytes:
    """Return the line for an entry: canonical JSON in ASCII, ended by a line feed.

    ``time`` is aware. Every text passes through ``redact`` and is cut to a bounded length.
    """

    def text(value: str, limit: int = _MOST_TEXT) -> str:
        redacted = redact(value)
        return redacted if len(redacted) <= limit else redacted[: limit - 1] + "…"

    def texts(values: Mapping[str, str]) -> dict[str, str]:
        some = [*values.items()][:_MOST_ITEMS]
        return {text(name, _MOST_NAME): text(value) for name, value in some}

    subject = entry.subject
    document: dict[str, Any] = {
        "seq": seq,
        "time": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": text(entry.actor),
        "host": text(entry.host),
        "action": text(entry.action),
        "result": text(entry.result),
        "subject": {
            "module": text(subject.module),
            "version": text(subject.version),
            "environment": text(subject.environment),
            "gateway": text(subject.gateway),
        },
        "digests": texts(entry.digests),
        "details": texts(entry.details),
        "previous": previous,
    }
    document["hash"] = hashlib.sha256(_canonical(document)).hexdigest()
    return _canonical(document) + b"\n"


def read_line(data: bytes) -> AuditLine | None:
    """Read a line with its line feed; None for bytes that no version of ours can have written."""
    if len(data) > MAX_ENTRY_SIZE or not data.startswith(b"{") or not data.endswith(b"\n"):
        return None
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or _canonical(document) + b"\n" != data:
            return None
    except (ValueError, RecursionError):
        return None
    seq, time = document.get("seq"), document.get("time")
    previous, own = document.get("previous"), document.pop("hash", None)
    if type(seq) is not int or seq < 1 or not isinstance(time, str):
        return None
    if not (isinstance(previous, str) and is_digest(previous) and is_digest(own)):
        return None
    matches = hashlib.sha256(_canonical(document)).hexdigest() == own
    return AuditLine(seq, time, previous, matches, document)


def is_digest(value: object) -> bool:
    """Return whether ``value`` is a SHA-256 in lower-case hex."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= _HEX


def line_digest(data: bytes) -> str:
    """Return the SHA-256 of a line with its line feed: the next line's ``previous``."""
    return hashlib.sha256(data).hexdigest()


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(
        document, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    ).encode("ascii")
