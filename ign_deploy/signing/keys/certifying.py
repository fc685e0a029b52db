"""Any signing key as cryptography's builders of certificates and requests take it."""

from __future__ import annotations

import hashlib
from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ign_deploy.report import Reporter
from ign_deploy.signing.keys.signer import DigestSigner


class KeyElsewhere(rsa.RSAPrivateKey):
    """Signs with a ``DigestSigner``; what needs the private numbers is not possible."""

    def __init__(self, signer: DigestSigner, reporter: Reporter) -> None:
        self._signer = signer
        self._reporter = reporter

    @property
    def key_size(self) -> int:
        """The bits of the modulus."""
        return self.public_key().key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public key."""
        return self._signer.public_key

    def sign(self, data: bytes, padding: padding.AsymmetricPadding, algorithm: object) -> bytes:
        """Return RSASSA-PKCS1-v1_5 of the data with SHA-256, the only kind there is."""
        if padding.name != "EMSA-PKCS1-v1_5" or not isinstance(algorithm, hashes.SHA256):
            raise TypeError("this key signs PKCS #1 v1.5 with SHA-256 only")
        digest = hashlib.sha256(data).digest()
        return self._signer.sign([digest], reporter=self._reporter)[digest]

    def decrypt(self, *_: object, **__: object) -> NoReturn:
        """Fail: the key only signs."""
        raise TypeError("this key only signs")

    def private_numbers(self) -> NoReturn:
        """Fail: the key can't be read."""
        raise TypeError("this key can't be read")

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        """Fail: the key can't be read."""
        raise TypeError("this key can't be read")

    def __copy__(self) -> KeyElsewhere:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> KeyElsewhere:
        return self
