"""Signing identities: what is accepted, and what is refused for which reason."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from ign_deploy.errors import IdentityError
from ign_deploy.module.certificate_file import read_shipped_certificates
from ign_deploy.module.certificates import write_certificates
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import (
    IdentityMaterial,
    SigningIdentity,
    load_identity,
)
from tests.support.identities import (
    chain,
    common_name,
    pem_certificates,
    pem_files,
    pem_key,
    rsa_key,
    self_signed,
)
from tests.support.keystores import KEYSTORES, VECTORS, JksKey, jks

DIGEST = hashlib.sha256(b"content").digest()
FIRST_DAY = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
LAST_DAY = dt.datetime(2002, 1, 1, tzinfo=dt.UTC)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(**material: str | None) -> IdentityError:
    with pytest.raises(IdentityError) as caught:
        load_identity(IdentityMaterial(**material))
    assert caught.value.hint
    return caught.value


def assert_signs(identity: SigningIdentity) -> None:
    key = identity.leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = identity.sign_digests([DIGEST], reporter=SilentReporter())[DIGEST]
    key.verify(signature, b"content", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("as_path", [True, False])
def test_key_and_certificates_as_paths_or_values(tmp_path: Path, as_path: bool) -> None:
    key, certificates = chain()
    key_path, certificate_path = pem_files(tmp_path, key, certificates)
    material = IdentityMaterial(
        key=str(key_path) if as_path else key_path.read_text(),
        certificates=str(certificate_path) if as_path else certificate_path.read_text(),
    )
    identity = load_identity(material)
    assert identity.chain == certificates
    assert identity.leaf == certificates[0]
    assert_signs(identity)


def test_key_and_certificates_as_base64_of_pem_and_of_der() -> None:
    key, certificates = chain()
    der_key = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for given in (pem_key(key), der_key):
        for bundle in (pem_certificates(*certificates), write_certificates(certificates)):
            material = IdentityMaterial(key=text(given), certificates=text(bundle))
            assert load_identity(material).chain == certificates


@pytest.mark.parametrize(
    "material",
    [
        IdentityMaterial(
            keystore=str(VECTORS / "self2048.jks"),
            store_password="changeit",
            key_password="keypw12",
            alias="Signer",
        ),
        IdentityMaterial(keystore=str(VECTORS / "self4096.pfx"), store_password="changeit"),
        IdentityMaterial(keystore=str(VECTORS / "chain.pfx"), store_password="changeit"),
        IdentityMaterial(key=str(VECTORS / "chain.pfx"), key_password="changeit"),
        IdentityMaterial(
            keystore=text((VECTORS / "chain.pfx").read_bytes()), store_password="changeit"
        ),
        IdentityMaterial(
            key=str(VECTORS / "leaf.key"), certificates=str(VECTORS / "chain-leaf-first.pem")
        ),
    ],
    ids=range(6),
)
def test_the_vectors_sign(material: IdentityMaterial) -> None:
    assert_signs(load_identity(material))


def test_one_pem_with_key_and_chain_needs_no_certificate_file() -> None:
    key, (leaf, middle, root) = chain()
    pem = pem_certificates(root, middle) + pem_key(key) + pem_certificates(leaf)
    assert load_identity(IdentityMaterial(key=pem.decode())).chain == (leaf, middle, root)
    assert load_identity(IdentityMaterial(keystore=pem.decode())).chain == (leaf, middle, root)


def test_any_order_of_certificates_becomes_leaf_first() -> None:
    key, certificates = chain()
    backwards = pem_certificates(*certificates[::-1]).decode()
    material = IdentityMaterial(key=pem_key(key).decode(), certificates=backwards)
    assert load_identity(material).chain == certificates


def test_a_private_key_among_the_certificates_is_not_in_the_chain() -> None:
    key, certificate = self_signed()
    leaked = (pem_key(key) + pem_certificates(certificate)).decode()
    identity = load_identity(IdentityMaterial(key=pem_key(key).decode(), certificates=leaked))
    assert identity.chain == (certificate,)


def test_the_extension_of_a_file_says_nothing(tmp_path: Path) -> None:
    store = tmp_path / "signing.jks"
    store.write_bytes((VECTORS / "chain.pfx").read_bytes())
    assert_signs(load_identity(IdentityMaterial(keystore=str(store), store_password="changeit")))


def test_an_explicit_certificate_file_overrides_the_keystores_chain() -> None:
    key, certificates = chain()
    store = jks(JksKey("signer", key, certificates[:1], "changeit"))
    material = IdentityMaterial(
        keystore=text(store),
        store_password="changeit",
        certificates=pem_certificates(*certificates).decode(),
    )
    assert load_identity(material).chain == certificates


def test_trusted_certificates_in_a_pkcs12_are_skipped() -> None:
    identity = load_identity(
        IdentityMaterial(
            keystore=str(KEYSTORES / "two-keys.p12"), store_password="changeit", alias="second"
        )
    )
    assert len(identity.chain) == 1
    assert identity.notes == ()
    assert_signs(identity)


def test_an_encrypted_key_is_opened_by_key_or_store_password() -> None:
    key, certificate = self_signed()
    given = {
        "key": pem_key(key, password="pass").decode(),
        "certificates": pem_certificates(certificate).decode(),
    }
    assert_signs(load_identity(IdentityMaterial(**given, key_password="pass")))
    assert_signs(load_identity(IdentityMaterial(**given, store_password="pass")))
    assert "password is wrong" in refused(**given, key_password="wrong").message
    assert "no password was given" in refused(**given).message
    assert "no password was given" in refused(**given, key_password="").message


def test_an_expired_certificate_is_not_refused_here() -> None:
    key, certificate = self_signed("Old", not_before=FIRST_DAY, not_after=LAST_DAY)
    material = IdentityMaterial(
        key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
    )
    assert load_identity(material).leaf == certificate


def test_key_and_certificate_that_do_not_match_are_rejected() -> None:
    error = refused(
        key=pem_key(rsa_key("stranger")).decode(),
        certificates=pem_certificates(*chain()[1]).decode(),
    )
    assert "doesn't match the certificates" in error.message


def test_a_certificate_outside_the_chain_is_left_out_and_named() -> None:
    key, certificates = chain()
    _, stranger = self_signed("Stranger")
    given = {"key": pem_key(key).decode()}
    more = pem_certificates(stranger, *certificates).decode()
    identity = load_identity(IdentityMaterial(**given, certificates=more))
    assert identity.chain == certificates
    (note,) = identity.notes
    assert note.startswith("signing with CN=Test Leaf (serial ")
    serial = f"{stranger.serial_number:x}"
    assert note.endswith(f": CN=Stranger (serial {serial}, 2020-01-01 to 2120-01-01)")
    own = pem_certificates(*certificates).decode()
    assert load_identity(IdentityMaterial(**given, certificates=own)).notes == ()


@pytest.mark.parametrize("as_keystore", [True, False])
def test_a_renewed_certificate_beside_the_old_one(as_keystore: bool) -> None:
    key = rsa_key()
    (_, old), (_, new) = (
        self_signed("Vendor", key=key, not_before=FIRST_DAY, not_after=day)
        for day in (LAST_DAY, LAST_DAY + dt.timedelta(days=365))
    )
    if as_keystore:
        store = pkcs12.serialize_key_and_certificates(
            b"signer", key, old, [new], serialization.BestAvailableEncryption(b"changeit")
        )
        material = IdentityMaterial(keystore=text(store), store_password="changeit")
    else:
        pem = pem_certificates(old, new).decode()
        material = IdentityMaterial(key=pem_key(key).decode(), certificates=pem)
    identity = load_identity(material)
    assert identity.chain == (new,)
    assert "2001-01-01 to 2003-01-01); left out" in identity.notes[0]


def test_a_key_other_than_rsa_is_rejected_by_its_kind() -> None:
    error = refused(keystore=str(KEYSTORES / "ec.p12"), store_password="changeit")
    assert "not RSA (EC)" in error.message
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    assert "not RSA" in refused(key=key.decode()).message


def test_a_certificate_that_no_gateway_could_read_is_rejected() -> None:
    key = rsa_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(common_name("Vendor"))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(FIRST_DAY)
        .not_valid_after(LAST_DAY)
        .sign(key, hashes.SHA256())
    )
    given = {"key": pem_key(key).decode(), "certificates": pem_certificates(certificate).decode()}
    assert "CN=Vendor has an empty issuer" in refused(**given).message


@pytest.mark.parametrize("break_line", [b"", b" "])
def test_certificates_are_given_in_forms_that_java_refuses(break_line: bytes) -> None:
    key, certificates = chain()
    pem = b"\xef\xbb\xbf  " + pem_certificates(*certificates).replace(b"\n", break_line)
    identity = load_identity(IdentityMaterial(key=pem_key(key).decode(), certificates=text(pem)))
    assert read_shipped_certificates(write_certificates(identity.chain)) == certificates


def test_a_short_rsa_key_is_rejected() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "1024 bits" in refused(key=pem_key(key).decode()).message


def test_a_jceks_is_rejected_with_the_conversion() -> None:
    error = refused(keystore=str(KEYSTORES / "one-key.jceks"), store_password="changeit")
    assert "JCEKS" in error.message
    assert "keytool -importkeystore" in error.hint
    assert "-deststoretype pkcs12" in error.hint


@pytest.mark.parametrize("name", ["self2048.jks", "chain.pfx"])
def test_a_wrong_store_password_is_rejected(name: str) -> None:
    error = refused(keystore=str(VECTORS / name), store_password="hunter2secret")
    assert "keystore's password is wrong" in error.message
    assert "hunter2secret" not in error.message + error.hint


def test_a_wrong_key_password_is_rejected_otherwise_than_a_wrong_store_password() -> None:
    error = refused(keystore=str(VECTORS / "self2048.jks"), store_password="changeit")
    assert "the key's password is wrong" in error.message


@pytest.mark.parametrize("name", ["self2048.jks", "chain.pfx"])
def test_a_wrong_alias_is_rejected_and_the_right_one_named(name: str) -> None:
    error = refused(
        keystore=str(VECTORS / name),
        store_password="changeit",
        key_password="keypw12" if name.endswith("jks") else None,
        alias="nobody",
    )
    assert "'nobody'" in error.message
    assert "'signer'" in error.hint


def test_several_keys_and_no_alias_are_rejected() -> None:
    error = refused(keystore=str(KEYSTORES / "two-keys.p12"), store_password="changeit")
    assert "2 keys, but no alias" in error.message


def test_a_key_without_any_certificate_is_rejected() -> None:
    key, _ = chain()
    assert "no certificate given for" in refused(key=pem_key(key).decode()).message
    empty = jks(JksKey("signer", key, (), "changeit"))
    assert (
        "no certificate given for"
        in refused(keystore=text(empty), store_password="changeit").message
    )


def test_certificates_that_hold_none_are_rejected() -> None:
    key = pem_key(rsa_key()).decode()
    assert "no certificate was found" in refused(key=key, certificates=key).message
    assert "neither an existing file" in refused(key=key, certificates="missing.pem").message
    nothing = text(write_certificates([]))
    assert "no certificate was found" in refused(key=key, certificates=nothing).message


def test_a_certificate_given_as_the_key_is_rejected() -> None:
    _, certificate = self_signed()
    pem = pem_certificates(certificate).decode()
    assert "no private key" in refused(key=pem).message
    der = text(certificate.public_bytes(serialization.Encoding.DER))
    assert "no private key" in refused(key=der).message


def test_nothing_given_and_too_much_given_are_rejected() -> None:
    assert "no signing key" in refused().message
    assert "no signing key" in refused(key="", keystore="").message
    assert "both" in refused(key="a.pem", keystore="b.p12").message


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["self2048.jks", "self4096.pfx"])
def test_a_line_break_after_the_password_is_dropped_and_said(name: str, line_break: str) -> None:
    given = {"keystore": str(VECTORS / name), "alias": "signer"}
    own = "keypw12" if name.endswith("jks") else "changeit"
    material = IdentityMaterial(
        **given, store_password=f"changeit{line_break}", key_password=f"{own}{line_break}"
    )
    assert "ends with a line break" in load_identity(material).notes[0]
    correct = IdentityMaterial(**given, store_password="changeit", key_password=own)
    assert not load_identity(correct).notes
    assert "password is wrong" in refused(**given, store_password=f"wrong{line_break}").message


def test_a_password_that_does_end_with_a_line_break_is_used_as_it_is(tmp_path: Path) -> None:
    key, certificate = self_signed()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret\n"),
    )
    text = (pem + pem_certificates(certificate)).decode()
    assert not load_identity(IdentityMaterial(key=text, key_password="secret\n")).notes
    assert "password is wrong" in refused(key=text, key_password="secret").message


def test_a_file_of_no_known_kind_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"PK\x03\x04")
    assert "unknown format" in refused(key=str(tmp_path / "key")).message


def test_the_signature_is_the_deterministic_pkcs1_one() -> None:
    key, certificate = self_signed()
    identity = load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )
    wanted = key.sign(b"content", padding.PKCS1v15(), hashes.SHA256())
    sign = partial(identity.sign_digests, reporter=SilentReporter())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign, [[DIGEST]] * 64)) == [{DIGEST: wanted}] * 64
    with pytest.raises(ValueError, match="32 bytes"):
        sign([b"short"])


def test_an_identity_never_shows_its_key() -> None:
    key, certificate = self_signed()
    identity = load_identity(
        IdentityMaterial(key=(pem_key(key) + pem_certificates(certificate)).decode())
    )
    assert "key" not in repr(identity).lower()
    assert repr(identity.signer.key) == "FileKey(location='a file', batch_size=32)"
