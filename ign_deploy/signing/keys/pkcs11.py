"""Keys in hardware or SoftHSM, by PKCS#11: one session, one thread, and no PIN is tried twice.

The digest is hashed outside and sent as a DigestInfo with the mechanism CKM_RSA_PKCS, which every
token has. The library must come from ``module-path``: none is searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ign_deploy.errors import IdentityError, SigningError, VerificationError
from ign_deploy.module.certificates import MAX_CERTIFICATES, load_certificate
from ign_deploy.module.findings import quoted
from ign_deploy.net.errors import TransientFailure
from ign_deploy.signing.keys.pkcs11_token import (
    MOST_SHOWN,
    PIN,
    NoToken,
    PinRefused,
    check_attempts,
    find_token,
    load_library,
    lost_errors,
    token_errors,
    wrong_pin,
)
from ign_deploy.signing.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from ign_deploy.signing.keys.protocol import KeyAccess, not_rsa

# RFC 8017, 9.2: the DigestInfo of SHA-256, before the digest.
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
# A PIN that a token refused in this process, by library and token: never tried a second time.
_refused: set[tuple[str, str, str]] = set()


def open_pkcs11_key(uri: str, *, access: KeyAccess) -> Pkcs11Key:
    """Log in to the token and find the key; raises IdentityError."""
    pin = _pin(access)
    if not pin.isprintable():
        raise IdentityError(f"{PIN} is not a PIN", hint="set it to the PIN, as text.")
    key = Pkcs11Key(parse_pkcs11_uri(uri), pin)
    key.connect()
    return key


def add_refused(library: str, serials: Sequence[str], access: KeyAccess) -> None:
    """Remember that the tokens with these serial numbers refused the PIN."""
    _refused.update((library, serial, _pin(access)) for serial in serials)


def refused_serials() -> list[str]:
    """Return the serial numbers of the tokens that refused a PIN."""
    return sorted({serial for _, serial, _ in _refused})


def _pin(access: KeyAccess) -> str:
    return access.pin.rstrip("\r\n")


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
        self._attempt = ("", "", "")
        self.location = f"the token {quoted(uri.token)}" if uri.token else "the token"
        self.public_key: rsa.RSAPublicKey
        self.certificates: tuple[x509.Certificate, ...] = ()

    def connect(self) -> _Found:
        """Open the session, log in once, and find the key and the token's certificates."""
        token = find_token(load_library(self._uri.module_path), self._uri)
        self.location = f"the token {quoted(token.label)}"
        session = self._log_in(token)
        try:
            with token_errors(self.location):
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
        from pkcs11 import PROTECTED_AUTH, TokenFlag, UserAlreadyLoggedIn

        flags = token.flags
        pin: Any = self._pin or None
        if pin is None and TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags:
            pin = PROTECTED_AUTH  # on the reader's own keys
        elif pin is None and TokenFlag.LOGIN_REQUIRED in flags:
            raise IdentityError(
                f"{self.location} needs a PIN, but none is given",
                hint=f"set {PIN} to the PIN, or to the path of a file with it.",
            )
        self._attempt = (self._uri.module_path, token.serial.hex(), self._pin)
        if self._pin:
            check_attempts(flags, self.location)
            if self._attempt in _refused:
                raise wrong_pin(self.location)
        with self._one_attempt():
            try:
                return token.open(user_pin=pin)
            except UserAlreadyLoggedIn:  # for another key of this process
                return token.open()

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
            # A token returns its objects in any order.
            ids = sorted(each.id for each in keys)
            names = ", ".join(f"id={_percent(each)}" for each in ids[:MOST_SHOWN])
            raise IdentityError(
                f"{len(keys)} private keys in {self.location} match --key",
                hint=f"add the id of one of them to the URI: {names}.",
            )
        every = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
        labels = sorted({quoted(each.label or "") for each in every})[:MOST_SHOWN]
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
        except NoToken as problem:
            raise TransientFailure(problem.message, hint=problem.hint) from problem
        if self.public_key != before:
            self.close()
            raise SigningError(
                f"{self.location} now has another key than before",
                hint="don't change the token while modules are being signed; run again.",
            )
        return found

    @contextmanager
    def _one_attempt(self) -> Iterator[None]:
        """Explain what the library raises; a PIN that is refused meanwhile isn't used again."""
        try:
            with token_errors(self.location):
                yield
        except PinRefused:
            _refused.add(self._attempt)
            raise

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Give up the session if the token is gone or failed: the next attempt opens another."""
        import pkcs11

        try:
            with self._one_attempt():
                yield
        except SigningError as problem:
            self.close()
            if not isinstance(problem.__cause__, lost_errors(pkcs11)):
                raise
            raise TransientFailure(problem.message, hint=problem.hint) from problem.__cause__


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
    # A token returns its objects in any order; what is made of them mustn't depend on it.
    return tuple(sorted(certificates, key=lambda each: each.public_bytes(Encoding.DER)))


def _close(session: Any) -> None:
    from pkcs11 import PKCS11Error

    with suppress(PKCS11Error):
        session.close()


def _percent(value: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in value[:32])
