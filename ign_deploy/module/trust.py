"""Whom a signature leads to: the path from the signer to a certificate that a person named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cryptography import x509

from ign_deploy.module import findings
from ign_deploy.module.certificate_info import distinct_names, is_authority, is_issued_by
from ign_deploy.module.chain import validity_findings
from ign_deploy.module.findings import Finding, Severity
from ign_deploy.module.path_rules import path_problems
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy

_LOCATION = "certificates.p7b"
_HINT = "don't install the module; ask its vendor which certificate signs it."
_EXPIRED_HINT = (
    "ask the vendor for a module that is signed with a valid certificate; --allow-expired accepts "
    "this one."
)


@dataclass(frozen=True, slots=True)
class Trust:
    """The result: the name of the anchor that the signer leads to, empty if there is none."""

    anchor: str
    findings: tuple[Finding, ...]


def check_trust(
    certificates: Sequence[x509.Certificate], policy: TrustPolicy, *, now: dt.datetime
) -> Trust:
    """Validate a module's certificates (RFC 5280 6.1), the signer first, against the anchors.

    The codes: ``trust-anchor`` when no path leads to an anchor, ``path-invalid``, ``expired`` and
    ``not-yet-valid``, which are warnings where no signer is checked.
    """
    if not policy.anchors:
        return Trust("", tuple(validity_findings(certificates, now)))
    best: Trust | None = None
    for path, anchor in _paths(certificates, policy.anchors):
        found = tuple(_path_findings(path, policy, now))
        if not findings.errors_among(found):
            return Trust(anchor.name, found)
        if best is None or len(found) < len(best.findings):
            best = Trust("", found)
    return best or Trust("", (_unknown_signer(certificates[0], policy.anchors),))


def _paths(
    certificates: Sequence[x509.Certificate], anchors: Iterable[TrustAnchor]
) -> Iterator[tuple[tuple[x509.Certificate, ...], TrustAnchor]]:
    """Yield every path along the given certificates that ends at an anchor.

    Only authorities count as issuers: otherwise, any signer below the anchor could issue more.
    """
    for length, current in enumerate(certificates, start=1):
        path = tuple(certificates[:length])
        if length > 1 and not _issued(path[-2], by=current):
            return
        for anchor in anchors:
            if anchor.certificate == current:
                yield path, anchor
            elif _issued(current, by=anchor.certificate):
                yield (*path, anchor.certificate), anchor


def _issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    return is_authority(by) and is_issued_by(certificate, by)


def _path_findings(
    path: Sequence[x509.Certificate], policy: TrustPolicy, now: dt.datetime
) -> Iterator[Finding]:
    # Whoever names the signer's own certificate has decided: it needs no right to be issued.
    problems = path_problems(path) if len(path) > 1 else []
    for problem in problems:
        yield findings.error("path-invalid", problem, location=_LOCATION, hint=_HINT)
    for finding in validity_findings(path, now):
        if finding.code == "expired" and policy.allow_expired:
            yield finding
        else:
            hint = _EXPIRED_HINT if finding.code == "expired" else finding.hint
            yield replace(finding, severity=Severity.ERROR, hint=hint)


def _unknown_signer(signer: x509.Certificate, anchors: Iterable[TrustAnchor]) -> Finding:
    given = tuple(anchors)
    names = distinct_names((signer, *(anchor.certificate for anchor in given)))
    shown = [
        f"{anchor.name}: {names[anchor.certificate]}"
        if anchor.certificate.subject == signer.subject
        else anchor.name
        for anchor in given
    ]
    return findings.error(
        "trust-anchor",
        f"{names[signer]} doesn't lead to the trust anchor ({', '.join(dict.fromkeys(shown))})",
        location=_LOCATION,
        hint=_HINT,
    )
