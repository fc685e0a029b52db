"""certificates.p7b: reading certificates in every encoding, writing them leaf first.

The names that work on chains (``find_chain``, ``chain_problems``, …) are here too, so that users
of certificates need this module only.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ign_deploy.errors import VerificationError
from ign_deploy.module import findings
from ign_deploy.module.certificate_info import (
    CertificateInfo,
    describe,
    is_authority,
    is_issued_by,
    is_self_signed,
    same_public_key,
)
from ign_deploy.module.chain import (
    chain_problems,
    find_chain,
    validity_findings,
)
from ign_deploy.module.der import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    DerError,
    Element,
    children,
    context,
    encode_element,
    encode_object_identifier,
    object_identifier,
    read_element,
)
from ign_deploy.module.pem import PemBlock, PemError, looks_like_pem, pem_blocks

__all__ = [
    "FILE_NAME",
    "CertificateInfo",
    "chain_problems",
    "contains_private_key",
    "describe",
    "find_chain",
    "is_authority",
    "is_issued_by",
    "is_self_signed",
    "read_certificates",
    "same_public_key",
    "validity_findings",
    "write_certificates",
]

FILE_NAME = "certificates.p7b"
MAX_SIZE = 1 << 18
MAX_CERTIFICATES = 32
_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_PKCS7_LABELS = ("PKCS7", "CMS", "PKCS #7 SIGNED DATA")
DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
_VERSION_1 = b"\x01"
_CERTIFICATES = context(0)
HEAD_FIELDS = 3  # version, digestAlgorithms, contentInfo come before the certificates
# Some tools end a file with a line, or fill it up with zeros.
_PADDING = b" \t\r\n\0"
KEYSTORE_MAGICS = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
_READABLE = "PKCS#7 (DER or PEM) and X.509 (PEM or DER)"


def read_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates in file order, for every encoding that module files have.

    Those are PKCS#7 as DER or PEM (labels ``PKCS7``, ``CMS``, ``CERTIFICATE``), and X.509 as PEM
    with any text around or as DER, also several in a row. Private keys among them are skipped.
    Raises VerificationError: ``certificates-unreadable`` or ``certificates-empty``.
    """
    if len(data) > MAX_SIZE:
        raise _unreadable(f"{len(data)} bytes, more than {MAX_SIZE}")
    try:
        encoded = _encoded_certificates(data)
    except (DerError, PemError) as cause:
        raise _unreadable(str(cause)) from cause
    if not encoded:
        raise _certificates_error("certificates-empty", "no certificate was found")
    if len(encoded) > MAX_CERTIFICATES:
        raise _unreadable(f"{len(encoded)} certificates, more than {MAX_CERTIFICATES}")
    return tuple(load_certificate(each, number) for number, each in enumerate(encoded, start=1))


def write_certificates(chain: Iterable[x509.Certificate]) -> bytes:
    """Return certs-only PKCS#7 (DER) holding the certificates in exactly the order given.

    It is the degenerate SignedData of RFC 2315 (9.1) and RFC 5652 (5.1). cryptography's own writer
    sorts the certificates (DER SET order), but a gateway expects the leaf first, where the caller
    puts it (``find_chain``). The same chain always gives the same bytes.
    """
    signed_data = encode_element(
        SEQUENCE,
        encode_element(INTEGER, _VERSION_1),
        encode_element(SET),
        encode_element(SEQUENCE, encode_object_identifier(DATA)),
        encode_element(
            _CERTIFICATES, *(each.public_bytes(serialization.Encoding.DER) for each in chain)
        ),
        encode_element(SET),
    )
    return encode_element(
        SEQUENCE, encode_object_identifier(SIGNED_DATA), encode_element(context(0), signed_data)
    )


def contains_private_key(data: bytes) -> bool:
    """Return whether the bytes contain a private key, or a keystore that may contain one."""
    if data[:4] in KEYSTORE_MAGICS or b"PRIVATE KEY-----" in data:
        return True
    if len(data) > MAX_SIZE:
        return False  # no reader of keys accepts so much
    try:
        if not _is_der(data):
            return any(_holds_key(block) for block in pem_blocks(data))
        return any(_is_private_key(element) for element in _der_elements(data))
    except (DerError, PemError):
        return False


def _encoded_certificates(data: bytes) -> list[bytes]:
    if data[:4] in KEYSTORE_MAGICS:
        raise DerError("it is a Java keystore")
    if _is_der(data):
        return [each for element in _der_elements(data) for each in _certificates_in(element)]
    if not looks_like_pem(data):
        raise DerError("it is neither DER nor PEM" if data.strip() else "it is empty")
    return [each for block in pem_blocks(data) for each in _certificates_in_block(block)]


