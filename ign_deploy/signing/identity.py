"""The signing identity: a key that signs digests, and the certificate chain that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import PublicKeyAlgorithmOID

from ign_deploy.errors import IdentityError, VerificationError
from ign_deploy.module.certificate_file import java_problem
from ign_deploy.module.certificate_info import identified, subject_of
from ign_deploy.module.certificates import find_chain, read_certificates
from ign_deploy.module.pem import looks_like_pem
from ign_deploy.report import Reporter
from ign_deploy.signing.jks import JCEKS_MAGIC, MAGIC, read_jks
from ign_deploy.signing.keys import key_scheme, open_key
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.protocol import (
    GENERATE_HINT,
    KeyAccess,
    SigningKey,
    not_rsa,
    require_rsa,
)
from ign_deploy.signing.keys.signer import DigestSigner
from ign_deploy.signing.keysource import KEYTOOL_IMPORT, KeySource, WrongPassword
from ign_deploy.signing.material import IdentityMaterial, read_material
from ign_deploy.signing.pem import read_der_key, read_pem
from ign_deploy.signing.pkcs12 import is_pkcs12, read_pkcs12, without_armour

__all__ = [
    "IdentityMaterial",
    "SigningIdentity",
    "load_identity",
    "read_material",
]


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A signing key with its certificate chain: leaf first, then the issuers. Threads may share it.

    Made by ``load_identity``, which has checked that key and leaf belong together.
    """

    chain: tuple[x509.Certificate, ...]
    signer: DigestSigner = field(repr=False)
    notes: tuple[str, ...] = ()
    """What the user should correct, though the key could be used."""

    @property
    def leaf(self) -> x509.Certificate:
        """The signing key's own certificate."""
        return self.chain[0]

    @property
    def location(self) -> str:
        """Where the key is, for people."""
        return self.signer.key.location

    def sign_digests(
        self, digests: Sequence[bytes], *, reporter: Reporter
    ) -> Mapping[bytes, bytes]:
        """Return RSASSA-PKCS1-v1_5 of each SHA-256 digest, see ``DigestSigner.sign``."""
        return self.signer.sign(digests, reporter=reporter)

    def close(self) -> None:
        """End the key's session, if it has one."""
        self.signer.key.close()


def load_identity(
    material: IdentityMaterial, *, access: KeyAccess | None = None
) -> SigningIdentity:
    """Return the identity made from the user's key or keystore and certificates.

    A key that is elsewhere is reached by ``access``; close the identity when all is signed.
    An explicit certificate file overrides the keystore's chain. If a password is wrong but for the
    line break at its end (``echo secret |``), it is used without it. Whether the certificates are
    valid today is not checked here (``validity_findings``). Raises IdentityError.
    """
    if material.key and not material.keystore and key_scheme(material.key):
        return _elsewhere(material.key, material, access or KeyAccess())
    try:
        return _load(material)
    except WrongPassword:
        trimmed = material.without_line_breaks()
        if trimmed == material:
            raise
        note = (
            "the password ends with a line break that doesn't belong to it, and was used without; "
            "correct the secret (`printf %s` instead of `echo`)"
        )
        identity = _load(trimmed)
        return replace(identity, notes=(note, *identity.notes))


def _load(material: IdentityMaterial) -> SigningIdentity:
    if material.keystore and material.key:
        raise IdentityError(
            "both a keystore and a key were given",
            hint="provide one of them: the keystore, or the key with its certificates.",
        )
    source = _key_source(material)
    return _identity(FileKey(_rsa_key(source.key), source.certificates), material, source)


def open_signer(material: IdentityMaterial, *, access: KeyAccess) -> DigestSigner:
    """Return what signs with a key, without its certificates; close its ``key`` afterwards."""
    if material.key and key_scheme(material.key):
        key: SigningKey = open_key(material.key, access=access)
    else:
        key = FileKey(_rsa_key(_key_source(material).key))
    try:
        return DigestSigner(key, require_rsa(key.public_key))
    except BaseException:
        key.close()
        raise


def _elsewhere(uri: str, material: IdentityMaterial, access: KeyAccess) -> SigningIdentity:
    """Return the identity of a key that a URI names."""
    key = open_key(uri, access=access)
    try:
        return _identity(key, material)
    except BaseException:
        key.close()
        raise


def _identity(
    key: SigningKey, material: IdentityMaterial, source: KeySource | None = None
) -> SigningIdentity:
    """Return the identity of a key and its certificates; ``source`` is the file it is from."""
    public_key = require_rsa(key.public_key)
    chain, notes = _chain(material, key, source)
    if chain[0].public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        raise IdentityError(
            "the signing key is for RSA-PSS signatures only, but gateways check PKCS #1 v1.5 ones",
            hint=f"use a plain RSA key and a certificate for it; {GENERATE_HINT}",
        )
    return SigningIdentity(chain, DigestSigner(key, public_key), notes)


def _key_source(material: IdentityMaterial) -> KeySource:
    if material.keystore:
        return _read_source(read_material(material.keystore, what="keystore"), material)
    if material.key:
        return _read_source(read_material(material.key, what="signing key"), material)
    raise IdentityError(
        "no signing key given",
        hint=f"provide a key and its certificates, or a keystore; {GENERATE_HINT}",
    )


def _read_source(data: bytes, material: IdentityMaterial) -> KeySource:
    """Read the bytes by their format, whatever the file's extension."""
    store, own = material.store_password or None, material.key_password or None
    alias = material.alias or None
    if data.startswith(MAGIC):
        return read_jks(data, store_password=store, key_password=own, alias=alias)
    if data.startswith(JCEKS_MAGIC):
        raise IdentityError(
            "the keystore is in the JCEKS format, which is not supported",
            hint=f"convert it: {KEYTOOL_IMPORT} -srcstoretype jceks.",
        )
    data = without_armour(data)
    if is_pkcs12(data):
        return read_pkcs12(data, store_password=store, key_password=own, alias=alias)
    if looks_like_pem(data):
        return read_pem(data, password=own or store)
    if data.startswith(b"0"):
        return read_der_key(data, password=own or store)
    raise IdentityError(
        "the signing key is in an unknown format: not PEM, DER, PKCS#12 or JKS",
        hint="check the file; pass binary files as Base64.",
    )


def _rsa_key(key: PrivateKeyTypes) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
        raise not_rsa("EC" if is_ec else type(key).__name__.removesuffix("PrivateKey"))
    return key


def _chain(
    material: IdentityMaterial, key: SigningKey, source: KeySource | None
) -> tuple[tuple[x509.Certificate, ...], tuple[str, ...]]:
    """Return the chain of the key, and what to say of certificates that are not in it."""
    certificates, problem = tuple(key.certificates), source.problem if source else None
    try:
        if material.certificates:
            problem = None
            data = read_material(material.certificates, what="certificate chain")
            certificates = read_certificates(data)
        if not certificates:
            raise problem or IdentityError(
                "no certificate given for the signing key",
                hint="provide the key's certificate chain (PEM or PKCS#7) with --cert-path.",
            )
        chain, others = find_chain(certificates, key.public_key)
    except VerificationError as cause:
        reason = problem or cause
        raise IdentityError(reason.message, hint=reason.hint) from cause
    for certificate in chain:
        if defect := java_problem(certificate):
            raise IdentityError(
                f"no gateway could read the certificates: {subject_of(certificate)} {defect}",
                hint="have the certificate issued again.",
            )
    if not material.certificates and (source is None or source.may_hold_others):
        # A store's or token's trusted certificates have nothing to do with the key; a namesake has.
        subjects = {each.subject for each in chain}
        others = tuple(each for each in others if each.subject in subjects)
    return chain, _left_out(chain, others)


def _left_out(
    chain: tuple[x509.Certificate, ...], others: tuple[x509.Certificate, ...]
) -> tuple[str, ...]:
    if not others:
        return ()
    names = "; ".join(identified(each) for each in others)
    return (f"signing with {identified(chain[0])}; left out, since not in its chain: {names}",)
