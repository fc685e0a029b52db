"""Keys from files: PEM, DER or a keystore, in memory once they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ign_deploy.module.parallel import usable_processors

_BATCH = 32


@dataclass(frozen=True, slots=True)
class FileKey:
    """An RSA key in memory. Threads may share it."""

    _private_key: rsa.RSAPrivateKey = field(repr=False)
    certificates: Sequence[x509.Certificate] = field(default=(), repr=False)
    location: str = "a file"
    batch_size: int = _BATCH

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The key's public half."""
        return self._private_key.public_key()

    @property
    def parallel(self) -> int:
        """One thread per processor: signing releases the interpreter's lock."""
        return usable_processors()

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return the signature of each digest."""
        scheme, algorithm = padding.PKCS1v15(), Prehashed(hashes.SHA256())
        return [self._private_key.sign(digest, scheme, algorithm) for digest in digests]

    def close(self) -> None:
        """Do nothing: the key is in memory."""
