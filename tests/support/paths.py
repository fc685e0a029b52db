"""Certification paths for tests: a signer, authorities above it and a root, each with a defect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.identities import NOT_AFTER, NOT_BEFORE, rsa_key

UNKNOWN = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
# sha256WithRSAEncryption and its older relatives; their encodings have the same length.
_RSA_OIDS = {
    name: b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" + last
    for name, last in (("md5", b"\x04"), ("sha1", b"\x05"), ("sha256", b"\x0b"))
}
CODE = (ExtendedKeyUsageOID.CODE_SIGNING,)


@dataclass(frozen=True)
class Link:
    """What one certificate of a path says; None leaves an extension out."""

    name: str
    authority: bool = True
    path_length: int | None = None
    signs_certificates: bool | None = None
    """Key usage: with it, with another one, or without the extension."""
    signs_data: bool | None = None
    purposes: Sequence[x509.ObjectIdentifier] = ()
    constraints: x509.NameConstraints | None = None
    names: Sequence[x509.GeneralName] = ()
    unknown_critical: bool = False
    bits: int = 2048
    hash_algorithm: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    """Of the signature on this certificate."""
    not_before: dt.datetime = NOT_BEFORE
    not_after: dt.datetime = NOT_AFTER
    self_issued: bool = field(default=False)
    """Has its issuer's name, as a key rollover has."""


def make_path(links: Sequence[Link]) -> tuple[x509.Certificate, ...]:
    """Return the certificates of the links: the signer first, a self-signed root last."""
    names: list[x509.Name] = []
    for link in reversed(links):
        names.insert(0, names[0] if link.self_issued and names else _name(link.name))
    made = []
    for number, link in enumerate(links):
        above = min(number + 1, len(links) - 1)
        made.append(
            _certificate(
                link,
                names[number],
                number,
                key=_key(links, number),
                issuer=names[above],
                issuer_key=_key(links, above),
            )
        )
    return tuple(made)


def _key(links: Sequence[Link], number: int) -> rsa.RSAPrivateKey:
    bits = links[number].bits
    return rsa_key(f"level-{number}" if bits == 2048 else f"level-{number}-{bits}", bits)


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vendor"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _certificate(
    link: Link,
    subject: x509.Name,
    number: int,
    *,
    key: rsa.RSAPrivateKey,
    issuer: x509.Name,
    issuer_key: rsa.RSAPrivateKey,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=number + 1,
        not_valid_before=link.not_before,
        not_valid_after=link.not_after,
    ).add_extension(x509.BasicConstraints(link.authority, link.path_length), critical=True)
    # With key identifiers, others find the issuer among several of the same name.
    above = issuer_key.public_key()
    identifiers = [
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(above),
    ]
    for extension in (*identifiers, *_extensions(link)):
        builder = builder.add_extension(extension, critical=False)
    if link.unknown_critical:
        unknown = x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return _signed_with(builder.sign(issuer_key, hashes.SHA256()), link.hash_algorithm, issuer_key)


def _signed_with(
    certificate: x509.Certificate, algorithm: hashes.HashAlgorithm, key: rsa.RSAPrivateKey
) -> x509.Certificate:
    """Sign the certificate again; the library doesn't make certificates with broken hashes."""
    old, new = _RSA_OIDS["sha256"], _RSA_OIDS[algorithm.name]
    body = certificate.tbs_certificate_bytes.replace(old, new)
    outer = certificate.public_bytes(serialization.Encoding.DER).replace(old, new)
    signature = key.sign(body, PKCS1v15(), algorithm)
    return x509.load_der_x509_certificate(outer[: -len(signature)] + signature)


def _extensions(link: Link) -> list[x509.ExtensionType]:
    found: list[x509.ExtensionType] = []
    if link.signs_certificates is not None or link.signs_data is not None:
        found.append(
            x509.KeyUsage(
                digital_signature=bool(link.signs_data),
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=bool(link.signs_certificates),
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            )
        )
    if link.purposes:
        found.append(x509.ExtendedKeyUsage(link.purposes))
    if link.constraints is not None:
        found.append(link.constraints)
    if link.names:
        found.append(x509.SubjectAlternativeName(link.names))
    return found
