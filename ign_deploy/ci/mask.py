"""Hides secrets: every known value, each of its lines and its encoded forms, in any text."""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import quote

HIDDEN = "***"
_SHORTEST_LINE = 4
"""Shorter lines of a secret of several lines (``{``, ``==``) would hide ordinary text."""


class Masker:
    """Knows the secrets of a run and replaces them in text by ``***``."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> tuple[str, ...]:
        """Remember ``secret``; returns its forms that were not known, the longest first."""
        new = secret_forms(secret) - self._forms
        if new:
            self._forms |= new
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return tuple(sorted(new, key=lambda form: (-len(form), form)))

    def hide(self, text: str) -> str:
        """Return ``text`` with every secret replaced."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def secret_forms(secret: str) -> set[str]:
    """Return the forms in which ``secret`` may turn up; empty for a blank one.

    The value, trimmed, each of its lines, and each of these in Base64 (with and without padding,
    URL-safe, followed by a newline), percent-encoded and as JSON. A Base64 value that holds a PEM
    block brings the block's forms along.
    """
    forms: set[str] = set()
    if not secret.strip():
        return forms
    for plain in _plain_forms(secret):
        forms |= {plain, quote(plain, safe=""), json.dumps(plain)[1:-1]}
        forms |= _base64_forms(plain)
    return forms


def _plain_forms(secret: str) -> set[str]:
    """Return the value, trimmed and line by line, and the PEM text within a Base64 value."""
    forms: set[str] = set()
    for text in (secret, _pem_inside(secret)):
        if text.strip():
            forms |= {text, text.strip()}
            forms |= {line.strip() for line in text.splitlines() if _worth_hiding(line)}
    return forms


def _worth_hiding(line: str) -> bool:
    """Tell whether a line of a secret says something on its own: PEM's frame doesn't."""
    return len(line.strip()) >= _SHORTEST_LINE and not line.startswith("-----")


def _base64_forms(plain: str) -> set[str]:
    """Return Base64 of ``plain``, alone and followed by a newline, as tools write it."""
    data = plain.encode("utf-8", "surrogateescape")
    whole = {base64.b64encode(data), base64.b64encode(data + b"\n")}
    whole |= {base64.urlsafe_b64encode(data)}
    forms = {form.decode("ascii") for form in whole}
    return {form for form in forms | {form.rstrip("=") for form in forms} if len(form) >= 4}


def _pem_inside(secret: str) -> str:
    """Return the PEM text that ``secret`` is the Base64 form of, or nothing."""
    try:
        text = base64.b64decode("".join(secret.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return text if "-----BEGIN" in text else ""
