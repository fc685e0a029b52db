"""Certs-only PKCS#7: the degenerate SignedData of RFC 2315 (9.1) and RFC 5652 (5.1).

cryptography's own writer sorts the certificates (DER SET order), its reader rejects some real
files; a gateway wants the leaf first, so the order is kept here in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable

from ign_deploy.module.der import (
    INTEGER,
    SEQUENCE,
    SET,
    DerError,
    Element,
    children,
    context,
    encode,
    encode_object_identifier,
    object_identifier,
)

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
_VERSION_1 = b"\x01"
_CERTIFICATES = context(0)
_HEAD_FIELDS = 3  # version, digestAlgorithms, contentInfo come before the certificates


def is_signed_data(element: Element) -> bool:
    """Return whether the element is a ContentInfo of type signedData."""
    try:
        return object_identifier(children(element, tag=SEQUENCE)[0]) == SIGNED_DATA
    except (DerError, IndexError):
        return False


def certificates_of(content_info: Element) -> list[bytes]:
    """Return the DER of each certificate in a SignedData, in file order. Raises DerError."""
    parts = children(content_info, tag=SEQUENCE)
    try:
        (signed_data,) = children(parts[1], tag=context(0))
    except (IndexError, ValueError) as cause:
        raise DerError("the PKCS#7 structure has no SignedData") from cause
    fields = children(signed_data, tag=SEQUENCE)
    if [each.tag for each in fields[:_HEAD_FIELDS]] != [INTEGER, SET, SEQUENCE]:
        raise DerError("the SignedData doesn't begin with version, digests and content")
    if len(fields) == _HEAD_FIELDS or fields[_HEAD_FIELDS].tag != _CERTIFICATES:
        return []
    certificates = children(fields[_HEAD_FIELDS])
    if any(each.tag != SEQUENCE for each in certificates):
        raise DerError("the SignedData contains attribute certificates or other unknown types")
    return [each.raw for each in certificates]


def signed_data_with(certificates: Iterable[bytes]) -> bytes:
    """Return the DER of a certs-only PKCS#7 with the certificates (DER) in the order given."""
    signed_data = encode(
        SEQUENCE,
        encode(INTEGER, _VERSION_1),
        encode(SET),
        encode(SEQUENCE, encode_object_identifier(DATA)),
        encode(_CERTIFICATES, *certificates),
        encode(SET),
    )
    return encode(SEQUENCE, encode_object_identifier(SIGNED_DATA), encode(context(0), signed_data))
