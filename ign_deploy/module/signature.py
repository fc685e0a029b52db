"""signatures.properties and certificates.p7b: which lines a signed module must have."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ign_deploy.errors import VerificationError
from ign_deploy.module.findings import Finding, bounded, error, legible
from ign_deploy.module.properties import (
    PropertiesSyntaxError,
    format_properties,
    iterate_properties,
)
from ign_deploy.module.zip_entry import ZipEntry

SIGNATURES_NAME = "signatures.properties"
CERTIFICATES_NAME = "certificates.p7b"
SIGNATURE_FILES = frozenset({SIGNATURES_NAME, CERTIFICATES_NAME})
# 100,000 entries with RSA-4096 signatures and long names.
MOST_FILES = 100_000
# Lines for files that are gone, or from an earlier signing; each is an error.
_MOST_OTHERS = 100
MAX_SIGNATURES_SIZE = 100 << 20
MAX_CERTIFICATES_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class SignatureLines:
    """The lines by entry name (without the leading slash), and what is wrong with the rest.

    Names are as Java's ``Properties.load(InputStream)`` reads them: see ``read_as_utf8``.
    """

    signatures: Mapping[str, bytes]
    findings: tuple[Finding, ...]


def needs_signature(entry: ZipEntry) -> bool:
    """Return whether the entry must have a line: every file except the two signature files."""
    return not entry.is_directory and entry.name not in SIGNATURE_FILES


def format_signatures(signatures: Mapping[str, bytes]) -> bytes:
    """Write the lines for entry name → signature: sorted, so that two runs give the same bytes."""
    return format_properties(
        (f"/{name}", base64.b64encode(signatures[name]).decode("ascii"))
        for name in sorted(signatures)
    )


def parse_signatures(data: bytes, *, files: int = MOST_FILES) -> SignatureLines:
    """Read the signatures.properties of a module with that many files.

    Raises VerificationError when Java couldn't load it either, or when it has far more lines.
    """
    signatures: dict[str, bytes] = {}
    try:
        findings = bounded(_check_lines(data, signatures, most=files + _MOST_OTHERS))
    except PropertiesSyntaxError as cause:
        problem = error(
            "signature-syntax",
            f"{SIGNATURES_NAME} can't be read: {cause}",
            location=SIGNATURES_NAME,
            hint=GET_AGAIN,
        )
        raise VerificationError.from_findings(problem) from cause
    return SignatureLines(signatures, tuple(findings))


def read_as_utf8(signatures: Mapping[str, bytes], names: Collection[str]) -> dict[str, str]:
    """Map names of files without a line to lines whose names are theirs when read as UTF-8.

    Some signers write names as they are instead of escaping them. Java then reads a name as ISO
    8859-1, unless a reader decodes the file first.
    """
    found = {}
    for line in signatures.keys() - set(names):
        try:
            name = line.encode("latin-1").decode("utf-8")
        except UnicodeError:
            continue
        if name in names and name not in signatures:
            found[name] = line
    return found


def written_without_letters(
    signatures: Mapping[str, bytes], names: Iterable[str]
) -> dict[str, str]:
    """Map names of files without a line to lines that have question marks for their letters.

    Java writes so, or reads file names so, where the locale has no such letters (LANG=C).
    """
    lines = {name for name in signatures if "?" in name}
    found = {}
    for name in names:
        # One for each letter, or one for each of its bytes.
        letters = name.encode("ascii", "replace").decode("ascii")
        octets = re.sub(rb"[^\0-\x7f]", b"?", name.encode("utf-8", "replace")).decode("ascii")
        shown = next((each for each in (letters, octets) if each in lines), "")
        if name not in signatures and shown and not name.isascii():
            found[name] = shown
    return found


GET_AGAIN = "don't install this module; download it again from where its vendor publishes it."


def _check_lines(data: bytes, signatures: dict[str, bytes], *, most: int) -> Iterator[Finding]:
    """Put the valid lines into ``signatures``, and yield what is wrong with the others."""
    for number, (key, value) in enumerate(iterate_properties(data), start=1):
        if number > most:
            problem = error(
                "signature-lines",
                f"{SIGNATURES_NAME} has far more lines than the module has files",
                location=SIGNATURES_NAME,
                hint=GET_AGAIN,
            )
            raise VerificationError.from_findings(problem)
        finding = _check_line(key, value, signatures)
        if finding is not None:
            yield finding


def _check_line(key: str, value: str, signatures: dict[str, bytes]) -> Finding | None:
    """Put a valid line into ``signatures``; otherwise return what is wrong with it."""
    name = key.removeprefix("/")
    shown = legible(name)
    if not key.startswith("/"):
        return error(
            "signature-line-name",
            f"the line {legible(key)} lacks its leading slash",
            location=shown,
            hint=GET_AGAIN,
        )
    if name in SIGNATURE_FILES:
        return error(
            "signature-self-line",
            f"a line for {name} is left over from an earlier signing and can no longer match",
            location=name,
            hint=GET_AGAIN,
        )
    if name in signatures:
        return error(
            "signature-line-repeated", f"{shown} has two lines", location=shown, hint=GET_AGAIN
        )
    try:
        signatures[name] = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        signatures[name] = b""
        return error(
            "signature-base64", f"the line for {shown} isn't Base64", location=shown, hint=GET_AGAIN
        )
    return None
