"""Certificates for servers on this machine."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.support.identities import issue, pem_certificates, pem_key, rsa_key

HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Tls:
    """PEM files: the authority that a client trusts, the server's certificate, and its key."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """The settings of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_tls(folder: Path, *, hosts: tuple[str, ...] = HOSTS, self_signed: bool = True) -> Tls:
    """Make a certificate for the hosts in the folder; one that isn't self-signed has an authority.

    A self-signed certificate is its own authority.
    """
    key = rsa_key("tls")
    name = "Test Server" if self_signed else "Test Server Authority"
    issuer_key = key if self_signed else rsa_key("authority")
    certificate = issue(
        "Test Server", key, issuer=name, issuer_key=issuer_key, authority=self_signed, hosts=hosts
    )
    tls = Tls(folder / "tls.ca.pem", folder / "tls.cert.pem", folder / "tls.key.pem")
    authority = certificate
    if not self_signed:
        authority = issue(name, issuer_key, issuer=name, issuer_key=issuer_key, authority=True)
    tls.ca.write_bytes(pem_certificates(authority))
    tls.certificate.write_bytes(pem_certificates(certificate))
    tls.key.touch(0o600)
    tls.key.write_bytes(pem_key(key))
    return tls
