"""How a private key is encrypted, and the error for a cipher that can't be read.

cryptography raises the same exception for a wrong password and for a cipher it doesn't have.
"""

from __future__ import annotations

from collections.abc import Mapping

from ign_deploy.errors import IdentityError
from ign_deploy.module.der import SEQUENCE, DerError, children, object_identifier, read_element
from ign_deploy.signing.keysource import wrong_key_password

_PBES2 = "1.2.840.113549.1.5.13"
# RFC 1423 and OpenSSL's names after DEK-Info.
_READABLE_NAMES = frozenset({"AES-128-CBC", "AES-256-CBC", "DES-EDE3-CBC"})
_READABLE = frozenset(
    {
        "1.2.840.113549.1.5.3",  # PBE-MD5-DES
        "1.2.840.113549.1.12.1.1",  # PBE-SHA1-RC4-128
        "1.2.840.113549.1.12.1.3",  # PBE-SHA1-3DES
        "1.2.840.113549.1.12.1.6",  # PBE-SHA1-RC2-40
        "2.16.840.1.101.3.4.1.2",  # AES-128-CBC
        "2.16.840.1.101.3.4.1.22",  # AES-192-CBC
        "2.16.840.1.101.3.4.1.42",  # AES-256-CBC
        "1.2.840.113549.3.7",  # DES-EDE3-CBC
        "1.2.840.113549.3.2",  # RC2-CBC
    }
)
_NAMES: Mapping[str, str] = {
    "1.2.840.113549.1.5.1": "PBE-MD2-DES",
    "1.2.840.113549.1.5.4": "PBE-MD2-RC2-64",
    "1.2.840.113549.1.5.6": "PBE-MD5-RC2-64",
    "1.2.840.113549.1.5.10": "PBE-SHA1-DES",
    "1.2.840.113549.1.5.11": "PBE-SHA1-RC2-64",
    "1.2.840.113549.1.12.1.2": "PBE-SHA1-RC4-40",
    "1.2.840.113549.1.12.1.4": "PBE-SHA1-2DES",
    "1.2.840.113549.1.12.1.5": "PBE-SHA1-RC2-128",
    "1.2.392.200011.61.1.1.1.2": "CAMELLIA-128-CBC",
    "1.2.392.200011.61.1.1.1.3": "CAMELLIA-192-CBC",
    "1.2.392.200011.61.1.1.1.4": "CAMELLIA-256-CBC",
    "1.2.410.200046.1.1.2": "ARIA-128-CBC",
    "1.2.410.200046.1.1.7": "ARIA-192-CBC",
    "1.2.410.200046.1.1.12": "ARIA-256-CBC",
    "1.3.14.3.2.7": "DES-CBC",
}
# Old ciphers are in OpenSSL's legacy provider only.
_CONVERT = (
    "openssl pkcs8 -topk8 -v2 aes-256-cbc -provider legacy -provider default -in OLD -out"
    " signing.key.pem"
)


def undecryptable_key(encrypted: bytes) -> IdentityError:
    """Return the error for an EncryptedPrivateKeyInfo (RFC 5958, DER) that couldn't be decrypted.

    It names the cipher if that is the reason; otherwise the password is wrong.
    """
    cipher = _cipher(encrypted)
    if cipher is None or cipher in _READABLE:
        return wrong_key_password()
    return _unsupported(_NAMES.get(cipher, cipher), _CONVERT)


def undecryptable_pem(headers: bytes) -> IdentityError:
    """Return the error for a PEM key with a DEK-Info header (RFC 1421, 4.6.1.3), as above."""
    _, _, info = headers.partition(b"DEK-Info:")
    cipher = info.split(b",")[0].strip().decode("ascii", "replace")
    if not cipher or cipher in _READABLE_NAMES:
        return wrong_key_password()
    shown = cipher if len(cipher) <= 32 and cipher.isprintable() else "an unknown cipher"
    return _unsupported(shown, _CONVERT)


def _cipher(encrypted: bytes) -> str | None:
    """Return the object identifier of the cipher: in PBES2 (RFC 8018, A.4) that of its scheme."""
    try:
        algorithm = children(children(read_element(encrypted), tag=SEQUENCE)[0], tag=SEQUENCE)
        kind = object_identifier(algorithm[0])
        if kind != _PBES2:
            return kind
        _, scheme = children(algorithm[1], tag=SEQUENCE)
        return object_identifier(children(scheme, tag=SEQUENCE)[0])
    except (DerError, ValueError, IndexError):
        return None


def _unsupported(cipher: str, command: str) -> IdentityError:
    return IdentityError(
        f"the private key is encrypted with {cipher}, which is not supported",
        hint=f"convert it: {command}.",
    )
