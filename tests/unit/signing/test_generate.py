"""Self-signed code-signing certificates."""

from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.certificates import chain_problems, describe
from ign_deploy.signing.generate import (
    DEFAULT_ALIAS,
    GeneratedCertificate,
    generate_certificate,
)
from ign_deploy.signing.identity import IdentityMaterial, load_identity

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=dt.UTC)
make = partial(
    generate_certificate,
    common_name="Example Ltd",
    organization="Example",
    days=730,
    key_size=3072,
    now=NOW,
    password=None,
)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> GeneratedCertificate:
    """One PEM pair for several tests: making a key takes a second."""
    return make(folder=tmp_path_factory.mktemp("pem") / "new")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GeneratedCertificate:
    folder = tmp_path_factory.mktemp("store")
    return make(folder=folder, password="changeit\r\n", container="pkcs12", organization="")


def test_pem_files_make_an_identity(pem: GeneratedCertificate) -> None:
    assert [each.name for each in pem.paths] == ["signing.key.pem", "signing.cert.pem"]
    identity = load_identity(IdentityMaterial(key=str(pem.key), certificates=str(pem.certificate)))
    assert describe(identity.leaf) == pem.info
    assert chain_problems(identity.chain) == []


def test_an_encrypted_pem_key_needs_its_password(tmp_path: Path) -> None:
    made = make(folder=tmp_path, password="pässword")
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in made.key.read_bytes()
    material = IdentityMaterial(
        key=str(made.key), certificates=str(made.certificate), key_password="pässword"
    )
    assert load_identity(material).chain


def test_a_pkcs12_makes_an_identity(store: GeneratedCertificate) -> None:
    assert [each.name for each in store.paths] == ["signing.p12"]
    material = IdentityMaterial(
        keystore=str(store.key), store_password="changeit", alias=DEFAULT_ALIAS
    )
    assert describe(load_identity(material).leaf) == store.info


def test_an_organization_may_be_left_out(store: GeneratedCertificate) -> None:
    assert store.info.subject == "CN=Example Ltd"


def test_the_certificate_is_for_code_signing(pem: GeneratedCertificate) -> None:
    assert pem.certificate is not None
    certificate = x509.load_pem_x509_certificate(pem.certificate.read_bytes())
    assert pem.info.subject == "CN=Example Ltd,O=Example"
    assert (pem.info.key_type, pem.info.key_bits, pem.info.self_signed) == ("RSA", 3072, True)
    assert pem.info.not_before == NOW.replace(microsecond=0)
    assert pem.info.not_after - pem.info.not_before == dt.timedelta(days=730)
    extensions = certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert (basic.critical, basic.value.ca) == (True, False)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(extended.value) == [ExtendedKeyUsageOID.CODE_SIGNING]
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def test_only_the_owner_can_read_the_key(
    pem: GeneratedCertificate, store: GeneratedCertificate
) -> None:
    assert pem.certificate is not None
    modes = [each.stat().st_mode & 0o777 for each in (pem.key, store.key, pem.certificate)]
    assert modes == [0o600, 0o600, 0o644]


@pytest.mark.parametrize("name", ["signing.key.pem", "signing.cert.pem"])
def test_an_existing_file_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(ConfigurationError, match="already exists"):
        make(folder=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "signing.p12").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="already exists"):
        make(folder=tmp_path, password="changeit", container="pkcs12")


def test_a_folder_that_cannot_be_made_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError):
        make(folder=tmp_path / "file" / "below")


@pytest.mark.parametrize(
    "wrong",
    [
        {"common_name": ""},
        {"common_name": " "},
        {"common_name": "x" * 65},
        {"common_name": "two\nlines"},
        {"organization": "x" * 65},
        {"alias": ""},
        {"days": 0},
        {"days": 36_501},
        {"key_size": 2048},
        {"container": "pkcs12"},
        {"container": "pkcs12", "password": "short"},
    ],
    ids=str,
)
def test_impossible_wishes_are_rejected_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(folder=tmp_path, **wrong)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []
