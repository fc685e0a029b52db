"""A small writer of JKS keystores, for stores that keytool no longer makes, and broken ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ign_deploy.module.der import (
    OCTET_STRING,
    SEQUENCE,
    encode_element,
    encode_object_identifier,
)

VECTORS = Path(__file__).parent.parent / "data" / "vectors"
KEYSTORES = Path(__file__).parent.parent / "data" / "keystores"
SALT = bytes(range(20))

NULL = 0x05  # ASN.1's tag


@dataclass(frozen=True)
class JksKey:
    """A private key entry; ``password`` is the key's own."""

    alias: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]
    password: str


@dataclass(frozen=True)
class JksTrusted:
    """A trusted certificate entry."""

    alias: str
    certificate: x509.Certificate


def jks(*entries: JksKey | JksTrusted, password: str = "changeit", version: int = 2) -> bytes:
    """Return a whole keystore."""
    body = b"\xfe\xed\xfe\xed" + _u4(version) + _u4(len(entries))
    return sealed(body + b"".join(_entry(each, version) for each in entries), password)


def sealed(body: bytes, password: str = "changeit") -> bytes:
    """Append the integrity digest to the body."""
    secret = password.encode("utf-16-be")
    return body + hashlib.sha1(secret + b"Mighty Aphrodite" + body).digest()


def protected_key(pkcs8: bytes, password: str) -> bytes:
    """Return the EncryptedPrivateKeyInfo that JKS has."""
    secret = password.encode("utf-16-be")
    hidden, block = b"", SALT
    for at in range(0, len(pkcs8), 20):
        block = hashlib.sha1(secret + block).digest()
        hidden += bytes(a ^ b for a, b in zip(pkcs8[at : at + 20], block, strict=False))
    value = SALT + hidden + hashlib.sha1(secret + pkcs8).digest()
    algorithm = encode_element(
        SEQUENCE, encode_object_identifier("1.3.6.1.4.1.42.2.17.1.1"), encode_element(NULL)
    )
    return encode_element(SEQUENCE, algorithm, encode_element(OCTET_STRING, value))


def _entry(entry: JksKey | JksTrusted, version: int) -> bytes:
    head = _text(entry.alias) + bytes(8)
    if isinstance(entry, JksTrusted):
        return _u4(2) + head + _certificate(entry.certificate, version)
    pkcs8 = entry.key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = protected_key(pkcs8, entry.password)
    chain = b"".join(_certificate(each, version) for each in entry.chain)
    return _u4(1) + head + _u4(len(key)) + key + _u4(len(entry.chain)) + chain


def _certificate(certificate: x509.Certificate, version: int) -> bytes:
    der = certificate.public_bytes(serialization.Encoding.DER)
    kind = _text("X.509") if version > 1 else b""
    return kind + _u4(len(der)) + der


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _u4(number: int) -> bytes:
    return number.to_bytes(4, "big")
