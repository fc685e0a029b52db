"""certificates.p7b as Java reads it; tests/interop/test_certificate_files.py compares with Java."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ign_deploy.errors import VerificationError
from ign_deploy.module.certificate_file import java_problem, read_shipped_certificates
from ign_deploy.module.certificates import read_certificates, write_certificates
from ign_deploy.module.der import children, encode_element, read_element
from tests.support.identities import (
    NOT_AFTER,
    NOT_BEFORE,
    chain,
    common_name,
    pem_certificates,
    pem_key,
    rsa_key,
)

CHAIN = chain()[1]
PEM = pem_certificates(*CHAIN)
PKCS7 = write_certificates(CHAIN)
LEAF = CHAIN[0].public_bytes(serialization.Encoding.DER)


def armoured(der: bytes, label: str) -> bytes:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


READ = {
    "PKCS#7": PKCS7,
    "zeros after PKCS#7": PKCS7 + bytes(5),
    "anything after PKCS#7": PKCS7 + b"0 junk",
    "a second PKCS#7": PKCS7 + PKCS7,
    "PEM": PEM,
    "CRLF": PEM.replace(b"\n", b"\r\n"),
    "CR": PEM.replace(b"\n", b"\r"),
    "text before PEM": b"subject=/CN=Test\n" + PEM,
    "text after PEM": PEM + b"junk",
    "PKCS#7 under a CERTIFICATE header": armoured(PKCS7, "CERTIFICATE"),
    "any label": armoured(PKCS7, "Anything"),
    "DER in a row": b"".join(each.public_bytes(serialization.Encoding.DER) for each in CHAIN),
    "no newline at the end": PEM.rstrip(),
}
REFUSED = {
    "byte order mark": (b"\xef\xbb\xbf" + PEM, "begins with a byte order mark"),
    "indented": (b"  " + PEM.replace(b"\n", b"\n  "), "the text is indented"),
    "one line": (PEM.replace(b"\n", b""), "isn't divided into lines"),
    "spaces for line ends": (PEM.replace(b"\n", b" "), "isn't divided into lines"),
    "glued blocks": (PEM.replace(b"-----\n-----", b"----------"), "lines are missing"),
    "RFC 1421 headers": (PEM.replace(b"E-----\nM", b"E-----\nA: b\n\nM"), "not valid Base64"),
    "no armour": (base64.encodebytes(PKCS7), "neither DER nor PEM"),
    "UTF-16": (PEM.decode().encode("utf-16"), "neither DER nor PEM"),
    "text that begins with a zero": (b"0 subject\n" + PEM, "an unusual line"),
    "a newline before DER": (b"\n" + PKCS7, "neither DER nor PEM"),
    "a key before": (pem_key(rsa_key()) + PEM, "certificate 1 "),
    "a key behind": (PEM + pem_key(rsa_key()), "certificate 4 "),
    "settings behind a certificate": (armoured(LEAF + b"0\0", "TRUSTED CERTIFICATE"), "ificate 1 "),
    "six hyphens": (b"-" + PEM, "begins with an unusual line"),
    "another footer": (PEM.replace(b"END C", b"END X"), "ends with an unusual line"),
    "empty": (b"", "it is empty"),
    "a keystore": (b"\xfe\xed\xfe\xed\0\0", "Java keystore"),
}


@pytest.mark.parametrize("name", READ)
def test_what_java_reads_is_read(name: str) -> None:
    assert read_shipped_certificates(READ[name]) == CHAIN


@pytest.mark.parametrize("name", REFUSED)
def test_what_java_refuses_is_refused_with_the_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(VerificationError) as caught:
        read_shipped_certificates(data)
    (finding,) = caught.value.findings
    assert finding.code == "certificates-unreadable"
    assert reason in finding.message


def test_whoever_signs_may_give_what_java_refuses() -> None:
    tolerated = ("byte order mark", "indented", "one line", "spaces for line ends")
    for name in tolerated:
        assert read_certificates(REFUSED[name][0]) == CHAIN
    assert read_certificates(PKCS7 + bytes(5)) == CHAIN


def test_no_certificate_at_all() -> None:
    with pytest.raises(VerificationError) as caught:
        read_shipped_certificates(write_certificates(()))
    assert caught.value.findings[0].code == "certificates-empty"


def test_more_certificates_than_any_module_has() -> None:
    for data in (write_certificates(CHAIN * 11), PEM * 11, LEAF * 33):
        with pytest.raises(VerificationError, match="more than 32 certificates"):
            read_shipped_certificates(data)


def test_a_large_file() -> None:
    with pytest.raises(VerificationError, match="bytes, more than"):
        read_shipped_certificates(PEM + b"x" * (1 << 18))


@cache
def certificate(
    subject: str = "", issuer: str = "Test", *, critical: bool | None = None
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject) if subject else x509.Name([]))
        .issuer_name(common_name(issuer) if issuer else x509.Name([]))
        .public_key(rsa_key().public_key())
        .serial_number(7)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if critical is not None:
        names = x509.SubjectAlternativeName([x509.DNSName("example.com")])
        builder = builder.add_extension(names, critical=critical)
    return builder.sign(rsa_key(), hashes.SHA256())


def changed(change: Callable[[bytes], bytes]) -> x509.Certificate:
    der = certificate("Test", critical=True).public_bytes(serialization.Encoding.DER)
    return x509.load_der_x509_certificate(change(der))


def twice(der: bytes) -> bytes:
    """Repeat the extension."""
    body, *rest = children(read_element(der))
    *fields, tagged = children(body)
    (listed,) = children(tagged)
    more = encode_element(tagged.tag, encode_element(listed.tag, listed.content * 2))
    whole = encode_element(body.tag, *(each.raw for each in fields), more)
    return encode_element(0x30, whole, *(each.raw for each in rest))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: certificate("Test"), ""),
        (certificate, ""),
        (lambda: certificate(critical=True), ""),
        (lambda: certificate(critical=False), "has an empty subject, and no critical"),
        (lambda: certificate("Test", issuer=""), "has an empty issuer"),
        (lambda: changed(twice), "has an extension twice"),
        (
            lambda: changed(lambda der: der.replace(b"\x01\x0b\x05", b"\x01\x0c\x05", 1)),
            "names two signature algorithms",
        ),
        (
            lambda: changed(lambda der: der.replace(b"\x82\x0bexample", b"\x82\x0cexample")),
            "has a malformed critical extension",
        ),
    ],
)
def test_a_certificate_that_java_refuses(
    make: Callable[[], x509.Certificate], problem: str
) -> None:
    found = java_problem(make())
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
