"""The verdict: the line that a person reads first."""

from __future__ import annotations

import pytest

from ign_deploy.module.findings import Finding, error, warning
from ign_deploy.signing.verdict import (
    SignatureStatus,
    signature_status,
    unreadable_line,
    verdict_line,
)

CHANGED = error("signature-bad", "pump.jar was changed after it was signed")
SLOPPY = error("chain-order", "the certificates are out of order")
FOREIGN = error("trust-anchor", "CN=Evil doesn't lead to the trust anchor (root.pem)")
EXPIRED = error("expired", "CN=Vendor expired")


@pytest.mark.parametrize(
    ("findings", "status", "line"),
    [
        ([CHANGED], "changed", "✗ CHANGED: pump.jar was changed after it was signed"),
        (
            [FOREIGN, CHANGED, SLOPPY, CHANGED],
            "changed",
            "✗ CHANGED: pump.jar was changed after it was signed (and 1 more)",
        ),
        ([FOREIGN, SLOPPY], "invalid", "✗ INVALID SIGNATURE: the certificates are out of order"),
        (
            [FOREIGN],
            "untrusted",
            "✗ UNTRUSTED SIGNER: CN=Evil doesn't lead to the trust anchor (root.pem)",
        ),
        ([EXPIRED], "untrusted", "✗ UNTRUSTED SIGNER: CN=Vendor expired"),
        (
            [warning("expired", "CN=Vendor expired")],
            "intact",
            "✓ intact; the signer was not checked (give --trust-anchor)",
        ),
    ],
)
def test_the_line_names_the_worst(findings: list[Finding], status: str, line: str) -> None:
    found = signature_status(findings, is_trusted=False)
    assert found == status
    assert verdict_line(found, findings=findings) == line
    assert found.is_good == line.startswith("✓")


def test_a_trusted_signer_and_the_anchor_are_named() -> None:
    status = signature_status([], is_trusted=True)
    line = verdict_line(status, signer="CN=Vendor", anchor="root.pem")
    assert line == "✓ intact, signed by CN=Vendor (trusted: root.pem)"
    assert verdict_line(SignatureStatus.UNSIGNED) == "✗ NOT SIGNED"
    assert unreadable_line([CHANGED]) == f"✗ NOT A VALID MODULE: {CHANGED.message}"
    missing = error("file-unreadable", "cannot open pump.modl: No such file or directory")
    assert unreadable_line([missing]) == f"✗ NOT CHECKED: {missing.message}"
