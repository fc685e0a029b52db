"""generate-certificate: new keys, encrypted or not, and certificates for keys that exist."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from ign_deploy.signing.keys import pkcs11 as adapter
from tests.support.cli import CliWorkspace, make_workspace
from tests.support.identities import rsa_key
from tests.support.softhsm import PIN, softhsm

NEW = ("generate-certificate", "--common-name", "Example Ltd", "-o", "made")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliWorkspace:
    monkeypatch.setattr(adapter, "_refused", set())
    return make_workspace(tmp_path)


def test_without_a_password_it_says_that_the_key_is_not_encrypted(workspace: CliWorkspace) -> None:
    result = workspace.call(*NEW, "--json").must(0)
    assert "made/signing.key.pem is not encrypted" in result.stderr
    assert "MODULE_SIGNING_PASSWORD" in result.stderr
    assert result.document["encrypted"] is False


@pytest.mark.parametrize(
    ("typed", "encrypted"), [(["s3cret!", "s3cret!"], True), (["", ""], False)]
)
def test_a_terminal_asks_for_a_password(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch, typed: list[str], *, encrypted: bool
) -> None:
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: typed.pop(0))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    result = workspace.call(*NEW).must(0)
    assert ("is not encrypted" in result.stderr) is not encrypted
    assert "s3cret!" not in result.stdout + result.stderr
    pem = (workspace.folder / "made" / "signing.key.pem").read_bytes()
    assert load_pem_private_key(pem, b"s3cret!" if encrypted else None)
    assert typed == []


def test_a_given_password_is_not_asked_for(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    workspace.call(*NEW, env={"MODULE_SIGNING_PASSWORD": "s3cret!"}).must(0)
    assert b"ENCRYPTED" in (workspace.folder / "made" / "signing.key.pem").read_bytes()


def existing(workspace: CliWorkspace, key: str, *arguments: str) -> Path:
    env = {**softhsm().environment, "MODULE_SIGNING_PIN": PIN}
    document = workspace.call(*NEW, "--json", "--key", key, *arguments, env=env).must(0).document
    (path,) = document["files"]
    return workspace.folder / str(path)


def test_a_certificate_for_a_key_in_a_token_signs_with_it(workspace: CliWorkspace) -> None:
    key = softhsm().uri("object=bare")
    path = existing(workspace, key, "--organization", "Example", "--days", "30")
    assert [each.name for each in path.parent.iterdir()] == ["signing.cert.pem"]
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key() == rsa_key("bare").public_key()
    assert certificate.subject.rfc4514_string() == "CN=Example Ltd,O=Example"
    arguments = ("sign", "pump.unsigned.modl", "--key", key, "--cert-path", path)
    workspace.call(*arguments, env={**softhsm().environment, "MODULE_SIGNING_PIN": PIN}).must(0)


@pytest.mark.parametrize("kind", ["token", "file"])
def test_a_request_for_an_existing_key(workspace: CliWorkspace, kind: str) -> None:
    key = softhsm().uri("object=bare") if kind == "token" else "signing.key.pem"
    path = existing(workspace, key, "--csr")
    assert path.name == "signing.csr.pem"
    request = x509.load_pem_x509_csr(path.read_bytes())
    assert request.is_signature_valid
    usage = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CODE_SIGNING]
    owner = rsa_key("bare" if kind == "token" else "Test Vendor")
    assert request.public_key() == owner.public_key()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--csr",), "--csr needs an existing key, but --key is not given"),
        (("--key", "signing.key.pem", "--key-size", "4096"), "--key-size is for a new key"),
        (("--key", "signing.key.pem", "--format", "pkcs12"), "--format is for a new key"),
        (("--key", "object=curve"), "the signing key is not RSA (EC)"),
        (("--key", "object=short"), "the RSA key has 1024 bits"),
        (("--key", "object=none"), "no private key that matches --key"),
        (("--key", "missing.pem"), "is neither an existing file nor PEM text"),
    ],
)
def test_what_is_refused_writes_nothing(
    workspace: CliWorkspace, arguments: tuple[str, ...], message: str
) -> None:
    given = [softhsm().uri(each) if each.startswith("object=") else each for each in arguments]
    result = workspace.call(*NEW, *given, env={**softhsm().environment, "MODULE_SIGNING_PIN": PIN})
    assert result.exit_code in {2, 4}
    assert message in result.stderr
    assert not (workspace.folder / "made").exists()


def test_an_existing_certificate_is_kept(workspace: CliWorkspace) -> None:
    path = existing(workspace, "signing.key.pem")
    before = path.read_bytes()
    result = workspace.call(*NEW, "--key", "signing.key.pem").must(2)
    assert "already exists" in result.stderr
    assert path.read_bytes() == before
