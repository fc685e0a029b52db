"""Redacting secrets: every known value, each of its lines and its encoded forms, in any text."""

from __future__ import annotations

import base64
import binascii
import json
import re
from urllib.parse import quote

HIDDEN = "***"
_WRAPPED = (76, 64)
"""Characters of a line, as base64 and OpenSSL write them."""
_SHORTEST_LINE = 4
"""Shorter lines of a multi-line secret (``{``, ``==``) would redact ordinary text."""


class Masker:
    """Knows the secrets of a run and replaces them in text by ``***``."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> tuple[str, ...]:
        """Remember ``secret``; return those of its forms that are new, the longest first."""
        new = secret_forms(secret) - self._forms
        if new:
            self._forms |= new
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return tuple(sorted(new, key=lambda form: (-len(form), form)))

    def redact(self, text: str) -> str:
        """Return ``text`` with every secret replaced."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def secret_forms(secret: str) -> set[str]:
    """Return the forms in which ``secret`` may appear; empty for a blank one.

    The value as it is and trimmed, and of each of these: every line, the percent-encoded and the
    JSON form, and Base64 (with and without padding, URL-safe, followed by a newline, in lines of 64
    or 76 characters). A Base64 value that contains a PEM block adds the block's forms.
    """
    wholes = {secret, secret.strip(), _pem_inside(secret), _pem_inside(secret).strip()} - {""}
    forms: set[str] = set()
    for whole in wholes:
        if whole.strip():
            forms |= {
                whole,
                quote(whole, safe="", errors="backslashreplace"),
                json.dumps(whole)[1:-1],
            }
            forms |= {line.strip() for line in whole.splitlines() if _worth_redacting(line)}
            forms |= _base64_forms(whole)
    return forms


def _worth_redacting(line: str) -> bool:
    """Return whether a line of a secret is secret by itself: PEM's BEGIN and END lines aren't."""
    return len(line.strip()) >= _SHORTEST_LINE and not line.startswith("-----")


def _base64_forms(whole: str) -> set[str]:
    """Return Base64 of ``whole``, alone and followed by a newline, as tools write it."""
    data = whole.encode("utf-8", "surrogateescape")
    encoded = {
        base64.b64encode(data),
        base64.b64encode(data + b"\n"),
        base64.urlsafe_b64encode(data),
    }
    forms = {form.decode("ascii") for form in encoded}
    wrapped = {
        form[start : start + width]
        for form in forms
        for width in _WRAPPED
        for start in range(0, len(form), width)
    }
    forms |= wrapped
    return {form for form in forms | {form.rstrip("=") for form in forms} if _worth_redacting(form)}


def _pem_inside(secret: str) -> str:
    """Return the PEM text whose Base64 ``secret`` is; empty if it isn't."""
    try:
        text = base64.b64decode("".join(secret.split()), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return text if "-----BEGIN" in text else ""
