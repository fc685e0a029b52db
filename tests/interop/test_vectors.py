"""The vendor's own Java signer as an oracle: same signatures, and its files are accepted."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ign_deploy.module.findings import errors_among
from ign_deploy.module.signature import CERTIFICATES_NAME, SIGNATURES_NAME, parse_signatures
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from ign_deploy.signing.signer import read_unsigned, sign_module
from ign_deploy.signing.verdict import SignatureStatus
from ign_deploy.signing.verifier import inspect_signature
from tests.support.signing import VECTORS, content

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
UNSIGNED = VECTORS / "vector.unsigned.modl"
IDENTITIES = {
    "peer-jks2048-der.modl": IdentityMaterial(
        keystore=str(VECTORS / "self2048.jks"),
        store_password="changeit",
        key_password="keypw12",
        alias="signer",
    ),
    "peer-pfx4096-pem.modl": IdentityMaterial(
        keystore=str(VECTORS / "self4096.pfx"), store_password="changeit", alias="signer"
    ),
    "peer-chain-der.modl": IdentityMaterial(
        keystore=str(VECTORS / "chain.pfx"), store_password="changeit", alias="signer"
    ),
}


def test_every_peer_file_has_an_identity() -> None:
    assert {path.name for path in VECTORS.glob("peer-*.modl")} == set(IDENTITIES)


@pytest.mark.parametrize("peer", sorted(IDENTITIES))
def test_our_signatures_equal_the_peers(peer: str, tmp_path: Path) -> None:
    signed = sign_module(
        read_unsigned(UNSIGNED),
        identity=load_identity(IDENTITIES[peer]),
        output_dir=tmp_path,
        now=NOW,
        reporter=SilentReporter(),
    )
    ours = parse_signatures(content(signed.path)[SIGNATURES_NAME])
    theirs = parse_signatures(content(VECTORS / peer)[SIGNATURES_NAME])
    assert len(ours.signatures) == 5
    assert ours.signatures == theirs.signatures


@pytest.mark.parametrize("peer", sorted(IDENTITIES))
def test_the_peers_files_are_accepted(peer: str) -> None:
    report = inspect_signature(VECTORS / peer, now=NOW)
    assert errors_among(report.findings) == ()
    assert report.status is SignatureStatus.INTACT


@pytest.mark.parametrize("peer", sorted(IDENTITIES))
def test_a_peers_file_is_signed_again_like_the_unsigned_one(peer: str, tmp_path: Path) -> None:
    """Signing drops the old signature, whatever wrote it; the order of entries is the peer's."""
    identity = load_identity(IDENTITIES[peer])
    again = sign_module(
        read_unsigned(VECTORS / peer),
        identity=identity,
        output_dir=tmp_path / "again",
        now=NOW,
        reporter=SilentReporter(),
    )
    direct = sign_module(
        read_unsigned(UNSIGNED),
        identity=identity,
        output_dir=tmp_path / "direct",
        now=NOW,
        reporter=SilentReporter(),
    )
    assert content(again.path) == content(direct.path)


def test_a_chain_from_separate_pem_files_gives_the_same_module(tmp_path: Path) -> None:
    from_pem = IdentityMaterial(
        key=str(VECTORS / "leaf.key"), certificates=str(VECTORS / "chain-leaf-first.pem")
    )
    results = []
    for name, material in (("pem", from_pem), ("pfx", IDENTITIES["peer-chain-der.modl"])):
        signed = sign_module(
            read_unsigned(UNSIGNED),
            identity=load_identity(material),
            output_dir=tmp_path / name,
            now=NOW,
            reporter=SilentReporter(),
        )
        results.append(signed.path.read_bytes())
    assert results[0] == results[1]
    assert (
        content(VECTORS / "peer-chain-der.modl")[CERTIFICATES_NAME]
        == content(tmp_path / "pfx" / "vector.modl")[CERTIFICATES_NAME]
    )
