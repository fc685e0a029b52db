"""OpenSSL alone, without any code of ours, verifies a module that we signed."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError
from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from tests.support.modules import build_module
from tests.support.signing import chained_vendor, content, signed_module


def openssl(*arguments: str) -> str:
    done = subprocess.run(
        ["openssl", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_openssl_verifies_an_entry_and_reads_the_chain_leaf_first(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.unsigned.modl")
    signed = content(signed_module(module, output_dir=tmp_path, identity=chained_vendor()).path)

    p7b = tmp_path / "certificates.p7b"
    p7b.write_bytes(signed[CERTIFICATES_NAME])
    printed = openssl("pkcs7", "-inform", "DER", "-in", str(p7b), "-print_certs")
    subjects = [line for line in printed.splitlines() if line.startswith("subject=")]
    assert [subject.split("CN = ")[1] for subject in subjects] == [
        "Test Leaf",
        "Test Intermediate",
        "Test Root",
    ]

    # openssl x509 takes the first certificate of what it is given: the leaf.
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(printed)
    public_key = tmp_path / "leaf.pub"
    public_key.write_text(openssl("x509", "-in", str(leaf), "-pubkey", "-noout"))
    lines = signed[SIGNATURES_NAME].decode("ascii").splitlines()
    for name in ("pump.jar", "module.xml", "license.html"):
        encoded = next(line for line in lines if line.startswith(f"/{name}=")).split("=", 1)[1]
        (tmp_path / "signature").write_bytes(base64.b64decode(encoded))
        (tmp_path / "entry").write_bytes(signed[name])
        verdict = openssl(
            *("dgst", "-sha256", "-verify", str(public_key)),
            *("-signature", str(tmp_path / "signature"), str(tmp_path / "entry")),
        )
        assert verdict.strip() == "Verified OK"


@pytest.fixture(scope="module")
def plain_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and its certificate, ``key.pem`` and ``cert.pem``, in one folder."""
    folder = tmp_path_factory.mktemp("openssl")
    openssl("genrsa", "-traditional", "-out", str(folder / "key.pem"), "2048")
    subject = ("-subj", "/CN=OpenSSL", "-out", str(folder / "cert.pem"))
    openssl("req", "-x509", "-key", str(folder / "key.pem"), *subject)
    return folder / "key.pem"


LEGACY = ("-provider", "legacy", "-provider", "default")
TRADITIONAL = ("aes128", "aes192", "aes256", "des3", "camellia256", "aria128", "des")
PBES1 = (
    *("PBE-MD5-DES", "PBE-SHA1-DES", "PBE-SHA1-RC2-64", "PBE-MD5-RC2-64", "PBE-SHA1-RC4-128"),
    *("PBE-SHA1-3DES", "PBE-SHA1-2DES", "PBE-SHA1-RC2-128", "PBE-SHA1-RC2-40"),
)
PBES2 = ("aes-192-cbc", "aes-256-cbc", "des3", "des", "rc2", "camellia-256-cbc", "aria-256-cbc")
READ = {
    *("aes128", "aes256", "des3", "aes-192-cbc", "aes-256-cbc", "rc2"),
    *("PBE-MD5-DES", "PBE-SHA1-RC4-128", "PBE-SHA1-3DES", "PBE-SHA1-RC2-40"),
}
NAMES = {"aes192": "AES-192", "camellia256": "CAMELLIA-256", "aria128": "ARIA-128", "des": "DES"}


def encrypted_key(key: Path, kind: str, cipher: str, target: Path) -> None:
    given = ("-in", str(key), "-passout", "pass:secret", "-out", str(target), *LEGACY)
    if kind == "traditional":
        openssl("rsa", "-traditional", f"-{cipher}", *given)
    else:
        openssl("pkcs8", "-topk8", "-v1" if kind == "pbes1" else "-v2", cipher, *given)


