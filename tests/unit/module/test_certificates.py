"""certificates.p7b: every encoding in, one encoding out."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7 as reference

from ign_deploy.errors import VerificationError
from ign_deploy.module.certificates import (
    DATA,
    SIGNED_DATA,
    contains_private_key,
    describe,
    is_self_signed,
    read_certificates,
    write_certificates,
)
from ign_deploy.module.der import INTEGER, SEQUENCE, SET, encode_element, encode_object_identifier
from tests.support.identities import chain, issue, pem_certificates, pem_key, rsa_key, self_signed
from tests.support.keystores import VECTORS, JksKey, jks

DER = serialization.Encoding.DER


def der(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(DER) for each in certificates)


def pem(label: str, data: bytes, *, end: str = "\n") -> bytes:
    lines = base64.encodebytes(data).decode().splitlines()
    return end.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def indefinite(certificates: bytes) -> bytes:
    """Return BER as Windows and older tools write it: indefinite lengths outside."""
    head = encode_element(INTEGER, b"\x01") + encode_element(SET)
    head += encode_element(SEQUENCE, encode_object_identifier(DATA))
    signed = (
        b"\x30\x80" + head + b"\xa0\x80" + certificates + b"\0\0" + encode_element(SET) + b"\0\0"
    )
    outer = encode_object_identifier(SIGNED_DATA) + b"\xa0\x80" + signed + b"\0\0"
    return b"\x30\x80" + outer + b"\0\0"


def encodings() -> dict[str, bytes]:
    _, certificates = chain()
    bundle = write_certificates(certificates)
    return {
        "PKCS#7 DER": bundle,
        "PKCS#7 BER": indefinite(der(*certificates)),
        "PKCS#7 PEM": pem("PKCS7", bundle),
        "PKCS#7 PEM, CRLF": pem("PKCS7", bundle, end="\r\n"),
        "CMS PEM": pem("CMS", bundle),
        "PKCS#7 under CERTIFICATE": pem("CERTIFICATE", bundle),
        "X.509 PEM": pem_certificates(*certificates),
        "X.509 PEM, CRLF": pem_certificates(*certificates).replace(b"\n", b"\r\n"),
        "X.509 PEM, text": b"0 s:/CN=x\n   i:/CN=y\n" + pem_certificates(*certificates) + b"\n---",
        "X.509 PEM, old label": pem_certificates(*certificates).replace(b" CERT", b" X509 CERT"),
        "X.509 PEM, trusted": b"".join(
            pem("TRUSTED CERTIFICATE", der(each) + b"\x30\x00") for each in certificates
        ),
        "X.509 DER in a row": der(*certificates),
        "X.509 DER, line feed": der(*certificates) + b"\r\n",
        "one PKCS#7 each": b"".join(write_certificates([each]) for each in certificates),
    }


@pytest.mark.parametrize("name", encodings())
def test_every_encoding_is_read_in_file_order(name: str) -> None:
    _, certificates = chain()
    assert read_certificates(encodings()[name]) == certificates


def test_file_order_is_kept_root_first_too() -> None:
    backwards = chain()[1][::-1]
    assert read_certificates(write_certificates(backwards)) == backwards
    assert read_certificates(der(*backwards)) == backwards


def test_what_other_writers_made_is_read() -> None:
    leaf, middle, root = chain()[1]
    for encoding in (DER, serialization.Encoding.PEM):
        data = reference.serialize_certificates([leaf, middle, root], encoding)
        assert set(read_certificates(data)) == {leaf, middle, root}


@pytest.mark.parametrize(
    ("file", "subjects"),
    [
        ("self2048-jks.der.p7b", ["CN=Self 2048,O=Lab"]),
        ("self4096-pfx.pem.p7b", ["CN=Self 4096,O=Lab"]),
        (
            "chain-leaf-first.DER.p7b",
            ["CN=Lab Leaf\\, LLC,O=Lab", "CN=Lab Intermediate,O=Lab", "CN=Lab Root,O=Lab"],
        ),
        ("root.pem", ["CN=Lab Root,O=Lab"]),
    ],
)
def test_the_vectors_are_read(file: str, subjects: list[str]) -> None:
    certificates = read_certificates((VECTORS / file).read_bytes())
    assert [describe(each).subject for each in certificates] == subjects


@pytest.mark.parametrize("file", ["chain-leaf-first.DER.p7b", "self2048-jks.der.p7b"])
def test_writing_gives_the_very_bytes_of_openssl_for_a_leaf_first_chain(file: str) -> None:
    data = (VECTORS / file).read_bytes()
    assert write_certificates(read_certificates(data)) == data


@pytest.mark.filterwarnings("ignore:PKCS#7 certificates could not be parsed as DER")
def test_the_order_written_is_the_order_given() -> None:
    leaf, middle, root = chain()[1]
    data = write_certificates((leaf, middle, root))
    positions = [data.index(der(each)) for each in (leaf, middle, root)]
    assert positions == sorted(positions)
    assert set(reference.load_der_pkcs7_certificates(data)) == {leaf, middle, root}


def test_private_keys_among_the_certificates_are_passed_over_but_seen() -> None:
    key, certificate = self_signed()
    pkcs8 = key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for data in (
        pem_key(key) + pem_certificates(certificate),
        pem_certificates(certificate) + pem_key(key, password="x"),
        der(certificate) + pkcs8,
        pkcs8 + der(certificate),
        pem("CERTIFICATE", pkcs8) + pem_certificates(certificate),
    ):
        assert read_certificates(data) == (certificate,)
        assert contains_private_key(data)
        assert pkcs8[-64:] not in write_certificates(read_certificates(data))


def test_keystores_count_as_private_keys() -> None:
    key, certificate = self_signed()
    assert contains_private_key(jks(JksKey("signer", key, (certificate,), "changeit")))
    assert contains_private_key((VECTORS / "chain.pfx").read_bytes())
    assert contains_private_key((VECTORS / "leaf.key").read_bytes())


@pytest.mark.parametrize("name", encodings())
def test_certificates_alone_are_not_a_private_key(name: str) -> None:
    assert not contains_private_key(encodings()[name])


def broken() -> dict[str, bytes]:
    _, certificates = chain()
    bundle = write_certificates(certificates)
    return {
        "nothing": b"",
        "blank": b" \r\n",
        "text": b"no certificate at all",
        "cut PKCS#7": bundle[:-20],
        "cut X.509": der(certificates[0])[:-1],
        "garbage behind": bundle + b"garbage",
        "cut PEM": pem("PKCS7", bundle)[:-30],
        "bad Base64": pem("PKCS7", bundle).replace(b"M", b"*", 1),
        "a JKS": (VECTORS / "self2048.jks").read_bytes(),
        "not a certificate": bytes.fromhex("30820003020101"),
        "two megabytes": b"\x30\x84\x00\x20\x00\x00" + bytes(2 << 20),
        "forty": der(*certificates) * 14,
        "deep": b"\x30\x80" * 5000,
    }


@pytest.mark.parametrize("name", broken())
def test_broken_bytes_are_unreadable_or_empty(name: str) -> None:
    with pytest.raises(VerificationError) as caught:
        read_certificates(broken()[name])
    codes = [finding.code for finding in caught.value.findings]
    assert codes in (["certificates-unreadable"], ["certificates-empty"])
    assert caught.value.findings[0].location == "certificates.p7b"
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [write_certificates([]), pem("PKCS7", write_certificates([])), pem("X", b"abc")],
    ids=["DER", "PEM", "other PEM"],
)
def test_a_missing_certificate_is_reported(data: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        read_certificates(data)
    assert [finding.code for finding in caught.value.findings] == ["certificates-empty"]


def test_a_key_alone_is_not_a_certificate() -> None:
    with pytest.raises(VerificationError) as caught:
        read_certificates(pem_key(rsa_key()))
    assert [finding.code for finding in caught.value.findings] == ["certificates-empty"]


def test_a_negative_serial_number_is_rejected_without_a_warning() -> None:
    _, certificate = self_signed("Negative")
    data = der(certificate)
    serial = data.index(b"Negative/Negativ")
    with pytest.raises(VerificationError, match="serial"):
        read_certificates(data[:serial] + b"\x80" + data[serial + 1 :])


def test_an_unknown_version_of_x509_is_rejected() -> None:
    data = der(self_signed()[1])
    version = data.index(bytes.fromhex("a003020102"))
    with pytest.raises(VerificationError, match="version"):
        read_certificates(data[: version + 4] + b"\x06" + data[version + 5 :])


def test_a_certificate_is_described() -> None:
    _, certificate = self_signed("Test Vendor")
    info = describe(certificate)
    assert info.as_dict() == {
        "subject": "CN=Test Vendor",
        "issuer": "CN=Test Vendor",
        "serial": f"{certificate.serial_number:x}",
        "sha1": certificate.fingerprint(hashes.SHA1()).hex(),
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "not_before": "2020-01-01T00:00:00Z",
        "not_after": "2120-01-01T00:00:00Z",
        "self_signed": True,
        "key_type": "RSA",
        "key_bits": 2048,
    }
    assert info.not_before.tzinfo is not None


def test_equal_names_alone_do_not_make_a_certificate_self_signed() -> None:
    quirk = issue("Vendor", rsa_key("one"), issuer="Vendor", issuer_key=rsa_key("two"))
    assert quirk.subject == quirk.issuer
    assert not is_self_signed(quirk)
    assert is_self_signed(self_signed("Vendor")[1])


def test_a_file_of_many_parts_is_rejected_at_once() -> None:
    for data in (b"0\x00" * 500_000, b"0\x00" * 100_000, write_certificates(chain()[1]) * 40):
        assert not contains_private_key(data)
        with pytest.raises(VerificationError, match="can't be read"):
            read_certificates(data)
