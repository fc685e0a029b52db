"""OpenSSL alone, without any code of ours, verifies a module that we signed."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME
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
