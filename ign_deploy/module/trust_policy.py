"""Which signers a person trusts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A certificate that is trusted, and the ``name`` of the file that a person gave."""

    name: str
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Which signers are trusted; without anchors none is checked.

    An anchor is an authority, or the signer's own certificate. ``allow_expired`` accepts
    certificates that were valid once, such as that of an old release.
    """

    anchors: tuple[TrustAnchor, ...] = ()
    allow_expired: bool = False
