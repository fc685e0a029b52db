"""What gateways will ask again is said when a version is published."""

from __future__ import annotations

from typing import Any

from tests.support.cli import CliWorkspace
from tests.support.gateway.client import MODULE_ID, attacker, modl


def published(workspace: CliWorkspace, version: str, **options: Any) -> str:
    """Publish a version; return what was said about consent."""
    folder = workspace.folder / version
    folder.mkdir()
    file = modl(folder, version, module_id=MODULE_ID, **options)
    said = workspace.call("upload", file).must(0).stderr
    return "\n".join(line for line in said.splitlines() if "asked-again" in line)


def test_a_new_signer_or_licence_is_said(workspace: CliWorkspace) -> None:
    assert published(workspace, "1.0.0") == ""
    assert published(workspace, "1.1.0") == ""
    licensed = published(workspace, "1.2.0", license_text=b"other terms")
    assert f"gateways that have {MODULE_ID} 1.1.0 will ask again" in licensed
    assert "the licence text was changed (CRC " in licensed
    assert "certificate" not in licensed
    renewed = published(workspace, "1.3.0", license_text=b"other terms", identity=attacker())
    assert "1.2.0 will ask again: the certificate is another one (SHA-1 " in renewed
    # An older line of Ignition has a history of its own.
    assert published(workspace, "1.4.0", requires="8.1.0") == ""
    # A later fix of the old version is compared with its own predecessor.
    assert published(workspace, "1.1.1") == ""
