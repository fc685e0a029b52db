"""PKCS#12 keystores, as keytool and OpenSSL make them."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from ign_deploy.errors import IdentityError
from ign_deploy.module.certificates import describe, same_public_key
from ign_deploy.signing.keysource import KeySource
from ign_deploy.signing.pkcs12 import is_pkcs12, read_pkcs12, without_armour
from tests.support.identities import chain
from tests.support.keystores import KEYSTORES, VECTORS


def read(
    name: str,
    *,
    password: str | None = "changeit",
    alias: str | None = None,
    key_password: str | None = None,
) -> KeySource:
    data = (KEYSTORES / name).read_bytes()
    assert is_pkcs12(data)
    return read_pkcs12(data, store_password=password, key_password=key_password, alias=alias)


def subject(source: KeySource) -> str:
    public_key = source.key.public_key()
    own = [each for each in source.certificates if same_public_key(each, public_key)]
    return describe(own[0]).subject


def test_the_vectors_are_read() -> None:
    source = read(str(VECTORS / "chain.pfx"), alias="signer")
    assert subject(source) == "CN=Lab Leaf\\, LLC,O=Lab"
    assert len(source.certificates) == 3
    assert subject(read(str(VECTORS / "self4096.pfx"))) == "CN=Self 4096,O=Lab"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("First", "CN=First"),
        ("FIRST", "CN=First"),
        ("second", "CN=Second"),
        ("SECOND", "CN=Second"),
    ],
)
def test_each_of_several_keys_is_reached_by_its_alias(alias: str, name: str) -> None:
    assert subject(read("two-keys.p12", alias=alias)) == name


def test_several_keys_and_no_alias_are_rejected_and_listed() -> None:
    with pytest.raises(IdentityError, match="2 keys, but no alias") as caught:
        read("two-keys.p12")
    assert caught.value.hint.endswith("'first', 'second'.")


@pytest.mark.parametrize("alias", ["third", "trusted", ""])
def test_a_wrong_alias_is_rejected_and_the_keys_are_listed(alias: str) -> None:
    with pytest.raises(IdentityError, match="no key with the alias") as caught:
        read("two-keys.p12", alias=alias)
    assert "'first', 'second'" in caught.value.hint


@pytest.mark.parametrize("password", ["wrong", "", "Changeit"])
def test_a_wrong_password_is_rejected(password: str) -> None:
    with pytest.raises(IdentityError, match="password is wrong"):
        read("two-keys.p12", password=password)


def test_no_password_is_rejected() -> None:
    with pytest.raises(IdentityError, match="needs a password"):
        read("two-keys.p12", password=None)


def test_a_key_password_alone_opens_the_store() -> None:
    assert subject(read("unnamed.p12", password=None, key_password="changeit")) == "CN=OpenSSL"


def test_a_key_password_that_is_not_used_does_no_harm() -> None:
    assert subject(read("unnamed.p12", key_password="other")) == "CN=OpenSSL"


def test_a_key_without_a_name_is_called_as_java_calls_it() -> None:
    assert subject(read("unnamed.p12", alias="1")) == "CN=OpenSSL"
    with pytest.raises(IdentityError) as caught:
        read("unnamed.p12", alias="signer")
    assert "'1'" in caught.value.hint


def test_the_encryption_of_old_tools_is_read() -> None:
    assert subject(read("legacy-rc2.p12")) == "CN=OpenSSL"


def test_a_store_that_is_not_encrypted_is_read() -> None:
    assert subject(read("plain.p12", password=None)) == "CN=OpenSSL"
    assert subject(read("plain.p12", password="ignored")) == "CN=OpenSSL"


def test_an_empty_password_opens_a_store_with_one_key() -> None:
    assert read("empty-password.p12", password=None).key


def test_a_pkcs12_in_pem_armour_is_unwrapped_whatever_its_label() -> None:
    data = (VECTORS / "chain.pfx").read_bytes()
    encoded = base64.encodebytes(data).decode()
    armour = f"-----BEGIN CERTIFICATE-----\n{encoded}-----END CERTIFICATE-----\n".encode()
    assert without_armour(armour) == data
    assert without_armour(data) == data
    assert without_armour(armour * 2) == armour * 2
    assert without_armour(armour[:-20]) == armour[:-20]


def test_a_store_without_a_key_is_rejected() -> None:
    with pytest.raises(IdentityError, match="no private key"):
        read("no-key.p12")


def test_certificates_named_like_the_key_come_first() -> None:
    key, (leaf, middle, root) = chain()
    data = serialize_key_and_certificates(
        b"signer", key, leaf, [root, middle], serialization.BestAvailableEncryption(b"changeit")
    )
    source = read_pkcs12(data, store_password="changeit", key_password=None, alias=None)
    assert source.certificates[0] == leaf
    assert set(source.certificates) == {leaf, middle, root}
    assert all(isinstance(each, x509.Certificate) for each in source.certificates)


def test_a_certificate_that_cannot_be_decoded_is_skipped() -> None:
    data = (KEYSTORES / "plain.p12").read_bytes()
    rsa_encryption = bytes.fromhex("300d06092a864886f70d0101010500")
    at = data.index(rsa_encryption)  # the certificate comes before the key
    unknown = data[: at + 5] + b"\x2b" + data[at + 6 :]
    source = read_pkcs12(unknown, store_password=None, key_password=None, alias=None)
    assert source.certificates == ()


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x03\x02\x01\x03", b"PK", b"0\x80\0\0"])
def test_other_bytes_are_not_pkcs12(data: bytes) -> None:
    assert not is_pkcs12(data)


def test_a_damaged_store_is_rejected() -> None:
    data = (KEYSTORES / "two-keys.p12").read_bytes()
    for broken in (data[:-1], data[:100], data[:50] + b"\0\0\0\0" + data[54:]):
        with pytest.raises(IdentityError):
            read_pkcs12(broken, store_password="changeit", key_password=None, alias="first")
