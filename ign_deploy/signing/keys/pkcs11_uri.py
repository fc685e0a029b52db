"""PKCS#11 URIs (RFC 7512): which key, in which token, reached by which library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ign_deploy.errors import IdentityError

_MAX_LENGTH = 4096
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TEXTS = ("token", "manufacturer", "model", "serial", "object")
_PATH_NAMES = frozenset({*_TEXTS, "id", "slot-id", "type"})
_EXAMPLE = "pkcs11:token=Release;object=signer?module-path=/usr/lib/softhsm/libsofthsm2.so"
_PIN_HINT = "remove it from --key, and set MODULE_SIGNING_PIN to the PIN, or to its file's path."


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """What a URI names; None and empty mean that anything matches."""

    module_path: str
    token: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    slot_id: int | None = None
    object: str | None = None
    id: bytes | None = None


def parse_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Parse the URI of a private key; raises IdentityError for what is wrong with it."""
    if len(text) > _MAX_LENGTH or not text.isprintable():
        raise _invalid(f"it has unprintable characters, or more than {_MAX_LENGTH}")
    if text[:7].lower() != "pkcs11:":
        raise _invalid('it doesn\'t begin with "pkcs11:"')
    path, _, query = text[7:].partition("?")
    named, options = _attributes(path, ";"), _attributes(query, "&")
    _check_names(named, options)
    values = {name: _text(name, named[name]) for name in _TEXTS if name in named}
    return Pkcs11Uri(
        module_path=_module_path(options),
        **values,
        slot_id=_slot(named["slot-id"]) if "slot-id" in named else None,
        id=named.get("id"),
    )


def _attributes(text: str, separator: str) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, sign, value = part.partition("=")
        shown = _shown(name)
        if not sign:
            raise _invalid(f"{shown} has no value")
        if name in found:
            raise _invalid(f"{shown} is given twice")
        if _PERCENT.search(value):
            raise _invalid(f'{shown} has a "%" that two hexadecimal digits don\'t follow')
        found[name] = unquote_to_bytes(value)
    return found


def _check_names(named: Mapping[str, bytes], options: Mapping[str, bytes]) -> None:
    for name in ("pin-value", "pin-source"):
        if name in options or name in named:
            raise IdentityError(
                f"the URI of the signing key (--key) contains {name}, but other users can read "
                "command lines, and logs repeat URIs",
                hint=_PIN_HINT,
            )
    unknown = [*(named.keys() - _PATH_NAMES), *(options.keys() - {"module-path"})]
    if unknown:
        raise _invalid(f"{_shown(min(unknown))} is not supported")
    if named.get("type", b"private") != b"private":
        raise _invalid("its type is not private, but only private keys sign")


def _module_path(options: Mapping[str, bytes]) -> str:
    path = _text("module-path", options.get("module-path", b""))
    if not path:
        raise IdentityError(
            "the URI of the signing key (--key) doesn't name the token's PKCS#11 library",
            hint=f"add ?module-path=PATH to it, for example {_EXAMPLE}.",
        )
    if not path.startswith("/"):
        raise _invalid("module-path is not an absolute path")
    return path


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as cause:
        raise _invalid(f"{name} is not UTF-8") from cause
    if text and not text.isprintable():
        raise _invalid(f"{name} has unprintable characters")
    return text


def _slot(value: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", value) or int(value) >= 1 << 64:
        raise _invalid("slot-id is not a slot's number")
    return int(value)


def _shown(name: str) -> str:
    """Return an attribute's name for a message, never a value: it could be a PIN."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else "an attribute"


def _invalid(reason: str) -> IdentityError:
    return IdentityError(
        f"the URI of the signing key (--key) is not valid: {reason}",
        hint=f"write it as in RFC 7512, for example {_EXAMPLE}.",
    )
