"""Keys in hardware or SoftHSM, by PKCS#11: one session, one thread, and no PIN is tried twice.

The digest is hashed outside and sent as a DigestInfo with the mechanism CKM_RSA_PKCS, which every
token has. The library must come from ``module-path``: none is searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from ign_deploy.errors import IdentityError, SigningError, VerificationError
from ign_deploy.module.certificates import MAX_CERTIFICATES, load_certificate
from ign_deploy.net.errors import TransientFailure
from ign_deploy.signing.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from ign_deploy.signing.keys.protocol import KeyAccess, not_rsa

# RFC 8017, 9.2: the DigestInfo of SHA-256, before the digest.
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_PIN = "MODULE_SIGNING_PIN"
_MOST_SHOWN = 10
# A PIN that a token refused in this process, by library and token: never tried a second time.
_refused: set[tuple[str, str, str]] = set()


def open_pkcs11_key(uri: str, *, access: KeyAccess) -> Pkcs11Key:
    """Log in to the token and find the key; raises IdentityError."""
    key = Pkcs11Key(parse_pkcs11_uri(uri), access.pin.rstrip("\r\n"))
    key.connect()
    return key


@dataclass(slots=True)
class _Found:
    """An open session and what was found in its token."""

    session: Any
    private_key: Any
    asks_each_time: bool
    """Whether the token wants the PIN for each signature (CKA_ALWAYS_AUTHENTICATE)."""


class Pkcs11Key:
    """A private key in a token, with a session that stays open until ``close``."""

    batch_size = 1
    parallel = 1

    def __init__(self, uri: Pkcs11Uri, pin: str) -> None:
        self._uri = uri
        self._pin = pin
        self._found: _Found | None = None
        self.location = f"the token {_quoted(uri.token)}" if uri.token else "the token"
        self.public_key: rsa.RSAPublicKey
        self.certificates: tuple[x509.Certificate, ...] = ()

    def connect(self) -> _Found:
        """Open the session, log in once, and find the key and the token's certificates."""
        token = _find_token(_load_library(self._uri.module_path), self._uri)
        self.location = f"the token {_quoted(token.label)}"
        session = self._log_in(token)
        try:
            with _explained(self.location):
                self._found = self._find_key(session)
        except BaseException:
            _close(session)
            raise
        return self._found

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest; a session that was lost is opened again."""
        from pkcs11 import Mechanism

        found = self._found or self._reconnect()
        pin = self._pin if found.asks_each_time else None
        with self._watched():
            return [
                found.private_key.sign(_DIGEST_INFO + digest, mechanism=Mechanism.RSA_PKCS, pin=pin)
                for digest in digests
            ]

    def close(self) -> None:
        """Log out and end the session."""
        if self._found is not None:
            _close(self._found.session)
            self._found = None

    def _log_in(self, token: Any) -> Any:
        """Open a session; a PIN that could lock the token, or was refused before, isn't tried."""
        from pkcs11 import PROTECTED_AUTH, TokenFlag

        flags = token.flags
        pin: Any = self._pin or None
        if pin is None and TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags:
            pin = PROTECTED_AUTH  # on the reader's own keys
        elif pin is None and TokenFlag.LOGIN_REQUIRED in flags:
            raise IdentityError(
                f"{self.location} needs a PIN, but none is given",
                hint=f"set {_PIN} to the PIN, or to the path of a file with it.",
            )
        attempt = (self._uri.module_path, token.serial.hex(), self._pin)
        if self._pin:
            _check_attempts(flags, self.location)
            if attempt in _refused:
                raise _wrong_pin(self.location)
        try:
            with _explained(self.location):
                return token.open(user_pin=pin)
        except _PinRefused:
            _refused.add(attempt)
            raise

    def _find_key(self, session: Any) -> _Found:
        from pkcs11 import Attribute, KeyType, ObjectClass

        private = self._only_key(session)
        if private.key_type is not KeyType.RSA:
            raise not_rsa(private.key_type.name)
        if not _attribute(private, Attribute.SIGN):
            raise IdentityError(
                f"the key in {self.location} is not allowed to sign (CKA_SIGN is false)",
                hint="name another key with --key, or create one for signing.",
            )
        wanted = {Attribute.CLASS: ObjectClass.CERTIFICATE}
        self.certificates = _certificates(session.get_objects(wanted))
        self.public_key = self._public_key(session, private)
        asks = bool(_attribute(private, Attribute.ALWAYS_AUTHENTICATE))
        return _Found(session, private, asks)

    def _only_key(self, session: Any) -> Any:
        from pkcs11 import Attribute, ObjectClass

        uri, wanted = self._uri, {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        if uri.object is not None:
            wanted[Attribute.LABEL] = uri.object
        if uri.id is not None:
            wanted[Attribute.ID] = uri.id
        keys = list(session.get_objects(wanted))
        if len(keys) == 1:
            return keys[0]
        if keys:
            names = ", ".join(f"id={_percent(each.id)}" for each in keys[:_MOST_SHOWN])
            raise IdentityError(
                f"{len(keys)} private keys in {self.location} match --key",
                hint=f"add the id of one of them to the URI: {names}.",
            )
        every = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        labels = sorted({_quoted(each.label) for each in every})[:_MOST_SHOWN]
        raise IdentityError(
            f"{self.location} has no private key that matches --key",
            hint=f"correct object= or id=; its keys are: {', '.join(labels)}."
            if labels
            else "create a key in it, or name another token.",
        )

    def _public_key(self, session: Any, private: Any) -> rsa.RSAPublicKey:
        """Return the public key from the private one, else from its namesake, or a certificate."""
        from pkcs11 import Attribute, ObjectClass

        wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: private.id}
        modulus = _attribute(private, Attribute.MODULUS)
        for each in (private, *session.get_objects(wanted)):
            exponent = _attribute(each, Attribute.PUBLIC_EXPONENT)
            if modulus and exponent and _attribute(each, Attribute.MODULUS) == modulus:
                numbers = rsa.RSAPublicNumbers(
                    int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")
                )
                return numbers.public_key()
        for certificate in self.certificates:
            key = certificate.public_key()
            number = int.from_bytes(modulus or b"", "big")
            if isinstance(key, rsa.RSAPublicKey) and key.public_numbers().n == number:
                return key
        raise IdentityError(
            f"{self.location} doesn't tell the public key of the signing key",
            hint="store the public key or the certificate in the token, under the key's id.",
        )

    def _reconnect(self) -> _Found:
        """Open another session with the PIN that was right; it must be the same key."""
        before = self.public_key
        try:
            found = self.connect()
        except _NoToken as problem:
            raise TransientFailure(problem.message, hint=problem.hint) from problem
        if self.public_key != before:
            self.close()
            raise SigningError(
                f"{self.location} now has another key than before",
                hint="don't change the token while modules are being signed; run again.",
            )
        return found

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Give up the session if the token is gone or failed: the next attempt opens another."""
        import pkcs11

        try:
            with _explained(self.location):
                yield
        except _PinRefused:
            # It was right at the login: what the token now counts as wrong must not be repeated.
            self.close()
            _refused.add((self._uri.module_path, "", self._pin))
            raise
        except SigningError as problem:
            if not isinstance(problem.__cause__, _lost(pkcs11)):
                raise
            self.close()
            raise TransientFailure(problem.message, hint=problem.hint) from problem.__cause__


class _PinRefused(IdentityError):
    """The token refused the PIN."""


class _NoToken(IdentityError):
    """No token matches the URI."""


def _load_library(path: str) -> Any:
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


def _find_token(library: Any, uri: Pkcs11Uri) -> Any:
    """Return the only token that the URI matches; raises IdentityError."""
    from pkcs11 import PKCS11Error, TokenFlag

    tokens = []
    with _explained(uri.module_path):
        for slot in library.get_slots(token_present=True):
            with suppress(PKCS11Error):
                token = slot.get_token()
                if TokenFlag.TOKEN_INITIALIZED in token.flags:
                    tokens.append(token)
    matching = [each for each in tokens if _matches(each, uri)]
    if len(matching) == 1:
        return matching[0]
    shown = [f"{_quoted(each.label)} (slot-id={each.slot.slot_id})" for each in tokens]
    names = ", ".join(shown[:_MOST_SHOWN])
    if matching:
        raise IdentityError(
            f"{len(matching)} tokens match --key",
            hint=f"add serial= or slot-id= to the URI; the tokens are: {names}.",
        )
    raise _NoToken(
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


def _check_attempts(flags: Any, location: str) -> None:
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
            f"and correct {_PIN}.",
        )


def _attribute(found: Any, name: Any) -> Any:
    """Return an attribute, None if the token doesn't have it."""
    from pkcs11 import PKCS11Error

    try:
        return found[name]
    except PKCS11Error:
        return None


