"""Generating a self-signed code-signing certificate and its key, without keytool.

For a key that exists elsewhere, only the certificate is made, or the request for one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PBES,
    serialize_key_and_certificates,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import write_atomically
from ign_deploy.module.certificates import CertificateInfo, describe
from ign_deploy.report import Reporter
from ign_deploy.signing.keys.certifying import KeyElsewhere
from ign_deploy.signing.keys.signer import DigestSigner

Container = Literal["pem", "pkcs12"]

KEY_FILE = "signing.key.pem"
CERTIFICATE_FILE = "signing.cert.pem"
STORE_FILE = "signing.p12"
REQUEST_FILE = "signing.csr.pem"
DEFAULT_ALIAS = "signer"
KEY_SIZES = (3072, 4096)

_MAX_DAYS = 36_500
_MAX_NAME = 64  # RFC 5280, A.1: ub-common-name and ub-organization-name
_MIN_STORE_PASSWORD = 6  # keytool refuses shorter ones
_PUBLIC_EXPONENT = 65537
_PRIVATE_MODE = 0o600
_KDF_ROUNDS = 100_000


@dataclass(frozen=True, slots=True)
class GeneratedCertificate:
    """What was written: key or keystore, and certificate (None when it is in the keystore)."""

    key: Path
    certificate: Path | None
    info: CertificateInfo
    is_encrypted: bool

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files written."""
        return (self.key,) if self.certificate is None else (self.key, self.certificate)


def generate_certificate(
    *,
    common_name: str,
    organization: str,
    days: int,
    key_size: int,
    now: dt.datetime,
    password: str | None,
    folder: Path,
    container: Container = "pem",
    alias: str = DEFAULT_ALIAS,
) -> GeneratedCertificate:
    """Generate a key and its self-signed certificate, and write them into ``folder``.

    A line break at the end of the password is dropped: no secret store keeps it reliably.

    ``pem`` writes ``signing.key.pem`` (PKCS#8, encrypted when there is a password) and
    ``signing.cert.pem``; ``pkcs12`` writes ``signing.p12``, which needs a password. Files with a
    key are readable by their owner only. ``now`` is an aware datetime. Raises ConfigurationError,
    also when one of the files already exists: a signing key is never overwritten.
    """
    password = password and password.rstrip("\r\n")
    _check_names(common_name=common_name, organization=organization, alias=alias)
    _check_numbers(days=days, key_size=key_size)
    _check_password(password, container=container)
    names = (STORE_FILE,) if container == "pkcs12" else (KEY_FILE, CERTIFICATE_FILE)
    targets = tuple(folder / name for name in names)
    _check_absent(targets)
    key = rsa.generate_private_key(public_exponent=_PUBLIC_EXPONENT, key_size=key_size)
    certificate = _self_signed(key, _name(common_name, organization), now=now, days=days)
    _check_absent(targets)  # key generation takes seconds
    if container == "pkcs12":
        store = _pkcs12(key, certificate, password=password or "", alias=alias)
        write_atomically(targets[0], store, mode=_PRIVATE_MODE, durable=True)
        return GeneratedCertificate(targets[0], None, describe(certificate), is_encrypted=True)
    write_atomically(targets[1], _certificate_pem(certificate), durable=True)
    write_atomically(targets[0], _key_pem(key, password), mode=_PRIVATE_MODE, durable=True)
    return GeneratedCertificate(targets[0], targets[1], describe(certificate), bool(password))


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """What was written for a key that exists: its certificate, or (no ``info``) the request."""

    path: Path
    info: CertificateInfo | None


def certify_key(
    signer: DigestSigner,
    *,
    common_name: str,
    organization: str,
    days: int,
    now: dt.datetime,
    folder: Path,
    is_request: bool,
    reporter: Reporter,
) -> CertifiedKey:
    """Write ``signing.cert.pem`` for a key, or ``signing.csr.pem`` for an authority to sign.

    The key signs it. Raises ConfigurationError as above, and what the key raises.
    """
    _check_names(common_name=common_name, organization=organization)
    _check_numbers(days=days)
    target = folder / (REQUEST_FILE if is_request else CERTIFICATE_FILE)
    _check_absent((target,))
    key, name = KeyElsewhere(signer, reporter), _name(common_name, organization)
    if is_request:
        request = _request(key, name)
        write_atomically(target, request.public_bytes(serialization.Encoding.PEM), durable=True)
        return CertifiedKey(target, None)
    certificate = _self_signed(key, name, now=now, days=days)
    write_atomically(target, _certificate_pem(certificate), durable=True)
    return CertifiedKey(target, describe(certificate))


def _request(key: rsa.RSAPrivateKey, name: x509.Name) -> x509.CertificateSigningRequest:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(_signing_only(), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )


def _self_signed(
    key: rsa.RSAPrivateKey, name: x509.Name, *, now: dt.datetime, days: int
) -> x509.Certificate:
    start = now.astimezone(dt.UTC).replace(microsecond=0)
    public_key = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organization: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: rsa.RSAPrivateKey, password: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _pkcs12(
    key: rsa.RSAPrivateKey, certificate: x509.Certificate, *, password: str, alias: str
) -> bytes:
    """Return the keystore with AES-256, PBKDF2 and an HMAC of SHA-256, which Java 17 reads."""
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_KDF_ROUNDS)
        .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    return serialize_key_and_certificates(alias.encode(), key, certificate, None, encryption)


def _check_names(**names: str) -> None:
    for field, text in names.items():
        label = field.replace("_", " ")
        if len(text) > _MAX_NAME or not text.isprintable():
            raise ConfigurationError(
                f"the {label} is too long ({len(text)} characters) or has unprintable characters",
                hint=f"use at most {_MAX_NAME} printable characters.",
            )
        if not text.strip() and field != "organization":
            raise ConfigurationError(f"the {label} is empty", hint=f"provide a {label}.")


def _check_numbers(*, days: int, key_size: int = KEY_SIZES[0]) -> None:
    if not 1 <= days <= _MAX_DAYS:
        raise ConfigurationError(
            f"a validity of {days} days is out of range",
            hint=f"choose between 1 and {_MAX_DAYS} days.",
        )
    if key_size not in KEY_SIZES:
        raise ConfigurationError(
            f"a key size of {key_size} bits is not supported",
            hint=f"choose {' or '.join(map(str, KEY_SIZES))} bits.",
        )


def _check_password(password: str | None, *, container: Container) -> None:
    if container != "pkcs12":
        return
    if password is None or len(password) < _MIN_STORE_PASSWORD:
        raise ConfigurationError(
            f"a PKCS#12 keystore needs a password of at least {_MIN_STORE_PASSWORD} characters",
            hint="set MODULE_SIGNING_PASSWORD to a longer password.",
        )


def _check_absent(targets: tuple[Path, ...]) -> None:
    for target in targets:
        if target.is_symlink() or target.exists():
            raise ConfigurationError(
                f"{target} already exists, and is never overwritten",
                hint="choose another folder, or move the old file away first.",
            )
