"""Certification paths for tests: a signer, authorities above it and a root, each with a defect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.identities import NOT_AFTER, NOT_BEFORE, rsa_key

UNKNOWN = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
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
                link, names[number], number, issuer=names[above], issuer_key=f"level-{above}"
            )
        )
    return tuple(made)


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vendor"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _certificate(
    link: Link, subject: x509.Name, number: int, *, issuer: x509.Name, issuer_key: str
) -> x509.Certificate:
    key = rsa_key(f"level-{number}")
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=number + 1,
        not_valid_before=link.not_before,
        not_valid_after=link.not_after,
    ).add_extension(x509.BasicConstraints(link.authority, link.path_length), critical=True)
    # With key identifiers, others find the issuer among several of the same name.
    above = rsa_key(issuer_key).public_key()
    identifiers = [
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(above),
    ]
    for extension in (*identifiers, *_extensions(link)):
        builder = builder.add_extension(extension, critical=False)
    if link.unknown_critical:
        unknown = x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(rsa_key(issuer_key), hashes.SHA256())


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
