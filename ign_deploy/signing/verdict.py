"""The verdict on a module: one word for programs, and one line for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from ign_deploy.module.findings import Finding, errors_among, worst_first


class SignatureStatus(StrEnum):
    """What a module's signature is worth; from the best to the worst.

    ``intact`` is a module whose signer wasn't checked: no trust anchor was given. ``untrusted`` is
    intact as well, but another signer's. ``invalid`` means that it wasn't signed correctly, or
    that the file can't be read as a module.
    """

    TRUSTED = "trusted"
    INTACT = "intact"
    UNSIGNED = "unsigned"
    UNTRUSTED = "untrusted"
    INVALID = "invalid"
    CHANGED = "changed"

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return self in (SignatureStatus.TRUSTED, SignatureStatus.INTACT)


_UNTRUSTED = frozenset({"trust-anchor", "path-invalid", "expired", "not-yet-valid"})
# What a vendor did wrong; every other error may come from a change after signing.
_BADLY_SIGNED = frozenset(
    {
        "certificates-empty",
        "certificates-unreadable",
        "chain-order",
        "key-not-rsa",
        "private-key-shipped",
        "signature-self-line",
    }
)
_TITLES = {
    SignatureStatus.UNTRUSTED: "UNTRUSTED SIGNER",
    SignatureStatus.INVALID: "INVALID SIGNATURE",
    SignatureStatus.CHANGED: "CHANGED",
}


def signature_status(findings: Iterable[Finding], *, is_trusted: bool) -> SignatureStatus:
    """Return the status of a module that has a signature."""
    best = SignatureStatus.TRUSTED if is_trusted else SignatureStatus.INTACT
    return worst_status([best, *map(_status_of, errors_among(findings))])


def worst_status(statuses: Iterable[SignatureStatus]) -> SignatureStatus:
    """Return the worst of several."""
    return max(statuses, key=[*SignatureStatus].index)


def _status_of(finding: Finding) -> SignatureStatus:
    """Return what an error makes of a signed module."""
    if finding.code in _UNTRUSTED:
        return SignatureStatus.UNTRUSTED
    return SignatureStatus.INVALID if finding.code in _BADLY_SIGNED else SignatureStatus.CHANGED


def verdict_line(
    status: SignatureStatus, *, signer: str = "", anchor: str = "", findings: Sequence[Finding] = ()
) -> str:
    """Return the line that a person reads first."""
    if status is SignatureStatus.TRUSTED:
        return f"✓ intact, signed by {signer} (trusted: {anchor})"
    if status is SignatureStatus.INTACT:
        return "✓ intact; the signer was not checked (give --trust-anchor)"
    if status is SignatureStatus.UNSIGNED:
        return "✗ NOT SIGNED"
    return f"✗ {_TITLES[status]}: {_reason(status, findings)}"


def unreadable_line(findings: Sequence[Finding]) -> str:
    """Return that line for a file that can't be read as a module."""
    worst = worst_first(findings)[0]
    # Such a file says nothing about the module.
    is_checked = worst.code not in ("file-unreadable", "file-changed")
    verdict = "NOT A VALID MODULE" if is_checked else "NOT CHECKED"
    return f"✗ {verdict}: {worst.message}"


def _reason(status: SignatureStatus, findings: Iterable[Finding]) -> str:
    """Return the first finding that led to the status, and how many more there are."""
    decisive = [each.message for each in errors_among(findings) if _status_of(each) is status]
    more = f" (and {len(decisive) - 1} more)" if len(decisive) > 1 else ""
    return f"{decisive[0]}{more}"
