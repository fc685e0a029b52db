"""Reading PKCS#12 keystores (RFC 7292), with any number of keys.

cryptography checks the password and reads the certificates, but it returns the first key only. So
the key bags are listed here, and the chosen one, which is a PKCS#8 structure, is decrypted by
cryptography on its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    PKCS12KeyAndCertificates,
    load_pkcs12,
)

from ign_deploy.errors import IdentityError, VerificationError
from ign_deploy.module.certificates import DATA, read_certificates
from ign_deploy.module.der import (
    BMP_STRING,
    INTEGER,
    SEQUENCE,
    SET,
    DerError,
    Element,
    children,
    context,
    object_identifier,
    octets,
    read_element,
)
from ign_deploy.module.pem import PemError, looks_like_pem, pem_blocks
from ign_deploy.signing.encryption import undecryptable_key
from ign_deploy.signing.keysource import (
    KEYTOOL_IMPORT,
    KeyEntry,
    KeySource,
    choose_entry,
    wrong_store_password,
)
from ign_deploy.signing.pem import is_encrypted_der

_KEY_BAG = "1.2.840.113549.1.12.10.1.1"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
_NESTED_BAG = "1.2.840.113549.1.12.10.1.6"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_ATTRIBUTES_AT = 2  # SafeBag ::= SEQUENCE { bagId, bagValue, bagAttributes OPTIONAL }


def is_pkcs12(data: bytes) -> bool:
    """Return whether the DER (or BER) is a PFX of version 3."""
    try:
        parts = children(read_element(data), tag=SEQUENCE)
        return parts[0].content == b"\x03" and [e.tag for e in parts[:2]] == [INTEGER, SEQUENCE]
    except (DerError, IndexError):
        return False


def without_armour(data: bytes) -> bytes:
    """Return the PKCS#12 in a PEM block, whatever its label; anything else unchanged.

    Windows' ``certutil -encode`` writes any file as a ``CERTIFICATE``.
    """
    if not looks_like_pem(data):
        return data
    try:
        blocks = [block.decode() for block in pem_blocks(data)]
    except PemError:
        return data  # explained by who reads PEM
    return blocks[0] if len(blocks) == 1 and is_pkcs12(blocks[0]) else data


def read_pkcs12(
    data: bytes, *, store_password: str | None, key_password: str | None, alias: str | None
) -> KeySource:
    """Return the key with that alias, and all certificates of the store.

    Keys without a name get Java's: ``1``, ``2``, … If only one of the passwords is given, it is
    used for both. Raises IdentityError, whatever the bytes.
    """
    store = store_password if store_password is not None else key_password
    own = key_password if key_password is not None else store_password
    opened = _open(data, store)
    try:
        entries = _key_entries(data)
    except (DerError, ValueError, IndexError) as cause:
        raise _damaged() from cause
    if not entries and opened.key is not None:
        raise IdentityError(
            "the keystore's private keys can't be listed: they are doubly encrypted",
            hint=f"export the signing key on its own: {KEYTOOL_IMPORT} -srcalias ALIAS.",
        )
    entry = choose_entry(entries, alias)
    if len(entries) == 1 and opened.key is not None:
        key = opened.key  # OpenSSL knows more ciphers than are read below, and an empty password
    else:
        key = _decrypt(entry.content, dict.fromkeys((own, store)), opened.key)
    certificates, problem = _certificates(opened, entry.alias)
    return KeySource(key, certificates, may_hold_others=True, problem=problem)


def _open(data: bytes, password: str | None) -> PKCS12KeyAndCertificates:
    try:
        with warnings.catch_warnings():  # for developers only
            warnings.filterwarnings("ignore", "PKCS#12 bundle could not be parsed as DER")
            warnings.filterwarnings("ignore", "Parsed a serial number which wasn't positive")
            return load_pkcs12(data, _encoded(password))
    except UnsupportedAlgorithm as cause:
        raise _unsupported() from cause
    except (ValueError, TypeError) as cause:
        if password is None:
            raise IdentityError(
                "the keystore needs a password, but none was given",
                hint="provide the store password.",
            ) from cause
        raise wrong_store_password() from cause


def _certificates(
    opened: PKCS12KeyAndCertificates, alias: str
) -> tuple[tuple[x509.Certificate, ...], VerificationError | None]:
    """Return the certificates; those named like the key come first, the rest keep their order.

    A keystore may also hold certificates outside the key's chain, so one that can't be read is
    skipped: if it was needed, it will be missing from the chain, and that is reported. Returns the
    first such problem, too.
    """

    def named_otherwise(certificate: PKCS12Certificate) -> bool:
        name = (certificate.friendly_name or b"").decode("utf-8", "replace")
        return name.casefold() != alias.casefold()

    own = [opened.cert] if opened.cert is not None else []
    certificates: list[x509.Certificate] = []
    problem: VerificationError | None = None
    for each in sorted([*own, *opened.additional_certs], key=named_otherwise):
        try:
            certificates += read_certificates(each.certificate.public_bytes(Encoding.DER))
        except VerificationError as cause:
            problem = problem or cause
    return tuple(certificates), problem


def _key_entries(data: bytes) -> list[KeyEntry[Element]]:
    """List the key bags of the parts that aren't encrypted as a whole (RFC 7292, 4.1)."""
    pfx = children(read_element(data), tag=SEQUENCE)
    safe = read_element(_data_of(pfx[1]))
    bags: list[Element] = []
    for content_info in children(safe, tag=SEQUENCE):
        if object_identifier(children(content_info, tag=SEQUENCE)[0]) == DATA:
            bags += _key_bags(read_element(_data_of(content_info)))
    entries: list[KeyEntry[Element]] = []
    unnamed = 0
    for bag in bags:
        name = _friendly_name(bag)
        unnamed += not name
        value = children(children(bag)[1], tag=context(0))[0]
        entries.append(KeyEntry(name or str(unnamed), value))
    return entries


