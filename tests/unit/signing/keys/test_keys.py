"""Which adapter a URI gets, and what is a path or a key instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from ign_deploy.signing.keys import SCHEMES, key_scheme
from tests.support.identities import pem_certificates, pem_files, pem_key, self_signed


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_known_schemes(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{scheme}:key"
    (tmp_path / uri).touch()
    monkeypatch.chdir(tmp_path)
    # Even if a file has that name: whoever can write here mustn't choose the key.
    assert key_scheme(uri) == key_scheme(f" {scheme.upper()}:key\n") == scheme


@pytest.mark.parametrize("text", ["signing.key.pem", "/a/b:c", "MIIE+/==", "", "./pkcs11:x"])
def test_what_is_no_uri(text: str) -> None:
    assert key_scheme(text) == ""


def test_a_pem_text_with_a_line_before_it_is_no_uri() -> None:
    key, certificate = self_signed()
    text = f"Key: mine\n{pem_key(key).decode()}{pem_certificates(certificate).decode()}"
    assert key_scheme(text) == ""
    assert load_identity(IdentityMaterial(key=text)).leaf == certificate


def test_a_file_whose_name_looks_like_a_uri_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = self_signed()
    pem_files(tmp_path, key, (certificate,))
    (tmp_path / "signing.key.pem").rename(tmp_path / "c:key")
    monkeypatch.chdir(tmp_path)
    material = IdentityMaterial(key="c:key", certificates="signing.cert.pem")
    assert load_identity(material).location == "a file"


@pytest.mark.parametrize("uri", ["vautl:transit/keys/x", "file:///key.pem", "https://x/y", "C:x"])
def test_an_unknown_scheme_names_the_known_ones(uri: str) -> None:
    with pytest.raises(IdentityError, match="unsupported kind of signing key") as caught:
        load_identity(IdentityMaterial(key=uri))
    assert all(f"{scheme}:" in caught.value.hint for scheme in SCHEMES)


ADAPTERS = ("pkcs11", "vault", "awskms", "azurekv", "gcpkms", "service")


def test_neither_an_adapter_nor_the_network_is_imported_for_a_key_from_a_file() -> None:
    program = (
        "import sys; import ign_deploy.signing.signer; "
        "late = ('pkcs11', 'multiprocessing', 'ign_deploy.net.retry', 'ssl', 'botocore'); "
        f"late += tuple('ign_deploy.signing.keys.' + each for each in {ADAPTERS}); "
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
