"""Keys and certificates for tests, made once per process: RSA generation is slow.

The certificates' dates are fixed far apart, so that no test depends on the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache, lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
NOT_AFTER = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@cache
def rsa_key(name: str = "signer", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of that name; the same object for the whole process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def issue(
    subject: str,
    key: rsa.RSAPrivateKey,
    *,
    issuer: str,
    issuer_key: rsa.RSAPrivateKey,
    authority: bool = False,
    hosts: Sequence[str] = (),
    not_before: dt.datetime = NOT_BEFORE,
    not_after: dt.datetime = NOT_AFTER,
) -> x509.Certificate:
    """Return a certificate for ``key``, signed with ``issuer_key`` (SHA-256).

    It is for signing code, for serving ``hosts``, or for issuing others (``authority``).
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject))
        .issuer_name(common_name(issuer))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(f"{subject}/{issuer}".encode()[:16], "big"))
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if hosts:
        names = [
            x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            for host in hosts
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    elif not authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def common_name(text: str) -> x509.Name:
    """Return a distinguished name that has a common name only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def self_signed(
    name: str = "Test Vendor",
    *,
    key: rsa.RSAPrivateKey | None = None,
    not_before: dt.datetime = NOT_BEFORE,
    not_after: dt.datetime = NOT_AFTER,
) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    """Return a key and its self-signed certificate; without a key, the key called ``name``."""
    own = key or rsa_key(name)
    certificate = issue(
        name,
        own,
        issuer=name,
        issuer_key=own,
        not_before=not_before,
        not_after=not_after,
    )
    return own, certificate


@lru_cache(maxsize=1)
def chain() -> tuple[
    rsa.RSAPrivateKey, tuple[x509.Certificate, x509.Certificate, x509.Certificate]
]:
    """Return the leaf's key and (leaf, intermediate, root)."""
    root_key, middle_key, leaf_key = rsa_key("root"), rsa_key("intermediate"), rsa_key("leaf")
    root = issue("Test Root", root_key, issuer="Test Root", issuer_key=root_key, authority=True)
    middle = issue(
        "Test Intermediate", middle_key, issuer="Test Root", issuer_key=root_key, authority=True
    )
    leaf = issue("Test Leaf", leaf_key, issuer="Test Intermediate", issuer_key=middle_key)
    return leaf_key, (leaf, middle, root)


def pem_key(key: rsa.RSAPrivateKey, *, password: str | None = None) -> bytes:
    """Return the key as PKCS#8 PEM, encrypted when a password is given."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def pem_certificates(*certificates: x509.Certificate) -> bytes:
    """Return the certificates as PEM, in the order given."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def pem_files(
    folder: Path, key: rsa.RSAPrivateKey, certificates: tuple[x509.Certificate, ...]
) -> tuple[Path, Path]:
    """Write ``signing.key.pem`` and ``signing.cert.pem`` into the folder; return both paths."""
    key_path, certificate_path = folder / "signing.key.pem", folder / "signing.cert.pem"
    key_path.write_bytes(pem_key(key))
    key_path.chmod(0o600)
    certificate_path.write_bytes(pem_certificates(*certificates))
    return key_path, certificate_path