def _key_bags(contents: Element) -> list[Element]:
    bags = []
    for bag in children(contents, tag=SEQUENCE):
        parts = children(bag, tag=SEQUENCE)
        kind = object_identifier(parts[0])
        if kind in (_KEY_BAG, _SHROUDED_KEY_BAG):
            bags.append(bag)
        elif kind == _NESTED_BAG:
            raise DerError("bags inside bags are not supported")
    return bags


def _data_of(content_info: Element) -> bytes:
    """Return the octets of a ContentInfo of type data."""
    content = children(children(content_info, tag=SEQUENCE)[1], tag=context(0))
    return octets(content[0])


def _friendly_name(bag: Element) -> str:
    parts = children(bag)
    if len(parts) <= _ATTRIBUTES_AT:
        return ""
    for attribute in children(parts[_ATTRIBUTES_AT], tag=SET):
        kind, values = children(attribute, tag=SEQUENCE)
        names = children(values, tag=SET)
        if object_identifier(kind) == _FRIENDLY_NAME and names and names[0].tag == BMP_STRING:
            return names[0].content.decode("utf-16-be", "replace")
    return ""


def _decrypt(
    bag_value: Element, passwords: Collection[str | None], first_key: PrivateKeyTypes | None
) -> PrivateKeyTypes:
    """Decrypt the chosen key; its password is usually the store's, but needn't be.

    Checking an RSA-4096 key takes 0.2 s. It is not done twice for the key that is open already.
    """
    failure: Exception | None = None
    for each in passwords if is_encrypted_der(bag_value.raw) else (None,):
        try:
            password = _encoded(each)
            key = load_der_private_key(bag_value.raw, password, unsafe_skip_rsa_key_validation=True)
            if _is_same_key(key, first_key):
                return key
            return load_der_private_key(bag_value.raw, password)
        except UnsupportedAlgorithm as cause:
            raise _unsupported() from cause
        except (ValueError, TypeError) as cause:
            failure = cause
    if not any(passwords):
        raise IdentityError(
            "the keystore's key is encrypted with an empty password, which is not supported",
            hint="export the keys: openssl pkcs12 -in FILE -passin pass: -out signing.key.pem.",
        ) from failure
    raise undecryptable_key(bag_value.raw) from failure


def _is_same_key(key: PrivateKeyTypes, checked: PrivateKeyTypes | None) -> bool:
    return (
        isinstance(key, RSAPrivateKey)
        and isinstance(checked, RSAPrivateKey)
        and key.private_numbers() == checked.private_numbers()
    )


def _encoded(password: str | None) -> bytes | None:
    return None if password is None else password.encode("utf-8", "surrogateescape")


def _unsupported() -> IdentityError:
    return IdentityError(
        "the keystore's encryption is no longer supported",
        hint=f"convert it: {KEYTOOL_IMPORT}.",
    )


def _damaged() -> IdentityError:
    return IdentityError(
        "the PKCS#12 keystore is damaged: its keys can't be listed",
        hint="export the keystore again; pass binary files as Base64.",
    )
