"""Certificate chains: ordering them, and checking one found in a module."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from ign_deploy.errors import VerificationError
from ign_deploy.module import findings
from ign_deploy.module.certificate_info import (
    is_authority,
    is_issued_by,
    is_self_signed,
    issuer_text,
    same_public_key,
    subject_of,
)
from ign_deploy.module.findings import Finding

Chain = tuple[x509.Certificate, ...]

MIN_RSA_BITS = 2048
_FILE = "certificates.p7b"
_ASK_VENDOR = "ask the vendor for a module that is signed with its certificates in order."


def order_chain(certificates: Iterable[x509.Certificate], leaf_public_key: PublicKeyTypes) -> Chain:
    """Return the chain of that key: leaf first, then each issuer that is there.

    Issuers are found by the signature they made, and their name. The chain may end before a
    self-signed root; repeated certificates are dropped. Raises VerificationError when no
    certificate is for the key (``key-mismatch``) or one is not in the chain (``chain-foreign``).
    """
    chain, others = split_chain(certificates, leaf_public_key)
    if not chain:
        raise _chain_error(
            "key-mismatch",
            "the key doesn't match the certificates: none of them has its public key",
            hint="provide the certificate issued for this key, or the certificate's own key.",
        )
    if others:
        names = "; ".join(subject_of(each) for each in others)
        raise _chain_error(
            "chain-foreign",
            f"these certificates are not in the chain of {subject_of(chain[0])}: {names}",
            hint="keep only the signing certificate and its issuers.",
        )
    return chain


def split_chain(
    certificates: Iterable[x509.Certificate], leaf_public_key: PublicKeyTypes
) -> tuple[Chain, Chain]:
    """Return (chain of that key in order, the other certificates in their order)."""
    unique = tuple(dict.fromkeys(certificates))
    leaf = next((each for each in unique if same_public_key(each, leaf_public_key)), None)
    if leaf is None:
        return (), unique
    chain = _climb(leaf, _issuers(unique))
    return chain, tuple(each for each in unique if each not in chain)


def chain_problems(chain: Sequence[x509.Certificate]) -> list[Finding]:
    """Return what is wrong with certificates as found in a module, in file order.

    The codes: ``chain-order``, ``chain-foreign``, ``chain-duplicate``, ``chain-incomplete``,
    ``issuer-not-ca``, ``key-not-rsa``, ``key-too-short``.
    """
    if not chain:
        message = "the module contains no certificate"
        return [findings.error("certificates-empty", message, location=_FILE)]
    unique = tuple(dict.fromkeys(chain))
    best = _longest_chain(unique)
    problems = [*_leaf_key_problems(best[0]), *_order_problems(unique, best)]
    if len(unique) < len(chain):
        message = f"{len(chain) - len(unique)} of {len(chain)} certificates are duplicates"
        problems.append(findings.warning("chain-duplicate", message, location=_FILE))
    return [*problems, *_issuer_problems(best)]


def validity_findings(
    chain: Iterable[x509.Certificate], now: dt.datetime, *, location: str = _FILE
) -> list[Finding]:
    """Return a warning for each certificate that isn't valid at ``now`` (an aware datetime).

    A warning: what a gateway does with such a certificate is not documented.
    """
    problems = []
    for certificate in chain:
        name = subject_of(certificate)
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < start:
            message = f"{name} is not valid before {start:%Y-%m-%d %H:%M} UTC"
            hint = "check the clock, or wait until the certificate is valid."
            problems.append(
                findings.warning("not-yet-valid", message, location=location, hint=hint)
            )
        if now > end:
            message = f"{name} expired on {end:%Y-%m-%d %H:%M} UTC"
            hint = "sign with a renewed certificate."
            problems.append(findings.warning("expired", message, location=location, hint=hint))
    return problems


def _issuers(certificates: Chain) -> dict[x509.Certificate, x509.Certificate]:
    """Map each certificate to its issuer among the others; each pair is checked only once."""
    issuers = {}
    for certificate in certificates:
        others = (each for each in certificates if each != certificate)
        issuer = next((each for each in others if is_issued_by(certificate, each)), None)
        if issuer is not None and not is_self_signed(certificate):
            issuers[certificate] = issuer
    return issuers


def _climb(leaf: x509.Certificate, issuers: Mapping[x509.Certificate, x509.Certificate]) -> Chain:
    """Follow the issuers from ``leaf``, using each certificate at most once."""
    chain = [leaf]
    while (issuer := issuers.get(chain[-1])) and issuer not in chain:
        chain.append(issuer)
    return tuple(chain)


def _longest_chain(certificates: Chain) -> Chain:
    """Return the longest chain that can be made; the earliest leaf wins among equals."""
    issuers = _issuers(certificates)
    return max((_climb(leaf, issuers) for leaf in certificates), key=len)


def _order_problems(found: Chain, best: Chain) -> list[Finding]:
    problems = []
    in_chain = tuple(each for each in found if each in best)
    if in_chain != best:
        wanted = " → ".join(subject_of(each) for each in best)
        problems.append(
            findings.error(
                "chain-order",
                f"the certificates are out of order; leaf first, the order is {wanted}",
                location=_FILE,
                hint=_ASK_VENDOR,
            )
        )
    for each in found:
        if each not in best:
            message = f"{subject_of(each)} is not in the chain of {subject_of(best[0])}"
            hint = _ASK_VENDOR
            problems.append(findings.error("chain-foreign", message, location=_FILE, hint=hint))
    return problems


def _issuer_problems(chain: Chain) -> list[Finding]:
    problems = []
    for issuer in chain[1:]:
        if not is_authority(issuer):
            message = f"{subject_of(issuer)} issued a certificate but is not marked as an authority"
            problems.append(findings.warning("issuer-not-ca", message, location=_FILE))
    if not is_self_signed(chain[-1]):
        problems.append(
            findings.warning(
                "chain-incomplete",
                f"the chain ends at {subject_of(chain[-1])}, which is not self-signed; its"
                f" issuer {issuer_text(chain[-1])} is missing",
                location=_FILE,
                hint="the vendor should ship the issuing certificates up to the root.",
            )
        )
    return problems


def _leaf_key_problems(leaf: x509.Certificate) -> list[Finding]:
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        message = f"the key of {subject_of(leaf)} is not RSA; gateways accept RSA with SHA-256 only"
        return [findings.error("key-not-rsa", message, location=_FILE)]
    if key.key_size < MIN_RSA_BITS:
        message = f"the RSA key has {key.key_size} bits, fewer than the required {MIN_RSA_BITS}"
        return [findings.warning("key-too-short", message, location=_FILE)]
    return []


def _chain_error(code: str, message: str, *, hint: str) -> VerificationError:
    finding = findings.error(code, message, location=_FILE, hint=hint)
    return VerificationError.from_findings(finding)
