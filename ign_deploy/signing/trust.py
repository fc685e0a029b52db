"""Whom a certificate chain leads to: order, validity and trust anchors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ign_deploy.module.certificates import (
    chain_problems,
    is_authority,
    is_issued_by,
    validity_findings,
)
from ign_deploy.module.findings import Finding, error
from ign_deploy.module.signature import CERTIFICATES_NAME

if TYPE_CHECKING:
    from cryptography import x509


def check_chain(
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    trust_anchors: Sequence[x509.Certificate],
) -> list[Finding]:
    """Return what is wrong with a module's certificates; anchors are checked only if given."""
    findings = [*chain_problems(certificates), *validity_findings(certificates, now)]
    if trust_anchors and not _reaches_anchor(certificates, trust_anchors):
        findings.append(
            error(
                "trust-anchor",
                "the certificates don't lead to a trust anchor",
                location=CERTIFICATES_NAME,
                hint="check who signed the module, and that --trust-anchor names the right root.",
            )
        )
    return findings


def _reaches_anchor(
    certificates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> bool:
    """Follow verified issuers from the leaf until an anchor is met, or issued the one at hand.

    Only authorities count as issuers: otherwise, any leaf below the anchor could issue more.
    """
    current = certificates[0]
    for following in (*certificates[1:], None):
        if current in anchors or any(_issued(current, by=anchor) for anchor in anchors):
            return True
        if following is None or not _issued(current, by=following):
            return False
        current = following
    return False


def _issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    return is_authority(by) and is_issued_by(certificate, by)