def _certificates(found: Iterator[Any]) -> tuple[x509.Certificate, ...]:
    """Return the token's X.509 certificates; what can't be read isn't the signer's."""
    from pkcs11 import Attribute

    certificates = []
    for number, each in enumerate(found, start=1):
        if number > MAX_CERTIFICATES:
            break
        with suppress(VerificationError):
            certificates.append(load_certificate(_attribute(each, Attribute.VALUE) or b"", number))
    return tuple(certificates)


@contextmanager
def _explained(location: str) -> Iterator[None]:
    """Turn an error of the library into ours; none repeats what was sent."""
    import pkcs11

    try:
        yield
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as cause:
        raise _wrong_pin(location) from cause
    except pkcs11.PinLocked as cause:
        raise _PinRefused(
            f"{location} is locked: a wrong PIN was given too often",
            hint="have its security officer unlock it, and correct the PIN.",
        ) from cause
    except pkcs11.PinExpired as cause:
        raise _PinRefused(
            f"the PIN of {location} has expired", hint=f"change it, and set {_PIN} to the new one."
        ) from cause
    except pkcs11.PKCS11Error as cause:
        raise SigningError(
            f"{location} failed: {type(cause).__name__}",
            hint="check that the token is connected, and what its tools say about it.",
        ) from cause


def _lost(pkcs11: Any) -> tuple[type[Exception], ...]:
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


def _wrong_pin(location: str) -> _PinRefused:
    return _PinRefused(
        f"the PIN of {location} is wrong; it was tried once and won't be tried again",
        hint=f"correct {_PIN} before you run again: a few wrong PINs lock a token.",
    )


def _close(session: Any) -> None:
    from pkcs11 import PKCS11Error

    with suppress(PKCS11Error):
        session.close()


def _quoted(label: str | None) -> str:
    return repr((label or "")[:64])


def _percent(value: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in value[:32])