def _is_der(data: bytes) -> bool:
    """Return whether it is DER; text may begin with a zero (also 0x30), but never goes on so."""
    return data[:1] == b"0" and (data[1:2] >= b"\x80" or not looks_like_pem(data))


def _der_elements(data: bytes) -> list[Element]:
    elements: list[Element] = []
    position, end = 0, len(data.rstrip(_PADDING))
    while position == 0 or position < end:
        if len(elements) > MAX_CERTIFICATES:
            raise DerError(f"it has more than {MAX_CERTIFICATES} parts")
        elements.append(read_element(data, position))
        position = elements[-1].end
    return elements


def _certificates_in_block(block: PemBlock) -> list[bytes]:
    if block.label not in (*_CERTIFICATE_LABELS, *_PKCS7_LABELS):
        return []
    # Only the first element: a TRUSTED CERTIFICATE of OpenSSL has its trust settings after it.
    return _certificates_in(read_element(block.decode()))


def _certificates_in(element: Element) -> list[bytes]:
    if is_signed_data(element):
        return signed_certificates(element)
    return [] if _is_private_key(element) else [element.raw]


def is_signed_data(element: Element) -> bool:
    """Return whether the element is a ContentInfo of type signedData."""
    try:
        return object_identifier(children(element, tag=SEQUENCE)[0]) == SIGNED_DATA
    except (DerError, IndexError):
        return False


def signed_certificates(content_info: Element) -> list[bytes]:
    """Return the DER of each certificate in a SignedData, in file order; raises DerError.

    cryptography's own reader rejects some real files.
    """
    parts = children(content_info, tag=SEQUENCE)
    try:
        (signed_data,) = children(parts[1], tag=context(0))
    except (IndexError, ValueError) as cause:
        raise DerError("the PKCS#7 structure has no SignedData") from cause
    fields = children(signed_data, tag=SEQUENCE)
    if [each.tag for each in fields[:HEAD_FIELDS]] != [INTEGER, SET, SEQUENCE]:
        raise DerError("the SignedData doesn't begin with version, digests and content")
    if len(fields) == HEAD_FIELDS or fields[HEAD_FIELDS].tag != _CERTIFICATES:
        return []
    certificates = children(fields[HEAD_FIELDS])
    if any(each.tag != SEQUENCE for each in certificates):
        raise DerError("the SignedData contains attribute certificates or other unknown types")
    return [each.raw for each in certificates]


def _holds_key(block: PemBlock) -> bool:
    return block.is_private_key or _is_private_key(read_element(block.decode()))


def _is_private_key(element: Element) -> bool:
    """Recognise PKCS#1, PKCS#8 (encrypted too), SEC 1 keys and PKCS#12 stores by their shape.

    A certificate and a PKCS#7 begin otherwise: with three parts of which two are sequences, and
    with an object identifier.
    """
    try:
        parts = [each.tag for each in children(element, tag=SEQUENCE)]
    except DerError:
        return False
    return parts[:1] == [INTEGER] or parts == [SEQUENCE, OCTET_STRING]


def load_certificate(der: bytes, number: int) -> x509.Certificate:
    """Parse one certificate fully, so that no field of it can fail later."""
    try:
        if (serial := _serial_number(der)) <= 0:
            # RFC 5280 (4.1.2.2) forbids it, and cryptography is going to reject it.
            raise _certificates_error(
                "certificates-unreadable",
                f"certificate {number} has the serial number {serial}, which must be positive",
                hint="have the certificate issued again.",
            )
        certificate = x509.load_der_x509_certificate(der)
        describe(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as cause:
        raise _unreadable(f"certificate {number} can't be decoded ({cause})") from cause
    return certificate


def _serial_number(der: bytes) -> int:
    """Return the serial number, 1 if there is none, which the parser explains; raises DerError."""
    to_be_signed = children(read_element(der), tag=SEQUENCE)[:1]
    fields = children(to_be_signed[0], tag=SEQUENCE) if to_be_signed else []
    serials = [each.content for each in fields if each.tag != context(0)][:1]
    return int.from_bytes(serials[0], "big", signed=True) if serials else 1


def _unreadable(reason: str) -> VerificationError:
    return _certificates_error(
        "certificates-unreadable", f"the certificates can't be read: {reason}"
    )


def _certificates_error(
    code: str, message: str, *, hint: str = f"provide the certificate chain as {_READABLE}."
) -> VerificationError:
    finding = findings.error(code, message, location=FILE_NAME, hint=hint)
    return VerificationError.from_findings(finding)
