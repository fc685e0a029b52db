"""Servers of the tests' own on loopback: started for a block, over TLS where asked for."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.support.http_server import ScriptedServer
from tests.support.identities import common_name, pem_files, rsa_key

Server = TypeVar("Server", bound=ScriptedServer)
# Far apart, so that no test depends on the clock.
_BEFORE, _AFTER = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run the server while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Tls:
    """A server's TLS for 127.0.0.1 and localhost, and the authority that a client checks it by."""

    context: ssl.SSLContext
    ca: Path


def make_tls(folder: Path) -> Tls:
    """Make a certificate in ``folder``."""
    key = rsa_key("loopback")
    name = common_name("Loopback")
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(_BEFORE)
        .not_valid_after(_AFTER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_path, certificate_path = pem_files(folder, key, (certificate,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key_path)
    return Tls(context, certificate_path)
