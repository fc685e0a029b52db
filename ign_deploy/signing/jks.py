"""Reading JKS keystores, the format of ``sun.security.provider.JavaKeyStore``.

No maintained Python library reads them. The file is big-endian: magic, version, entries, and a
SHA-1 over the password, a constant and everything before it. A private key is encrypted by XOR with
a chain of SHA-1 digests (the protection with the OID below). Both digests are the format's own;
only the strength of the password protects such a file.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key

from ign_deploy.errors import IdentityError, VerificationError
from ign_deploy.module.certificates import read_certificates
from ign_deploy.module.der import (
    SEQUENCE,
    DerError,
    children,
    object_identifier,
    octets,
    read_only_element,
)
from ign_deploy.signing.keysource import (
    KEYTOOL_IMPORT,
    KeyEntry,
    KeySource,
    choose_entry,
    wrong_key_password,
    wrong_store_password,
)

MAGIC = b"\xfe\xed\xfe\xed"
JCEKS_MAGIC = b"\xce\xce\xce\xce"

_VERSIONS = (1, 2)
_KEY_ENTRY, _CERTIFICATE_ENTRY = 1, 2
_DIGEST_SIZE = 20
_INTEGRITY_CONSTANT = b"Mighty Aphrodite"
_KEY_PROTECTOR = "1.3.6.1.4.1.42.2.17.1.1"
_MAX_ENTRIES = 10_000
_MAX_CHAIN = 32


@dataclass(frozen=True, slots=True)
class _ProtectedKey:
    encrypted: bytes
    chain: tuple[bytes, ...]


def read_jks(
    data: bytes, *, store_password: str | None, key_password: str | None, alias: str | None
) -> KeySource:
    """Return the key of that alias with its chain.

    If only one of the passwords is given, it is used for both. Raises IdentityError, whatever the
    bytes.
    """
    store = store_password if store_password is not None else key_password
    own = key_password if key_password is not None else store_password
    if store is None or own is None:
        raise IdentityError(
            "the keystore needs a password, but none was given",
            hint="provide the store password, and the key password if it differs.",
        )
    body = _checked_body(data, store)
    entry = choose_entry(_key_entries(body), alias)
    key = _load_key(_recover(entry.content.encrypted, own))
    try:
        return KeySource(key, _certificates(entry.content.chain))
    except VerificationError as problem:
        return KeySource(key, problem=problem)


def _checked_body(data: bytes, password: str) -> bytes:
    """Return the store without its digest, which proves password and integrity at once."""
    body, digest = data[:-_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if len(body) < len(MAGIC) + 8 or not body.startswith(MAGIC):
        raise _damaged("it is too short")
    wanted = hashlib.sha1(_utf16(password) + _INTEGRITY_CONSTANT + body)  # noqa: S324 - the format's
    if not hmac.compare_digest(wanted.digest(), digest):
        raise wrong_store_password()
    return body


def _key_entries(body: bytes) -> list[KeyEntry[_ProtectedKey]]:
    reader = _Reader(body, len(MAGIC))
    version, count = reader.number(4), reader.number(4)
    if version not in _VERSIONS:
        raise _damaged(f"version {version} is unknown")
    if count > _MAX_ENTRIES:
        raise _damaged(f"it declares {count} entries, more than {_MAX_ENTRIES}")
    entries = []
    for _ in range(count):
        tag, alias = reader.number(4), reader.text()
        reader.take(8)  # the creation date
        if tag == _KEY_ENTRY:
            protected = _ProtectedKey(reader.block(), reader.chain(version))
            entries.append(KeyEntry(alias, protected))
        elif tag == _CERTIFICATE_ENTRY:
            reader.certificate(version)
        else:
            raise _damaged(f"entry type {tag} is unknown")
    return entries


class _Reader:
    """A cursor over the store that never reads past its end."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise _damaged(f"{size} bytes declared, {len(self._data) - self._position} left")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        """Read Java's modified UTF-8, which differs only for NUL and characters above U+FFFF."""
        encoded = self.take(self.number(2)).replace(b"\xc0\x80", b"\0")
        joined = encoded.decode("utf-8", "surrogatepass") if _is_utf8(encoded) else ""
        if encoded and not joined:
            raise _damaged("an alias is not text")
        return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def block(self) -> bytes:
        return self.take(self.number(4))

    def certificate(self, version: int) -> bytes:
        if version > 1:
            kind = self.text()
            if kind != "X.509":
                raise _damaged("it contains a certificate that is not X.509")
        return self.block()

    def chain(self, version: int) -> tuple[bytes, ...]:
        count = self.number(4)
        if count > _MAX_CHAIN:
            raise _damaged(f"a chain has {count} certificates, more than {_MAX_CHAIN}")
        return tuple(self.certificate(version) for _ in range(count))


def _is_utf8(encoded: bytes) -> bool:
    try:
        encoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _recover(encrypted: bytes, password: str) -> bytes:
    """Return the PKCS#8 of a protected key: salt ‖ key XOR stream ‖ SHA-1(password ‖ key)."""
    protected = _protected_octets(encrypted)
    if len(protected) <= 2 * _DIGEST_SIZE:
        raise _damaged("the protected key is too short")
    salt, masked = protected[:_DIGEST_SIZE], protected[_DIGEST_SIZE:-_DIGEST_SIZE]
    secret = _utf16(password)
    key, block = b"", salt
    for at in range(0, len(masked), _DIGEST_SIZE):
        block = hashlib.sha1(secret + block).digest()  # noqa: S324 - the format's
        piece = masked[at : at + _DIGEST_SIZE]
        key += bytes(one ^ other for one, other in zip(piece, block, strict=False))
    wanted = hashlib.sha1(secret + key).digest()  # noqa: S324 - the format's
    if not hmac.compare_digest(wanted, protected[-_DIGEST_SIZE:]):
        raise wrong_key_password()
    return key


def _protected_octets(encrypted: bytes) -> bytes:
    try:
        algorithm, value = children(read_only_element(encrypted), tag=SEQUENCE)
        protector = object_identifier(children(algorithm, tag=SEQUENCE)[0])
        protected = octets(value)
    except (DerError, ValueError, IndexError) as cause:
        raise _damaged("the protected key can't be read") from cause
    if protector != _KEY_PROTECTOR:
        raise IdentityError(
            f"the key is protected by an unknown algorithm ({protector})",
            hint=f"convert the keystore: {KEYTOOL_IMPORT}.",
        )
    return protected


def _load_key(pkcs8: bytes) -> PrivateKeyTypes:
    try:
        return load_der_private_key(pkcs8, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as cause:
        raise _damaged("the private key can't be decoded") from cause


def _certificates(encoded: tuple[bytes, ...]) -> tuple[x509.Certificate, ...]:
    if not encoded:
        return ()
    return read_certificates(b"".join(encoded))


def _utf16(password: str) -> bytes:
    return password.encode("utf-16-be", "surrogatepass")


def _damaged(reason: str) -> IdentityError:
    return IdentityError(
        f"the JKS keystore is damaged: {reason}",
        hint="export the keystore again; pass binary files as Base64.",
    )
