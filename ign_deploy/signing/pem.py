"""Reading private keys, encrypted or not, from PEM and from bare DER."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
)

from ign_deploy.errors import IdentityError, VerificationError
from ign_deploy.module.certificates import contains_private_key, read_certificates
from ign_deploy.module.der import OCTET_STRING, SEQUENCE, DerError, children, read_element
from ign_deploy.module.pem import PemBlock, PemError, pem_blocks
from ign_deploy.signing.encryption import undecryptable_key, undecryptable_pem
from ign_deploy.signing.keysource import KeySource

_OPENSSH = "OPENSSH PRIVATE KEY"
_KEY_HINT = "provide the key as PEM text, with a line such as `-----BEGIN PRIVATE KEY-----`."


def read_pem(data: bytes, *, password: str | None) -> KeySource:
    """Return the only private key of a PEM text, with the certificates in it, if any.

    A password for a key that isn't encrypted is ignored. Raises IdentityError.
    """
    try:
        blocks = list(pem_blocks(data))
        keys = [block for block in blocks if block.is_private_key]
        for each in keys:
            each.decode()
    except PemError as cause:
        raise IdentityError(f"the key can't be read: {cause}", hint=_KEY_HINT) from cause
    if not keys:
        labels = ", ".join(sorted({block.label for block in blocks}))
        raise IdentityError(f"found no private key, only: {labels}", hint=_KEY_HINT)
    if len(keys) > 1:
        raise IdentityError(
            f"found {len(keys)} private keys, expected one",
            hint="keep the signing key only.",
        )
    key = _load_block(keys[0], password)
    if len(blocks) == 1:
        return KeySource(key)
    try:
        return KeySource(key, read_certificates(data))
    except VerificationError as cause:
        if any(finding.code == "certificates-empty" for finding in cause.findings):
            return KeySource(key)
        raise IdentityError(cause.message, hint=cause.hint) from cause


def read_der_key(data: bytes, *, password: str | None) -> KeySource:
    """Return the private key in bare DER: PKCS#8 (also encrypted) or PKCS#1.

    Raises IdentityError.
    """
    if not contains_private_key(data):
        raise IdentityError("found no private key, only a certificate", hint=_KEY_HINT)
    if not is_encrypted_der(data):
        password = None
    elif password is None:
        raise _password_missing()
    return KeySource(_load_der(data, password))


def is_encrypted_der(data: bytes) -> bool:
    """Return whether the DER is an EncryptedPrivateKeyInfo (RFC 5958, 3)."""
    try:
        parts = children(read_element(data), tag=SEQUENCE)
    except DerError:
        return False
    return [each.tag for each in parts] == [SEQUENCE, OCTET_STRING]


def _load_block(block: PemBlock, password: str | None) -> PrivateKeyTypes:
    if block.label == _OPENSSH:
        raise IdentityError(
            "the key is in OpenSSH's own format",
            hint="convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY.",
        )
    if not block.is_encrypted:
        password = None
    elif password is None:
        raise _password_missing()
    try:
        return load_pem_private_key(block.canonical(), _encoded(password))
    except UnsupportedAlgorithm as cause:
        raise _unsupported() from cause
    except (ValueError, TypeError) as cause:
        if password is None:
            raise _damaged() from cause
        if b"DEK-Info:" in block.headers:
            raise undecryptable_pem(block.headers) from cause
        raise undecryptable_key(block.decode()) from cause


def _load_der(data: bytes, password: str | None) -> PrivateKeyTypes:
    try:
        return load_der_private_key(data, _encoded(password))
    except UnsupportedAlgorithm as cause:
        raise _unsupported() from cause
    except (ValueError, TypeError) as cause:
        raise (_damaged() if password is None else undecryptable_key(data)) from cause


def _encoded(password: str | None) -> bytes | None:
    return None if password is None else password.encode("utf-8", "surrogateescape")


def _password_missing() -> IdentityError:
    return IdentityError(
        "the private key is encrypted, but no password was given",
        hint="set MODULE_SIGNING_PASSWORD to the key's password.",
    )


def _unsupported() -> IdentityError:
    return IdentityError(
        "the private key's type or encryption is not supported",
        hint="convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out signing.key.pem.",
    )


def _damaged() -> IdentityError:
    return IdentityError("the private key is damaged: it can't be decoded", hint=_KEY_HINT)
