"""Private keys in PEM and bare DER."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat

from ign_deploy.errors import IdentityError
from ign_deploy.signing.pem import read_der_key, read_pem
from tests.support.identities import chain, pem_certificates, pem_key, rsa_key, self_signed
from tests.support.keystores import VECTORS

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PLAIN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"pass")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_pem_keys_of_every_form_are_read(form: PrivateFormat, locked: bool, end: bytes) -> None:
    key = rsa_key()
    data = key.private_bytes(PEM, form, LOCKED if locked else PLAIN).replace(b"\n", end)
    source = read_pem(data, password="pass" if locked else None)
    assert source.key.public_key() == key.public_key()
    assert source.certificates == ()


def test_a_password_for_an_open_key_is_ignored() -> None:
    assert read_pem(pem_key(rsa_key()), password="unused").key
    data = rsa_key().private_bytes(DER, PrivateFormat.PKCS8, PLAIN)
    assert read_der_key(data, password="unused").key


def test_certificates_beside_the_key_are_read() -> None:
    key, certificates = chain()
    for data in (
        pem_key(key) + pem_certificates(*certificates),
        b"Bag Attributes\n" + pem_certificates(*certificates) + pem_key(key),
    ):
        assert read_pem(data, password=None).certificates == certificates


def test_ec_parameters_before_a_key_do_not_disturb() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    data = parameters + key.private_bytes(PEM, PrivateFormat.TraditionalOpenSSL, PLAIN)
    assert isinstance(read_pem(data, password=None).key, ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_bare_der_keys_are_read(form: PrivateFormat) -> None:
    data = rsa_key().private_bytes(DER, form, PLAIN)
    assert read_der_key(data, password=None).key.public_key() == rsa_key().public_key()


def test_encrypted_der_keys_are_read() -> None:
    data = rsa_key().private_bytes(DER, PrivateFormat.PKCS8, LOCKED)
    assert read_der_key(data, password="pass").key.public_key() == rsa_key().public_key()
    with pytest.raises(IdentityError, match="no password"):
        read_der_key(data, password=None)
    with pytest.raises(IdentityError, match="password is wrong"):
        read_der_key(data, password="wrong")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_needs_its_password(form: PrivateFormat) -> None:
    data = rsa_key().private_bytes(PEM, form, LOCKED)
    with pytest.raises(IdentityError, match="no password was given"):
        read_pem(data, password=None)
    with pytest.raises(IdentityError, match="password is wrong"):
        read_pem(data, password="wrong")


def test_certificates_alone_are_not_a_key() -> None:
    _, certificate = self_signed()
    with pytest.raises(IdentityError, match="found no private key, only: CERTIFICATE"):
        read_pem(pem_certificates(certificate), password=None)
    with pytest.raises(IdentityError, match="found no private key"):
        read_der_key(certificate.public_bytes(DER), password=None)


def test_two_keys_are_rejected() -> None:
    with pytest.raises(IdentityError, match="2 private keys"):
        read_pem(pem_key(rsa_key()) + pem_key(rsa_key("other")), password=None)


def test_an_openssh_key_is_rejected_with_the_way_out() -> None:
    data = rsa_key().private_bytes(PEM, PrivateFormat.OpenSSH, PLAIN)
    with pytest.raises(IdentityError, match="OpenSSH") as caught:
        read_pem(data, password=None)
    assert "ssh-keygen" in caught.value.hint


@pytest.mark.parametrize("cut", [40, 400, 1600])
def test_a_cut_key_is_rejected_without_showing_it(cut: int) -> None:
    data = (VECTORS / "leaf.key").read_bytes()
    line = data.splitlines()[3].decode()
    with pytest.raises(IdentityError) as caught:
        read_pem(data[:cut], password=None)
    assert line not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__!r}"


def test_a_damaged_key_is_rejected() -> None:
    lines = pem_key(rsa_key()).splitlines(keepends=True)
    with pytest.raises(IdentityError, match="damaged"):
        read_pem(b"".join([*lines[:5], *lines[6:]]), password=None)


def test_a_damaged_certificate_beside_the_key_is_rejected() -> None:
    key, certificate = self_signed()
    data = pem_key(key) + pem_certificates(certificate).replace(b"MII", b"MIJ", 1)
    with pytest.raises(IdentityError, match="certificates can't be read"):
        read_pem(data, password=None)
