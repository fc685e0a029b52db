"""A statement of a succession is published beside the records of every kind of store, and found."""

from __future__ import annotations

from pathlib import Path

from tests.contract.opened import Opened
from tests.contract.test_reading import environment
from tests.support.cli import KEY, make_workspace
from tests.support.identities import pem_files, self_signed


def test_a_published_statement_is_followed(store: Opened, tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    workspace, env = make_workspace(folder), environment(store)
    for kind in ("key", "cert"):
        (folder / f"signing.{kind}.pem").rename(folder / f"old.{kind}.pem")
    key, certificate = self_signed("New Vendor")
    pem_files(folder, key, (certificate,))
    workspace.signed()
    old = ("--old-key", "old.key.pem", "--old-cert", "old.cert.pem")
    verify = ("verify", "signed/pump.modl", "--trust-anchor", "old.cert.pem", "--follow-succession")
    workspace.call(*verify, env=env).must(5)
    workspace.call("trust", "statement", "com.example.pump", *old, *KEY, env=env).must(0)
    shown = workspace.call(*verify, env=env).must(0).stdout
    assert "succeeded by a statement of" in shown
