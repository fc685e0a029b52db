"""Tokens by PKCS#11: the library, the one token that a URI names, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ign_deploy.errors import IdentityError, SigningError
from ign_deploy.module.findings import quoted
from ign_deploy.signing.keys.pkcs11_uri import Pkcs11Uri

PIN = "MODULE_SIGNING_PIN"
MOST_SHOWN = 10
"""How many names a message lists."""


class PinRefused(IdentityError):
    """The token refused the PIN."""


class NoToken(IdentityError):
    """No token matches the URI."""


def load_library(path: str) -> Any:
    """Load and initialize a PKCS#11 library; raises IdentityError."""
    try:
        import pkcs11
    except ImportError as cause:
        raise IdentityError(
            "keys in hardware need python-pkcs11, which is not installed",
            hint="install it: pip install 'ign-deploy[pkcs11]'.",
        ) from cause
    if not Path(path).is_file():
        raise IdentityError(
            f"the PKCS#11 library {path} doesn't exist",
            hint="correct module-path in --key; in a container, mount or install the library.",
        )
    try:
        return pkcs11.lib(path)
    except pkcs11.PKCS11Error as cause:
        reason = str(cause).rpartition(": ")[2] or type(cause).__name__
        raise IdentityError(
            f"{path} can't be used as a PKCS#11 library: {reason[:200]}",
            hint="correct module-path in --key; the library must be for this machine's processor "
            "and C library.",
        ) from cause


def find_token(library: Any, uri: Pkcs11Uri) -> Any:
    """Return the only token that the URI matches; raises IdentityError."""
    from pkcs11 import PKCS11Error, TokenFlag

    tokens = []
    with token_errors(uri.module_path):
        for slot in library.get_slots(token_present=True):
            with suppress(PKCS11Error):
                token = slot.get_token()
                if TokenFlag.TOKEN_INITIALIZED in token.flags:
                    tokens.append(token)
    matching = [each for each in tokens if _matches(each, uri)]
    if len(matching) == 1:
        return matching[0]
    shown = [f"{quoted(each.label)} (slot-id={each.slot.slot_id})" for each in tokens]
    names = ", ".join(sorted(shown)[:MOST_SHOWN])
    if matching:
        raise IdentityError(
            f"{len(matching)} tokens match --key",
            hint=f"add serial= or slot-id= to the URI; the tokens are: {names}.",
        )
    raise NoToken(
        "no token matches --key" if tokens else "no token is present",
        hint=f"correct the URI; the tokens are: {names}."
        if tokens
        else "connect the token, or check the configuration of its PKCS#11 library.",
    )


def _matches(token: Any, uri: Pkcs11Uri) -> bool:
    serial = token.serial.decode("utf-8", "replace").rstrip(" \0")
    pairs = (
        (uri.token, token.label),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
        (uri.serial, serial),
        (uri.slot_id, token.slot.slot_id),
    )
    return all(wanted is None or wanted == found for wanted, found in pairs)


def check_attempts(flags: Any, location: str) -> None:
    """Raise IdentityError if the token is locked, or the next wrong PIN would lock it."""
    from pkcs11 import TokenFlag

    if TokenFlag.USER_PIN_LOCKED in flags:
        raise IdentityError(
            f"{location} is locked: a wrong PIN was given too often",
            hint="have its security officer unlock it, and correct the PIN.",
        )
    if TokenFlag.USER_PIN_FINAL_TRY in flags:
        raise IdentityError(
            f"{location} has one attempt left before it locks, so the PIN was not tried",
            hint=f"log in once by hand with the right PIN, for example with `pkcs11-tool --login`, "
            f"and correct {PIN}.",
        )


@contextmanager
def token_errors(location: str) -> Iterator[None]:
    """Turn an error of the library into ours; none repeats what was sent."""
    import pkcs11

    try:
        yield
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as cause:
        raise wrong_pin(location) from cause
    except pkcs11.PinLocked as cause:
        raise PinRefused(
            f"{location} is locked: a wrong PIN was given too often",
            hint="have its security officer unlock it, and correct the PIN.",
        ) from cause
    except pkcs11.PinExpired as cause:
        raise PinRefused(
            f"the PIN of {location} has expired", hint=f"change it, and set {PIN} to the new one."
        ) from cause
    except pkcs11.PKCS11Error as cause:
        raise SigningError(
            f"{location} failed: {type(cause).__name__}",
            hint="check that the token is connected, and what its tools say about it.",
        ) from cause


def lost_errors(pkcs11: Any) -> tuple[type[Exception], ...]:
    """Return the errors after which a new session may help."""
    return (
        pkcs11.DeviceError,
        pkcs11.DeviceRemoved,
        pkcs11.FunctionFailed,
        pkcs11.KeyHandleInvalid,
        pkcs11.ObjectHandleInvalid,
        pkcs11.SessionClosed,
        pkcs11.SessionHandleInvalid,
        pkcs11.TokenNotPresent,
        pkcs11.UserNotLoggedIn,
    )


def wrong_pin(location: str) -> PinRefused:
    """Return the error for a PIN that the token refused."""
    return PinRefused(
        f"the PIN of {location} is wrong; it was tried once and won't be tried again",
        hint=f"correct {PIN} before you run again: a few wrong PINs lock a token.",
    )
