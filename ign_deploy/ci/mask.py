"""Redacting secrets: every known value, each of its lines and its encoded forms, in any text."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from ign_deploy.ci.wrapped import WrappedForms

HIDDEN = "***"
SHORTEST_SECRET = 4
"""Shorter values, and shorter lines of longer ones (``{``, ``==``), would redact ordinary text."""
_WRAPPED = (76, 64)
"""Characters of a line, as base64 and OpenSSL write them."""
_SKIPPED = (0, 2, 3)
"""Leading Base64 characters that also depend on the 0, 1 or 2 bytes before the secret."""
_SHELL_SPECIAL = re.compile(r"[^\w%+,./:=@\n-]", re.ASCII)
_STRIDE = 8
"""Only every 8th place of a text is looked at first: builds write millions of lines."""
# Credentials of others, too: of a build, or of the user's own tools.
_AUTHORIZATION = re.compile(
    r"""((?:proxy-)?authorization\\?["']?\s{0,4}[:=]\s{0,4}\\?["']?"""
    r"(?:basic|bearer|token|digest|negotiate|apikey)[ \t]{1,4})[^\s\"'\\,;<>]{4,}",
    re.IGNORECASE,
)


class Masker:
    """Knows the secrets of a run and replaces them in text by ``***``."""

    def __init__(self) -> None:
        self._forms: Mapping[str, frozenset[str]] = {}
        """The forms by their first characters: one look-up for each place in a text."""
        self._filter = _Filter(frozenset())
        self._wrapped = WrappedForms()

    def add(self, secret: str) -> tuple[str, ...]:
        """Remember ``secret``; return those of its forms that are new, the longest first.

        A secret of fewer than four characters is not redacted: it would garble any text.
        """
        known = frozenset[str]().union(*self._forms.values())
        new = secret_forms(secret) - known
        forms: dict[str, set[str]] = {}
        for form in known | new:
            forms.setdefault(form[:SHORTEST_SECRET], set()).add(form)
        # Replaced, never changed: other threads redact at the same time.
        self._filter = _Filter(known | new)
        self._wrapped = WrappedForms(self._wrapped.forms | encoded_forms(secret))
        self._forms = {start: frozenset(group) for start, group in forms.items()}
        return tuple(sorted(new, key=lambda form: (-len(form), form)))

    def redact(self, text: str) -> str:
        """Return ``text`` with every secret, and what Authorization headers hold, replaced."""
        spans = [*self._wrapped.spans(text)]
        if self._filter.may_contain(text):
            spans += self._spans(text)
        if spans:
            text = _without(text, spans)
        if "uthorization" in text.lower():
            text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
        return text

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where a form is in ``text``; they may overlap."""
        for start in range(len(text) - SHORTEST_SECRET + 1):
            for form in self._forms.get(text[start : start + SHORTEST_SECRET], ()):
                if text.startswith(form, start):
                    yield start, start + len(form)


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], HIDDEN]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


class _Filter:
    """Finds out quickly that a text has none of the forms, which is true of most texts.

    Wherever a long form is, one of the places that are looked at falls into its first characters.
    """

    def __init__(self, forms: frozenset[str]) -> None:
        length = _STRIDE + SHORTEST_SECRET - 1
        short = sorted(form for form in forms if len(form) < length)
        self._short = re.compile("|".join(map(re.escape, short))) if short else None
        self._pieces = frozenset(
            form[offset : offset + SHORTEST_SECRET]
            for form in forms
            if len(form) >= length
            for offset in range(_STRIDE)
        )

    def may_contain(self, text: str) -> bool:
        """Return False only when no form is in ``text``."""
        if self._short is not None and self._short.search(text):
            return True
        places = range(0, len(text), _STRIDE)
        return not self._pieces.isdisjoint(
            [text[place : place + SHORTEST_SECRET] for place in places]
        )


def secret_forms(secret: str) -> set[str]:
    """Return the forms in which ``secret`` may appear; empty for one that is too short.

    The value as it is and trimmed, and of each of these: every line, what URLs, HTML, JSON, Python,
    shells and hexadecimal dumps make of it, and Base64 (alone or anywhere in longer data, padded or
    not, URL-safe, in lines of 64 or 76 characters). A Base64 value that contains a PEM block adds
    the block's forms.
    """
    forms: set[str] = set(encoded_forms(secret))
    for whole in _wholes(secret):
        lines = {line.strip() for line in whole.splitlines() if _worth_redacting(line)}
        forms |= {whole, *lines, *_base64_forms(whole), *_separated_hexadecimal(whole)}
        for part in {whole, *lines}:
            forms |= {*_escaped_forms(part), *_base64_inside(part)}
    return forms


def encoded_forms(secret: str) -> frozenset[str]:
    """Return the forms that tools break into lines: Base64 anywhere in longer data, and others.

    Those are hexadecimal, and at the beginning of the data: Base32, and the Base64 of its Base64.
    """
    forms: set[str] = set()
    for whole in _wholes(secret):
        data = _data(whole)
        inside = {*_base64_inside(whole), *_base64_at_offsets(_wide(whole))}
        forms |= inside | {form.replace("+", "-").replace("/", "_") for form in inside}
        base32 = base64.b32encode(data).decode("ascii")[: len(data) * 8 // 5]
        forms |= {data.hex(), data.hex().upper(), base32, base32.lower(), *_base64_twice(data)}
    return frozenset(forms)


def _base64_twice(data: bytes) -> Iterator[str]:
    """Yield the Base64 of the Base64, which is in one line or in several."""
    for once in (base64.b64encode(data).rstrip(b"="), base64.encodebytes(data).rstrip(b"=\n")):
        yield base64.b64encode(once).decode("ascii")[: len(once) * 8 // 6]


def _wholes(secret: str) -> set[str]:
    """Return the value as it is and trimmed, and the PEM text in it; none if it is too short."""
    wholes = {secret, secret.strip(), _pem_inside(secret), _pem_inside(secret).strip()}
    return {whole for whole in wholes if len(whole.strip()) >= SHORTEST_SECRET}


def _worth_redacting(line: str) -> bool:
    """Return whether a line of a secret is secret by itself: PEM's BEGIN and END lines aren't."""
    return len(line.strip()) >= SHORTEST_SECRET and not line.startswith("-----")


def _escaped_forms(text: str) -> set[str]:
    """Return ``text`` as URLs, HTML, JSON, Python and shells write it; mostly as it is."""
    as_json = json.dumps(text)[1:-1]
    quotes = [("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&apos;")]
    urls = {
        quote(text, safe="", errors="backslashreplace"),
        quote(text, errors="backslashreplace"),
        quote_plus(text, errors="backslashreplace"),
    }
    return {
        *urls,
        *(re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), url) for url in urls),
        html.escape(text, quote=False),
        *(
            html.escape(text, quote=False).replace('"', double).replace("'", single)
            for double, single in quotes
        ),
        as_json,
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(as_json)[1:-1],  # a document in a document, such as a server's error
        as_json.replace("/", "\\/"),
        # Go's encoder, and others that write JSON into HTML.
        as_json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        repr(text)[1:-1],
        repr(_data(text))[2:-1],
        text.encode("ascii", "xmlcharrefreplace").decode(),
        # `set -x`, `printf %q`
        text.replace("'", "'\\''"),
        text.replace("'", "'\"'\"'"),
        _SHELL_SPECIAL.sub(r"\\\g<0>", text),
    }


def _separated_hexadecimal(text: str) -> Iterator[str]:
    for separator in " :":
        yield _data(text).hex(separator)
        yield _data(text).hex(separator).upper()


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _wide(text: str) -> bytes:
    """Return the text as PowerShell encodes commands."""
    return text.encode("utf-16-le", "surrogatepass")


def _base64_inside(text: str) -> Iterator[str]:
    """Yield what Base64 makes of ``text`` wherever it begins in longer data.

    ``Basic`` credentials are the Base64 of user and password, so that the password can begin at
    each of three offsets; they may be encoded as Latin-1.
    """
    encodings = [_data(text)]
    if not text.isascii() and max(text) <= "\xff":
        encodings.append(text.encode("latin-1"))
    for data in encodings:
        yield from _base64_at_offsets(data)


def _base64_at_offsets(data: bytes) -> Iterator[str]:
    for offset, skipped in enumerate(_SKIPPED):
        whole = base64.b64encode(bytes(offset) + data).decode("ascii")
        stable = whole[skipped : (offset + len(data)) * 8 // 6]
        if len(stable) >= SHORTEST_SECRET:
            yield stable


def _base64_forms(whole: str) -> set[str]:
    """Return Base64 of ``whole``, alone and followed by a newline, as tools write it."""
    data = _data(whole)
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
