"""What a gateway read in a module, compared with what was verified.

A gateway reads files with Java: if it sees another module than we do, that must not be accepted.
Formats of serial numbers, names and dates aren't documented: what can't be understood isn't
compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ign_deploy.deployment.gateway.errors import ModuleMismatch
from ign_deploy.deployment.gateway.model import InstalledModule, ModuleCertificate, parse_shown
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.findings import quoted

_HEX = re.compile(r"(?:0x)?([0-9a-f]+)")
_PART = re.compile(r'((?:[^\\,;+"]|\\.|"(?:[^\\"]|\\.)*")*)(?:[,;+]|$)', re.DOTALL)
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_UNSIGNED_32 = 0xFFFFFFFF
_MILLISECONDS_FROM = 10**11


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the gateway read otherwise; ``shown`` is its own text, untrusted."""

    what: str
    shown: str
    expected: str


@dataclass(frozen=True, slots=True)
class InstalledAs:
    """What the response to an installation says; empty or None for what it doesn't say."""

    fingerprint: str = ""
    license_hash: int | None = None
    version: str = ""


def signer_differences(
    module: VerifiedModule, shown: ModuleCertificate | None
) -> tuple[Difference, ...]:
    """Compare the certificate that a gateway shows for an uploaded module; None is unsigned."""
    known = module.certificate
    if shown is None:
        return (Difference("the signer", "", known.subject),)
    compared = (
        ("the signer", shown.subject, known.subject, _same_name(shown.subject, known.subject)),
        ("the signer's issuer", shown.issuer, known.issuer, _same_name(shown.issuer, known.issuer)),
        ("the serial number", shown.serial, known.serial, _same_serial(shown.serial, known.serial)),
        *(
            (what, text, moment.isoformat(), _same_moment(text, moment))
            for what, text, moment in (
                ("the beginning of the certificate's validity", shown.not_before, known.not_before),
                ("the end of the certificate's validity", shown.not_after, known.not_after),
            )
        ),
    )
    return tuple(
        Difference(what, text, expected) for what, text, expected, same in compared if not same
    )


def installation_differences(
    module: VerifiedModule, shown: InstalledAs, *, before: InstalledModule | None
) -> tuple[Difference, ...]:
    """Compare what the response to an installation says; ``before`` is what was listed then."""
    certificate, crc = module.certificate, module.licence_crc
    found: list[Difference] = []
    fingerprint = re.sub(r"[\s:]", "", shown.fingerprint).lower()
    for expected in (certificate.sha1, certificate.sha256):
        is_comparable = len(fingerprint) == len(expected) and _HEX.fullmatch(fingerprint)
        if is_comparable and fingerprint != expected:
            found.append(Difference("the certificate's fingerprint", fingerprint, expected))
    # Java may show the unsigned number as a negative one, and none as 0.
    hash_ = None if shown.license_hash is None else shown.license_hash & _UNSIGNED_32
    if hash_ is not None and hash_ != (crc or 0):
        found.append(
            Difference("the licence's CRC", str(hash_), "none" if crc is None else str(crc))
        )
    if shown.version and not _is_known_version(shown.version, module, before):
        found.append(Difference("the version", shown.version, module.descriptor.version))
    return tuple(found)


def listing_differences(
    module: VerifiedModule, shown: InstalledModule | None, *, before: InstalledModule | None
) -> tuple[Difference, ...]:
    """Compare how a module is listed once it is installed; before the restart, maybe as it was."""
    if shown is None:
        return ()
    listed = shown.quarantined_version or shown.version
    if not _is_known_version(listed.shown, module, before):
        return (Difference("the version", listed.shown, module.descriptor.version),)
    name, expected = _words(shown.name), _words(module.descriptor.name)
    was_listed = before is not None and name == _words(before.name)
    if name and expected and name != expected and not was_listed:
        return (Difference("the name", shown.name, module.descriptor.name),)
    return ()


def mismatch_error(
    module: VerifiedModule,
    differences: Sequence[Difference],
    *,
    host: str,
    file_name: str,
    clean: Callable[[str], str],
) -> ModuleMismatch:
    """Return the error for a gateway that read something else; ``clean`` makes its text safe."""
    found = ", ".join(
        f"{each.what} is {clean(each.shown) or 'missing'}, expected {quoted(each.expected)}"
        for each in differences
    )
    id_ = module.descriptor.id
    return ModuleMismatch(
        f"{host} read something else in {id_} {module.descriptor.version} than what was verified: "
        f"{found}; nothing was restarted",
        hint=f"don't accept a certificate or licence of {id_} on the gateway's web page; find out "
        "what changes the file on its way to the gateway, such as a proxy; check that "
        f"user-lib/modules/{file_name} there isn't that file.",
    )


def _is_known_version(text: str, module: VerifiedModule, before: InstalledModule | None) -> bool:
    """Return whether it is the installed version, or one that was listed before."""
    version = parse_shown(text)
    known = [] if before is None else [before.version, before.quarantined_version]
    return version.is_version(module.descriptor.version) or version in known


def _same_serial(text: str, known: str) -> bool:
    match = _HEX.fullmatch(re.sub(r"[\s:]", "", text).lower())
    if match is None:
        return True
    digits, expected = match[1], int(known, 16)
    return int(digits, 16) == expected or (digits.isdecimal() and int(digits) == expected)


def shown_moment(text: str) -> datetime | None:
    """Return the aware moment that a gateway shows, to the second; None if it can't be read."""
    try:
        if text.isascii() and text.isdecimal():
            number = int(text)
            seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
            return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=0)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return None if moment.tzinfo is None else moment.replace(microsecond=0)


def _same_moment(text: str, known: datetime) -> bool:
    moment = shown_moment(text)
    return moment is None or moment == known


def _same_name(text: str, known: str) -> bool:
    """Return whether two names have the same values; types are written in too many ways.

    A name without types may be the common name alone.
    """
    if not text.strip():
        return True
    expected = sorted(_values(known))
    return _words(text).casefold() in expected or sorted(_values(text)) == expected


def common_name(name: str) -> str:
    """Return the common name in a distinguished name; all of it, if there is none."""
    for match in _PART.finditer(name):
        kind, sign, value = match[1].partition("=")
        if sign and kind.strip().upper() in ("CN", "2.5.4.3"):
            return _words(_plain_value(value.strip()))
    return _words(name)


def _values(name: str) -> Iterator[str]:
    """Yield the values of a distinguished name (RFC 4514, or as Java writes it)."""
    for match in _PART.finditer(name):
        if not match[1].strip():
            continue
        value = match[1].partition("=")[2].strip()
        yield _words(_plain_value(value)).casefold()


def _plain_value(value: str) -> str:
    if value.startswith("#"):
        return _decoded(value)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return _ESCAPE.sub(
        lambda match: (
            bytes.fromhex(match[1].replace("\\", "")).decode("utf-8", "replace")
            if match[1]
            else match[2]
        ),
        value,
    )


def _decoded(value: str) -> str:
    """Return the text in a DER string as hex, ``#160161``; or as it is, if it is something else."""
    try:
        data = bytes.fromhex(value[1:])
        is_short = len(data) > 2 and data[1] == len(data) - 2
        return data[2:].decode() if is_short else value
    except ValueError:
        return value


def _words(text: str) -> str:
    return " ".join(text.split())
