"""Signed modules for tests: sound ones, and modules that someone tampered with."""

from __future__ import annotations

import base64
import datetime as dt
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ign_deploy.module.artifacts import SignedModule
from ign_deploy.module.signature import SIGNATURES_NAME
from ign_deploy.report import Reporter, SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.signer import read_unsigned, sign_module
from tests.support.identities import chain, pem_certificates, pem_key, self_signed

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
VECTORS = Path(__file__).parents[1] / "data" / "vectors"
Content = dict[str, bytes]


def vendor(name: str = "Test Vendor") -> SigningIdentity:
    """Return the identity of a vendor with a self-signed certificate."""
    key, certificate = self_signed(name)
    return load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )


def chained_vendor() -> SigningIdentity:
    """Return an identity whose chain is leaf, intermediate, root."""
    key, certificates = chain()
    return load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(*certificates).decode()
        )
    )


def signed_module(
    unsigned: Path,
    *,
    output_dir: Path,
    identity: SigningIdentity | None = None,
    reporter: Reporter | None = None,
) -> SignedModule:
    """Sign a module with the test vendor's key."""
    return sign_module(
        read_unsigned(unsigned),
        identity=identity or vendor(),
        output_dir=output_dir,
        now=NOW,
        reporter=reporter or SilentReporter(),
    )


def content(path: Path) -> Content:
    """Return every file of an archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, change: Callable[[Content], Mapping[str, bytes]]) -> Path:
    """Write the archive again with changed content, as a ZIP tool would; return its new path."""
    changed = change(content(path))
    target = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in changed.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return target


def verified_by_openssl(signed: Path, name: str, *, certificate: Path) -> bool:
    """Return whether openssl verifies the signature of a file in a module."""
    files, folder = content(signed), signed.parent
    lines = files[SIGNATURES_NAME].decode().splitlines()
    encoded = next(each for each in lines if each.startswith(f"/{name}=")).split("=", 1)[1]
    (folder / "signature").write_bytes(base64.b64decode(encoded))
    (folder / "entry").write_bytes(files[name])
    done = subprocess.run(
        f"openssl x509 -in {certificate} -pubkey -noout >key.pub && "
        "openssl dgst -sha256 -verify key.pub -signature signature entry",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip() == "Verified OK"
