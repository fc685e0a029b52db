"""What one X.509 certificate says: names, fingerprints, validity, key, and who issued it."""

from __future__ import annotations

import datetime as dt
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

BROKEN_HASHES = (hashes.MD5, hashes.SHA1)
"""A second certificate with the same signature can be made."""
_EDWARDS_BITS = {"Ed25519": 256, "Ed448": 456}


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """A certificate as people and release records need it.

    Names are RFC 4514 strings, ``serial`` and the fingerprints lower-case hex without separators;
    ``sha1`` is what a gateway shows as ``certFingerprint``. ``key_type`` is ``RSA``, ``EC``, …
    The dates are aware (UTC).
    """

    subject: str
    issuer: str
    serial: str
    sha1: str
    sha256: str
    not_before: dt.datetime
    not_after: dt.datetime
    self_signed: bool
    key_type: str
    key_bits: int

    def as_dict(self) -> dict[str, str | int | bool]:
        """Return the fields as plain JSON values; dates in ISO 8601 (``2026-01-31T00:00:00Z``)."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "serial": self.serial,
            "sha1": self.sha1,
            "sha256": self.sha256,
            "not_before": _iso(self.not_before),
            "not_after": _iso(self.not_after),
            "self_signed": self.self_signed,
            "key_type": self.key_type,
            "key_bits": self.key_bits,
        }


def describe(certificate: x509.Certificate) -> CertificateInfo:
    """Return what the certificate says. Raises ValueError when a field can't be decoded."""
    kind, bits = _key_kind(certificate)
    return CertificateInfo(
        subject=subject_text(certificate),
        issuer=issuer_text(certificate),
        serial=f"{certificate.serial_number:x}",
        # SHA-1 names the certificate here (the gateway's own choice), it protects nothing.
        sha1=certificate.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 - see the line above
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        self_signed=is_self_signed(certificate),
        key_type=kind,
        key_bits=bits,
    )


def subject_text(certificate: x509.Certificate) -> str:
    """Return the subject as RFC 4514 text; it may be empty."""
    with _unusual_names():
        return certificate.subject.rfc4514_string()


def subject_of(certificate: x509.Certificate) -> str:
    """Return the subject as text; the serial number where the subject is empty."""
    return subject_text(certificate) or f"the certificate with serial {certificate.serial_number:x}"


def identified(certificate: x509.Certificate) -> str:
    """Return the subject with what tells certificates of one subject apart: serial and dates."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return (
        f"{subject_text(certificate) or 'the certificate without a subject'} "
        f"(serial {certificate.serial_number:x}, {start:%Y-%m-%d} to {end:%Y-%m-%d})"
    )


def distinct_names(certificates: Iterable[x509.Certificate]) -> dict[x509.Certificate, str]:
    """Name each certificate: by its subject, and by serial and dates if another has the same."""
    names = {each: subject_of(each) for each in certificates}
    counts = Counter(names.values())
    return {each: name if counts[name] == 1 else identified(each) for each, name in names.items()}


def issuer_text(certificate: x509.Certificate) -> str:
    """Return the issuer as RFC 4514 text."""
    with _unusual_names():
        return certificate.issuer.rfc4514_string()


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Return whether the certificate's signature was made by its own key.

    Equal subject and issuer alone prove nothing: a real vendor certificate has both equal and is
    signed by another key.
    """
    return is_issued_by(certificate, certificate)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether ``issuer``'s key made the signature and the names match.

    Also for a signature with SHA-1 or MD5, which proves little: whoever relies on it has to look at
    its algorithm.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return _has_old_signature(certificate, issuer)
    return True


def _has_old_signature(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return the same for RSA with a hash that the library no longer checks in certificates."""
    try:
        key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
        if certificate.issuer != issuer.subject or not isinstance(algorithm, BROKEN_HASHES):
            return False
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        body = certificate.tbs_certificate_bytes
        key.verify(certificate.signature, body, padding.PKCS1v15(), algorithm)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether the certificate may issue others (BasicConstraints CA, RFC 5280 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return constraints.value.ca


def same_public_key(certificate: x509.Certificate, key: PublicKeyTypes) -> bool:
    """Return whether the certificate is for that public key."""
    return public_key_der(certificate.public_key()) == public_key_der(key)


def public_key_der(key: PublicKeyTypes) -> bytes:
    """Return the key's SubjectPublicKeyInfo, by which keys are compared."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@contextmanager
def _unusual_names() -> Iterator[None]:
    """Silence warnings about names such as ``C=USA``, which keytool makes and X.520 forbids."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute's length must be")
        yield


def _key_kind(certificate: x509.Certificate) -> tuple[str, int]:
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm as cause:
        raise ValueError("the certificate's key is of an unknown type") from cause
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    name = type(key).__name__.removesuffix("PublicKey")
    return name, _EDWARDS_BITS.get(name, 0)


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
