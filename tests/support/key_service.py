"""What the doubles of services that sign have in common: an RSA key, and signatures by it."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ign_deploy.signing.keys.file import FileKey
from tests.support.identities import rsa_key
from tests.support.serving import HttpServer


@cache
def curve_key() -> ec.EllipticCurvePublicKey:
    """Return an EC public key."""
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def pem(key: PublicKeyTypes) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class KeyService(HttpServer):
    """A service with one key; ``signs_with`` is another one if it is to sign wrongly."""

    methods = frozenset({"GET", "POST"})
    signing = ""
    """The pattern of a request to sign."""
    opening = ""
    """The pattern of the request that reads the public key."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.private_key = rsa_key("service")
        self.public_key: PublicKeyTypes = self.private_key.public_key()
        self.signs_with = self.private_key
        self.signed: list[bytes] = []

    @property
    def uri(self) -> str:
        """The key's URI."""
        raise NotImplementedError

    @property
    def env(self) -> Mapping[str, str]:
        """The variables that an adapter needs."""
        raise NotImplementedError

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may have."""
        raise NotImplementedError

    def sign(self, digest: str) -> bytes:
        """Sign a digest that came in Base64."""
        found = base64.b64decode(digest, validate=True)
        assert len(found) == 32
        with self.lock:
            self.signed.append(found)
        return FileKey(self.signs_with).sign_digests([found])[0]
