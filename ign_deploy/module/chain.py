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
    distinct_names,
    is_authority,
    is_issued_by,
    is_self_signed,
    issuer_text,
    same_public_key,
    subject_of,
)
from ign_deploy.module.findings import Finding

Chain = tuple[x509.Certificate, ...]
Issuers = Mapping[x509.Certificate, Chain]

MIN_RSA_BITS = 2048
_FILE = "certificates.p7b"
_ASK_VENDOR = "ask the vendor for a module that is signed with its certificates in order."


def find_chain(
    certificates: Iterable[x509.Certificate], leaf_public_key: PublicKeyTypes
) -> tuple[Chain, Chain]:
    """Return the chain of that key, leaf first, and the certificates that are not in it.

    Issuers are found by the signature they made, and their name. Of several certificates for the
    key, one by an issuer counts before a self-signed one, then the one that is valid longest. Of
    several paths, the one to a root, then the one that is valid longest. The chain may end before a
    root; repeated certificates are dropped. Raises VerificationError (``key-mismatch``).
    """
    unique = tuple(dict.fromkeys(certificates))
    leaves = [each for each in unique if same_public_key(each, leaf_public_key)]
    if not leaves:
        names = "; ".join(distinct_names(unique).values())
        raise _chain_error(
            "key-mismatch",
            f"the key doesn't match the certificates: none of them has its public key ({names})",
            hint="provide the certificate issued for this key (--cert-path), or the "
            "certificate's own key.",
        )
    chain = _best_path(max(leaves, key=_leaf_rank), _issuers(unique))
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
    names = distinct_names(unique)
    issuers = _issuers(unique)
    path = _leading_path(unique, issuers)
    problems = _leaf_key_problems(path[0])
    if _is_out_of_order(path, unique, issuers):
        path = max((_best_path(leaf, issuers) for leaf in unique), key=len)
        wanted = " → ".join(names[each] for each in path)
        message = f"the certificates are out of order; leaf first, the order is {wanted}"
        problems.append(findings.error("chain-order", message, location=_FILE, hint=_ASK_VENDOR))
    others = [names[each] for each in unique if each not in path]
    if others:
        message = f"not in the chain of {names[path[0]]}: {'; '.join(others)}"
        hint = "the vendor should ship the signing certificate and its issuers only."
        problems.append(findings.warning("chain-foreign", message, location=_FILE, hint=hint))
    if len(unique) < len(chain):
        message = f"{len(chain) - len(unique)} of {len(chain)} certificates are duplicates"
        problems.append(findings.warning("chain-duplicate", message, location=_FILE))
    return [*problems, *_issuer_problems(path)]


def validity_findings(
    chain: Iterable[x509.Certificate], now: dt.datetime, *, location: str = _FILE
) -> list[Finding]:
    """Return a warning for each certificate that isn't valid at ``now`` (an aware datetime).

    A warning: what a gateway does with such a certificate is not documented.
    """
    problems = []
    for certificate, name in distinct_names(chain).items():
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


def _issuers(certificates: Chain) -> Issuers:
    """Map each certificate to its issuers: several if cross-signed, itself if it is a root."""
    return {
        certificate: (certificate,)
        if is_self_signed(certificate)
        else tuple(each for each in certificates if is_issued_by(certificate, each))
        for certificate in certificates
    }


def _leaf_rank(leaf: x509.Certificate) -> tuple[bool, dt.datetime, dt.datetime]:
    # keytool makes a self-signed certificate first, which the authority's replaces.
    return not is_self_signed(leaf), leaf.not_valid_after_utc, leaf.not_valid_before_utc


def _best_path(leaf: x509.Certificate, issuers: Issuers) -> Chain:
    """Return the best path from ``leaf``: to a root, then valid longest, then shortest.

    Each certificate is left once, by the best path to it, so that a web of certificates that issued
    each other takes no time.
    """
    waiting: list[Chain] = [(leaf,)]
    ended: list[Chain] = []
    left: set[x509.Certificate] = set()
    while waiting:
        path = max(waiting, key=_path_rank)
        waiting.remove(path)
        if path[-1] in issuers[path[-1]]:
            return path
        following = [(*path, each) for each in issuers[path[-1]] if each not in path]
        if path[-1] in left or not following:
            ended.append(path)
        else:
            left.add(path[-1])
            waiting += following
    return max(ended, key=_path_rank)


def _path_rank(path: Chain) -> tuple[dt.datetime, int]:
    return min(each.not_valid_after_utc for each in path), -len(path)


def _leading_path(certificates: Chain, issuers: Issuers) -> Chain:
    """Return the certificates from the first one on, as long as each was issued by the next."""
    path = certificates[:1]
    for issuer in certificates[1:]:
        if issuer not in issuers[path[-1]]:
            break
        path = (*path, issuer)
    return path


def _is_out_of_order(path: Chain, certificates: Chain, issuers: Issuers) -> bool:
    """Return whether the path isn't from a leaf, or goes on elsewhere in the file."""
    others = [each for each in certificates if each not in path]
    is_leaf = not any(path[0] in issuers[each] for each in others)
    return not is_leaf or any(each in issuers[path[-1]] for each in others)


def _issuer_problems(chain: Chain) -> list[Finding]:
    problems = []
    names = distinct_names(chain)
    for issuer in chain[1:]:
        if not is_authority(issuer):
            message = f"{names[issuer]} issued a certificate but is not marked as an authority"
            problems.append(findings.warning("issuer-not-ca", message, location=_FILE))
    if not is_self_signed(chain[-1]):
        problems.append(
            findings.warning(
                "chain-incomplete",
                f"the chain ends at {names[chain[-1]]}, which is not self-signed; its"
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