@pytest.mark.parametrize(
    ("kind", "cipher"),
    [
        *(("traditional", each) for each in TRADITIONAL),
        *(("pbes1", each) for each in PBES1),
        *(("pbes2", each) for each in PBES2),
    ],
)
def test_an_encrypted_key_is_read_or_its_cipher_is_named_with_a_command_that_converts_it(
    plain_key: Path, tmp_path: Path, kind: str, cipher: str
) -> None:
    path = tmp_path / "OLD"
    encrypted_key(plain_key, kind, cipher, path)
    certificate = str(plain_key.with_name("cert.pem"))
    material = IdentityMaterial(key=str(path), certificates=certificate, key_password="secret")
    if cipher in READ:
        assert load_identity(material).chain
        with pytest.raises(IdentityError, match="password is wrong"):
            load_identity(replace(material, key_password="other"))
        return
    with pytest.raises(IdentityError) as caught:
        load_identity(material)
    name = NAMES.get(cipher, cipher.upper())
    assert f"is encrypted with {name}" in caught.value.message
    command = caught.value.hint.removeprefix("convert it: openssl ").rstrip(".")
    given = ("-passin", "pass:secret", "-passout", "pass:secret")
    subprocess.run(
        ["openssl", *command.split(), *given],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    converted = replace(material, key=str(tmp_path / "signing.key.pem"))
    assert load_identity(converted).chain


@pytest.mark.parametrize(
    "cipher", ["AES-192-CBC", "CAMELLIA-256-CBC", "DES-CBC", "PBE-SHA1-2DES", "PBE-SHA1-RC4-128"]
)
def test_a_keystore_with_one_key_is_read_whatever_its_cipher(
    plain_key: Path, tmp_path: Path, cipher: str
) -> None:
    store = tmp_path / "store.p12"
    openssl(
        "pkcs12", "-export", "-inkey", str(plain_key), "-in", str(plain_key.with_name("cert.pem")),
        "-keypbe", cipher, "-certpbe", cipher, "-passout", "pass:secret", "-out", str(store),
        *LEGACY,
    )  # fmt: skip
    assert load_identity(IdentityMaterial(keystore=str(store), store_password="secret")).chain
    with pytest.raises(IdentityError, match="password is wrong"):
        load_identity(IdentityMaterial(keystore=str(store), store_password="other"))


def test_a_negative_serial_number_gets_the_same_message_in_every_container(
    plain_key: Path, tmp_path: Path
) -> None:
    certificate, store = tmp_path / "cert.pem", tmp_path / "store.p12"
    key = ("-key", str(plain_key))
    openssl("req", "-x509", *key, "-subj", "/CN=x", "-set_serial", "-5", "-out", str(certificate))
    p7b = tmp_path / "certs.p7b"
    openssl("crl2pkcs7", "-nocrl", "-certfile", str(certificate), "-out", str(p7b))
    openssl(
        "pkcs12", "-export", "-inkey", str(plain_key), "-in", str(certificate),
        "-passout", "pass:secret", "-out", str(store),
    )  # fmt: skip
    old = tmp_path / "store.jks"
    subprocess.run(
        ["keytool", "-importkeystore", "-srckeystore", store, "-srcstorepass", "secret",
         "-destkeystore", old, "-deststoretype", "JKS", "-deststorepass", "secret"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    for material in (
        IdentityMaterial(key=str(plain_key), certificates=str(certificate)),
        IdentityMaterial(key=str(plain_key), certificates=str(p7b)),
        IdentityMaterial(keystore=str(store), store_password="secret"),
        IdentityMaterial(keystore=str(old), store_password="secret"),
    ):
        with pytest.raises(IdentityError) as caught:
            load_identity(material)
        assert (
            caught.value.message == "certificate 1 has the serial number -5, which must be positive"
        )


def test_a_key_for_pss_only_is_rejected(tmp_path: Path) -> None:
    key, certificate = tmp_path / "pss.pem", tmp_path / "cert.pem"
    size = ("-pkeyopt", "rsa_keygen_bits:2048")
    openssl("genpkey", "-algorithm", "RSA-PSS", *size, "-out", str(key))
    openssl("req", "-x509", "-key", str(key), "-subj", "/CN=x", "-out", str(certificate))
    with pytest.raises(IdentityError, match="RSA-PSS signatures only"):
        load_identity(IdentityMaterial(key=str(key), certificates=str(certificate)))
