"""Signing keys that fail as tests want, and a clock that runs only when someone waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from ign_deploy.net.retry import RetryPolicy
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.signer import DigestSigner, signing_policy
from tests.support.identities import rsa_key

Step = Callable[[Sequence[bytes]], Sequence[bytes]] | Exception | None


@dataclass
class VirtualClock:
    """Time that passes by waiting, and by ``each`` second a call takes."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def policy(self, policy: RetryPolicy | None = None) -> RetryPolicy:
        own = policy or signing_policy()
        return replace(own, sleep=self.sleep, clock=lambda: self.now, random=lambda: 1.0)


@dataclass
class ScriptedKey:
    """A key elsewhere: each call does the next of ``steps`` (raises, returns), then it signs.

    ``calls`` has the digests of every call.
    """

    steps: Sequence[Step] = ()
    batch_size: int = 1
    parallel: int = 1
    each: Callable[[], None] = lambda: None
    private_key: rsa.RSAPrivateKey = field(default_factory=rsa_key)
    location: str = "the test service"
    certificates: tuple[x509.Certificate, ...] = ()
    calls: list[tuple[bytes, ...]] = field(default_factory=list)
    most_at_once: int = 0
    is_closed: bool = False
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self.private_key.public_key()

    def sign_digests(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            step = self.steps[len(self.calls)] if len(self.calls) < len(self.steps) else None
            self.calls.append(tuple(digests))
        try:
            self.each()
            if isinstance(step, Exception):
                raise step
            return (
                FileKey(self.private_key).sign_digests(digests) if step is None else step(digests)
            )
        finally:
            with self._lock:
                self._now -= 1

    def close(self) -> None:
        self.is_closed = True

    def signer(self, clock: VirtualClock) -> DigestSigner:
        return DigestSigner(self, self.public_key, policy=clock.policy())
