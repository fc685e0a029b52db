"""What a signing key can do, wherever it is, and what it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from ign_deploy.errors import IdentityError
from ign_deploy.module.chain import MIN_RSA_BITS
from ign_deploy.report import Reporter, SilentReporter

if TYPE_CHECKING:
    from ign_deploy.net.retry import RetryPolicy

GENERATE_HINT = "create one with `ign-deploy generate-certificate` or `keytool -keyalg RSA`."


class SigningKey(Protocol):
    """Something that signs SHA-256 digests: a key in memory, in a token, or in a service.

    A failure that may pass is raised as ``net.errors.TransientResponse`` or ``TransientFailure``:
    the same digests are then requested again. What stays is a SigningError or a NetworkError.
    """

    @property
    def location(self) -> str:
        """Where the key is, for people: ``token "Release"``. It contains no secret."""

    @property
    def public_key(self) -> PublicKeyTypes:
        """The public key, of any kind: ``require_rsa`` checks it."""

    @property
    def certificates(self) -> Sequence[x509.Certificate]:
        """The certificates that are kept with the key; empty if there are none."""

    @property
    def batch_size(self) -> int:
        """How many digests one call of ``sign_digests`` may have."""

    @property
    def parallel(self) -> int:
        """How many threads may call ``sign_digests`` at once."""

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """Return RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) of each SHA-256 digest, in their order."""

    def close(self) -> None:
        """End the session, if there is one; more than once does nothing."""


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """What adapters may use to reach a key; the representation shows none of it.

    ``env`` is the run's environment; ``reporter`` gets what happens, and what is to be masked;
    ``retry`` is for logging in and reading the public key.
    """

    pin: str = field(default="", repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    reporter: Reporter = field(default_factory=SilentReporter, repr=False)
    retry: RetryPolicy | None = field(default=None, repr=False)


def require_rsa(public_key: PublicKeyTypes) -> rsa.RSAPublicKey:
    """Return the public key if a module can be signed with it; raises IdentityError."""
    if not isinstance(public_key, rsa.RSAPublicKey):
        is_ec = isinstance(public_key, ec.EllipticCurvePublicKey)
        raise not_rsa("EC" if is_ec else type(public_key).__name__.removesuffix("PublicKey"))
    if public_key.key_size < MIN_RSA_BITS:
        raise IdentityError(
            f"the RSA key has {public_key.key_size} bits, fewer than the required {MIN_RSA_BITS}",
            hint=f"use a longer key; {GENERATE_HINT}",
        )
    return public_key


def not_rsa(kind: str) -> IdentityError:
    """Return the error for a key of another kind, such as ``EC``."""
    return IdentityError(
        f"the signing key is not RSA ({kind}); gateways accept RSA with SHA-256 only",
        hint=f"use an RSA key and a certificate for it; {GENERATE_HINT}",
    )
