"""The days that a certificate has left, and the warning before they are over."""

from __future__ import annotations

from datetime import datetime

from ign_deploy.module.certificate_info import CertificateInfo
from ign_deploy.module.findings import Finding, quoted, warning

CERTIFICATES_FILE = "certificates.p7b"
_HINT = (
    "renew it, and plan the change: gateways that accepted this certificate have to accept the "
    "new one."
)


def days_left(end: datetime, now: datetime) -> int:
    """Return how many whole days a certificate is valid; negative once it has expired."""
    return (end - now).days


def expiry_warning(info: CertificateInfo, *, now: datetime, days: int) -> Finding | None:
    """Return a warning if the certificate has at most ``days`` days left; None if it has more.

    Also for one that has expired, which is another finding's matter, and where ``days`` is 0.
    """
    left = days_left(info.not_after, now)
    if not 0 <= left < days:
        return None
    when = "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
    return warning(
        "expires-soon",
        f"the certificate of {quoted(info.subject)} expires {when}, on {info.not_after:%Y-%m-%d}",
        location=CERTIFICATES_FILE,
        hint=_HINT,
    )
