"""The rules of RFC 5280 (6.1) for a certification path from a signer to a trust anchor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ign_deploy.module.certificate_info import BROKEN_HASHES, distinct_names, is_authority
from ign_deploy.module.chain import MIN_RSA_BITS
from ign_deploy.module.name_constraints import forbidden_names

Path = Sequence[x509.Certificate]
Names = Mapping[x509.Certificate, str]
ExtensionValue = TypeVar("ExtensionValue", bound=x509.ExtensionType)

# What these rules process, or what can't restrict a path: any policy will do. Other extensions
# that are marked critical, also known ones such as policyConstraints, reject the path (4.2).
_PROCESSED = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.NameConstraints,
    x509.SubjectAlternativeName,
    x509.CertificatePolicies,
)
_SIGNERS = (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


def path_problems(path: Path) -> list[str]:
    """Return what makes the path invalid, a sentence each; dates are not looked at.

    ``path`` is the signer, the issuers in order, and the trust anchor last. Names and signatures
    have been compared. The anchor's own limits count, too (RFC 5937).
    """
    try:
        return [*dict.fromkeys(_problems(path, distinct_names(path)))]
    except (ValueError, x509.DuplicateExtension) as cause:
        return [f"the extensions of a certificate can't be read: {cause}"]


def _problems(path: Path, names: Names) -> Iterator[str]:
    yield from _signer_problems(path[0], names)
    for number, issuer in enumerate(path[1:], start=1):
        yield from _issuer_problems(issuer, path[1:number], names)
    for certificate in path[:-1]:
        # A person named the anchor: what its own signature says doesn't matter.
        yield from _algorithm_problems(certificate, names)
    for certificate in path:
        yield from _purpose_problems(certificate, names)
        yield from _critical_problems(certificate, names)
    yield from _name_problems(path, names)


def _algorithm_problems(certificate: x509.Certificate, names: Names) -> Iterator[str]:
    """Check that its signature, and those that its key makes, can't be forged.

    Authorities no longer issue such certificates for signing code (CA/Browser Forum), and Java
    refuses them in signed jars (``jdk.jar.disabledAlgorithms``, ``jdk.certpath.…``).
    """
    algorithm, key = certificate.signature_hash_algorithm, certificate.public_key()
    if isinstance(algorithm, BROKEN_HASHES):
        name = "MD5" if isinstance(algorithm, hashes.MD5) else "SHA-1"
        yield f"{names[certificate]} was issued with {name}, which can be forged"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        yield (
            f"the RSA key of {names[certificate]} has {key.key_size} bits, fewer than the "
            f"required {MIN_RSA_BITS}"
        )


def _signer_problems(signer: x509.Certificate, names: Names) -> Iterator[str]:
    usage = _extension(signer, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        yield f"the key usage of {names[signer]} doesn't include digital signatures"


def _issuer_problems(issuer: x509.Certificate, below: Path, names: Names) -> Iterator[str]:
    """Check what entitles an issuer; ``below`` are the issuers between it and the signer."""
    name = names[issuer]
    if not is_authority(issuer):
        yield f"{name} issued a certificate but is not marked as an authority"
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield f"the key usage of {name} doesn't include signing certificates"
    basic = _extension(issuer, x509.BasicConstraints)
    allowed = basic.path_length if basic is not None else None
    # Self-issued certificates don't count (4.2.1.9).
    between = sum(each.subject != each.issuer for each in below)
    if allowed is not None and between > allowed:
        yield f"{name} allows {allowed} authorities below it, but there are {between}"


def _purpose_problems(certificate: x509.Certificate, names: Names) -> Iterator[str]:
    """Check the purposes; an issuer's limit those of what it issues, as other verifiers do."""
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not any(purpose in _SIGNERS for purpose in purposes):
        yield f"{names[certificate]} is not for signing code (extended key usage)"


def _critical_problems(certificate: x509.Certificate, names: Names) -> Iterator[str]:
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _PROCESSED):
            yield (
                f"{names[certificate]} has the critical extension "
                f"{extension.oid.dotted_string}, which is not supported"
            )


def _name_problems(path: Path, names: Names) -> Iterator[str]:
    for position, issuer in enumerate(path):
        constraints = _extension(issuer, x509.NameConstraints)
        if constraints is None:
            continue
        for depth, certificate in enumerate(path[:position]):
            if depth and certificate.subject == certificate.issuer:
                continue  # self-issued, and not the signer (6.1.3)
            for name in forbidden_names(certificate, constraints):
                yield (
                    f"{names[issuer]} may not issue certificates for the name {name} "
                    f"of {names[certificate]}"
                )


def _extension(certificate: x509.Certificate, kind: type[ExtensionValue]) -> ExtensionValue | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
