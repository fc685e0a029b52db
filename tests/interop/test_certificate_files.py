"""certificates.p7b: our reading against that of Java's CertificateFactory, over generated files.

Of how a file is put together, both think the same. Of what is in a certificate we may be stricter,
but whatever we read, Java reads as the same certificates.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ign_deploy.errors import VerificationError
from ign_deploy.module.certificate_file import read_shipped_certificates
from ign_deploy.module.certificates import read_certificates, write_certificates
from ign_deploy.module.der import SEQUENCE, children, encode_element, read_element
from tests.support.generated import batches, read_by_java
from tests.support.identities import NOT_AFTER, NOT_BEFORE, common_name
from tests.support.signing import VECTORS

READER = Path(__file__).with_name("ReadCertificates.java")
FILES = ("chain-leaf-first.pem", "self2048-jks.pem")
LABELS = (*("CERTIFICATE", "PKCS7") * 4, "CMS", "X509 CERTIFICATE", "NEW CERTIFICATE CHAIN", "x")
LINE_ENDS = (b"\n", b"\n", b"\r\n", b"\r", b" ", b"")
BETWEEN = (
    *(b"",) * 5,
    b"\n",
    b"\0",
    b"\0\0\0",
    b" ",
    b"0",
    b"-",
    b"text\n",
    b"a - b\n",
    b"\n----\n",
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@cache
def certificates() -> tuple[bytes, ...]:
    """Return certificates as DER, the same in every process: four sound ones, and odd ones."""
    made = [certificate for name in FILES for certificate in read_certificates(vector(name))]
    made += [odd(subject=""), odd(issuer=""), odd("", "")]
    made += [odd(subject="", critical=True), odd(subject="", critical=False)]
    return tuple(each.public_bytes(serialization.Encoding.DER) for each in made)


def odd(subject: str = "a", issuer: str = "b", *, critical: bool | None = None) -> x509.Certificate:
    """Return a certificate with these names, which may be empty, and perhaps an alternative one."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject) if subject else x509.Name([]))
        .issuer_name(common_name(issuer) if issuer else x509.Name([]))
        .public_key(key().public_key())
        .serial_number(7)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if critical is not None:
        names = x509.SubjectAlternativeName([x509.DNSName("example.com")])
        builder = builder.add_extension(names, critical=critical)
    return builder.sign(key(), hashes.SHA256())


@cache
def key() -> rsa.RSAPrivateKey:
    """Return a key that is the same in every process."""
    private_key = serialization.load_pem_private_key(vector("leaf.key"), None)
    assert isinstance(private_key, rsa.RSAPrivateKey)
    return private_key


def vector(name: str) -> bytes:
    """Return a file of the vectors."""
    return (VECTORS / name).read_bytes()


def file_of(seed: int) -> bytes:
    """Return the file of a seed: DER and PEM in a row, whole or with something between."""
    chance = random.Random(seed)
    parts = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        der = _der(chance)
        parts.append(der if chance.random() < 0.3 else _armoured(der, chance))
        parts.append(chance.choice(BETWEEN))
    start = chance.choice((*(b"",) * 6, BYTE_ORDER_MARK, *BETWEEN))
    data = start + b"".join(parts)
    if chance.random() < 0.1:
        data = b"\n".join(b"  " + line for line in data.split(b"\n"))
    return chance.choice((data, data, data, data, data.rstrip(), base64.b64encode(data)))


def _der(chance: random.Random) -> bytes:
    usual = certificates()[:4]
    if chance.random() < 0.1:
        return key().private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    if chance.random() < 0.5:
        return chance.choice(certificates() if chance.random() < 0.3 else usual)
    chosen = chance.sample(usual, chance.choice((0, 1, 1, 2, 3)))
    return pkcs7(chosen, chance)


def pkcs7(chosen: list[bytes], chance: random.Random) -> bytes:
    """Return PKCS#7 of certificates, as DER or with what BER allows."""
    whole = write_certificates([x509.load_der_x509_certificate(each) for each in chosen])
    if chance.random() < 0.6:
        return whole
    kind, tagged = children(read_element(whole))
    fields = [each.raw for each in children(children(tagged)[0])]
    change = chance.choice(("long", "indefinite", "no signers", "crls", "more"))
    if change == "no signers":
        fields.pop()
    elif change == "crls":
        fields.insert(-1, encode_element(0xA1))
    elif change == "more":
        fields.append(encode_element(SEQUENCE))
    write = {"long": _long, "indefinite": _indefinite}.get(change, encode_element)
    return write(SEQUENCE, kind.raw, write(0xA0, write(SEQUENCE, *fields)))


def _long(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content


def _indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(parts) + b"\0\0"


def _armoured(der: bytes, chance: random.Random) -> bytes:
    text = base64.b64encode(der)
    width = chance.choice((64, 64, 64, 76, 5, len(text)))
    end = chance.choice(LINE_ENDS)
    label = chance.choice(LABELS).encode()
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    footer = label if chance.random() < 0.95 else b"OTHER"
    hyphens = b"-" * chance.choice((5, 5, 5, 5, 5, 5, 5, 4, 6))
    whole = [b"-----BEGIN " + label + hyphens, *lines, b"-----END " + footer + b"-----"]
    if chance.random() < 0.1:
        whole.insert(1, chance.choice((b"Key: value", b"", b"  ", b"!", b"=")))
    return end.join(whole) + chance.choice((end, end, end, b"", b"\n", b" \n"))


def mutated(seed: int) -> bytes:
    """Return a file in which a byte or two of a certificate were changed."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(certificates()))
    for _ in range(chance.choice((1, 1, 2))):
        data[chance.randrange(len(data) - 256)] = chance.choice((0, 1, 2, 5, 0x30, 0x80, 0xFF))
    return bytes(data)


def read_by_us(data: bytes) -> list[str]:
    """Return the SHA-256 of each certificate, or that there is none, as ``ReadCertificates``."""
    try:
        read = read_shipped_certificates(data)
    except VerificationError as problem:
        is_empty = problem.findings[0].code == "certificates-empty" or not data
        return ["none" if is_empty else "refused"]
    return [each.fingerprint(hashes.SHA256()).hex() for each in read]


def compared(
    tmp_path: Path, seeds: range, make: Callable[[int], bytes]
) -> dict[int, tuple[list[str], list[str]]]:
    """Return our reading and Java's of each seed's file."""
    ours = []
    for number, seed in enumerate(seeds):
        data = make(seed)
        (tmp_path / str(number)).write_bytes(data)
        ours.append(read_by_us(data))
    theirs = read_by_java(READER, tmp_path, len(ours))
    return dict(zip(seeds, zip(ours, theirs, strict=True), strict=True))


@pytest.mark.parametrize("seeds", batches())
def test_java_reads_the_same_certificates_from_a_file(tmp_path: Path, seeds: range) -> None:
    both = compared(tmp_path, seeds, file_of)
    assert {seed: pair for seed, pair in both.items() if pair[0] != pair[1]} == {}
    assert sum(ours != ["refused"] for ours, _ in both.values()) > len(both) // 10


@pytest.mark.parametrize("seeds", batches())
def test_java_reads_every_certificate_that_we_read(tmp_path: Path, seeds: range) -> None:
    both = compared(tmp_path, seeds, mutated)
    wrong = {
        seed: pair for seed, pair in both.items() if pair[0] != pair[1] and pair[0] != ["refused"]
    }
    assert wrong == {}
    assert sum(ours != ["refused"] for ours, _ in both.values()) > len(both) // 10
