"""Our own reader of JKS keystores."""

from __future__ import annotations

import pytest

from ign_deploy.errors import IdentityError
from ign_deploy.module.certificates import read_certificates
from ign_deploy.signing.jks import read_jks
from tests.support.identities import chain, rsa_key, self_signed
from tests.support.keystores import VECTORS, JksKey, JksTrusted, jks, sealed


def one_key(*, password: str = "changeit") -> bytes:
    key, certificates = chain()
    return jks(JksKey("signer", key, certificates, password))


def two_keys() -> bytes:
    first, first_certificate = self_signed("First")
    second, second_certificate = self_signed("Second")
    return jks(
        JksKey("First", first, (first_certificate,), "changeit"),
        JksTrusted("ca", chain()[1][2]),
        JksKey("second", second, (second_certificate,), "other"),
    )


def test_a_real_keystore_with_a_key_password_of_its_own() -> None:
    data = (VECTORS / "self2048.jks").read_bytes()
    source = read_jks(data, store_password="changeit", key_password="keypw12", alias="signer")
    pem = (VECTORS / "self2048-jks.pem").read_bytes()
    assert source.certificates == read_certificates(pem)
    assert source.certificates[0].public_key() == source.key.public_key()


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_are_read(version: int) -> None:
    key, certificates = chain()
    data = jks(
        JksTrusted("ca", certificates[2]),
        JksKey("signer", key, certificates, "changeit"),
        version=version,
    )
    source = read_jks(data, store_password="changeit", key_password=None, alias=None)
    assert source.certificates == certificates
    assert source.key.public_key() == key.public_key()


def test_the_store_password_is_the_key_password_unless_there_is_one() -> None:
    assert read_jks(one_key(), store_password="changeit", key_password=None, alias=None)
    assert read_jks(one_key(), store_password=None, key_password="changeit", alias=None)
    other = one_key(password="other")
    assert read_jks(other, store_password="changeit", key_password="other", alias=None)


@pytest.mark.parametrize("password", ["pässwörd", "密码密码", "🔑🔑🔑"])
def test_passwords_beyond_ascii(password: str) -> None:
    key, certificate = self_signed()
    data = jks(JksKey("signer", key, (certificate,), password), password=password)
    assert read_jks(data, store_password=password, key_password=None, alias=None)


@pytest.mark.parametrize("alias", ["second", "SECOND", "Second"])
def test_the_alias_is_matched_in_any_case(alias: str) -> None:
    source = read_jks(two_keys(), store_password="changeit", key_password="other", alias=alias)
    assert source.key.public_key() == rsa_key("Second").public_key()


def test_a_wrong_store_password_is_rejected() -> None:
    with pytest.raises(IdentityError, match="keystore's password is wrong"):
        read_jks(one_key(), store_password="wrong", key_password=None, alias=None)


def test_a_wrong_key_password_is_rejected() -> None:
    data = one_key(password="other")
    for own in (None, "wrong"):
        with pytest.raises(IdentityError, match="the key's password is wrong"):
            read_jks(data, store_password="changeit", key_password=own, alias=None)


def test_no_password_is_rejected() -> None:
    with pytest.raises(IdentityError, match="needs a password"):
        read_jks(one_key(), store_password=None, key_password=None, alias=None)


def test_several_keys_and_no_alias_are_rejected_and_listed() -> None:
    with pytest.raises(IdentityError, match="2 keys, but no alias") as caught:
        read_jks(two_keys(), store_password="changeit", key_password=None, alias=None)
    assert "'First', 'second'" in caught.value.hint


def test_a_wrong_alias_is_rejected_and_the_keys_are_listed() -> None:
    for alias in ("third", "ca"):
        with pytest.raises(IdentityError, match=alias) as caught:
            read_jks(two_keys(), store_password="changeit", key_password=None, alias=alias)
        assert "'First', 'second'" in caught.value.hint


def test_a_store_of_trusted_certificates_has_no_key() -> None:
    data = jks(JksTrusted("ca", chain()[1][2]))
    with pytest.raises(IdentityError, match="no private key"):
        read_jks(data, store_password="changeit", key_password=None, alias=None)


def head(version: int, count: int) -> bytes:
    return b"\xfe\xed\xfe\xed" + version.to_bytes(4, "big") + count.to_bytes(4, "big")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xfe\xed\xfe\xed",
        head(3, 0),
        head(2, 1),
        head(2, 0xFFFFFFFF),
        head(2, 1) + bytes.fromhex("00000003 0001 61 0000000000000000"),
        head(2, 1) + bytes.fromhex("00000001 ffff 61"),
        head(2, 1) + bytes.fromhex("00000001 0002 ff61 0000000000000000 00000000 00000000"),
        head(2, 1) + bytes.fromhex("00000001 0001 61 0000000000000000 ffffffff"),
        head(2, 1) + bytes.fromhex("00000001 0001 61 0000000000000000 00000000 ffffffff"),
        head(2, 1) + bytes.fromhex("00000001 0001 61 0000000000000000 00000000 00000000"),
        head(2, 1) + bytes.fromhex("00000002 0001 61 0000000000000000 0003 504750 00000000"),
        head(2, 1) + bytes.fromhex("00000001 0001 61 0000000000000000 00000002 3000 00000000"),
    ],
    ids=range(13),
)
def test_damaged_stores_are_rejected_although_their_digest_is_right(body: bytes) -> None:
    with pytest.raises(IdentityError):
        read_jks(sealed(body), store_password="changeit", key_password=None, alias=None)


def test_one_flipped_byte_is_noticed() -> None:
    data = one_key()
    for at in range(4, len(data), 97):
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(IdentityError):
            read_jks(flipped, store_password="changeit", key_password=None, alias=None)


def test_the_source_never_shows_its_key() -> None:
    source = read_jks(one_key(), store_password="changeit", key_password=None, alias=None)
    assert "RSAPrivateKey" not in repr(source)
