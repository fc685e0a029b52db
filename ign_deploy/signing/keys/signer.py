"""Signing many digests with any key: batches, limits, repeated attempts, progress, and the proof.

What has been signed isn't requested again when an attempt after it fails, and every signature is
verified with the public key before it is returned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ign_deploy.errors import NetworkError, SigningError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.report import Reporter
from ign_deploy.signing.keys.protocol import SigningKey

if TYPE_CHECKING:
    from ign_deploy.net.retry import RetryPolicy

DIGEST_SIZE = 32
_DEADLINE = 300.0
_SECONDS_EACH = 5.0
"""The deadline is for all digests of a module together, and so much later for each of them."""
_REPORT_EVERY = 10.0
"""Seconds: faster keys than that need no progress."""


def signing_policy() -> RetryPolicy:
    """Return how often and how long the same digests are requested again.

    Imported when something fails: keys from files never need it, and it is slow to import.
    """
    from ign_deploy.net.retry import RetryPolicy

    return RetryPolicy(attempts=8, deadline=_DEADLINE, limit_wait=2.0)


class DigestSigner:
    """Signs digests with a key; threads may share it, and the key is called within its limits."""

    def __init__(
        self, key: SigningKey, public_key: rsa.RSAPublicKey, *, policy: RetryPolicy | None = None
    ) -> None:
        self.key = key
        self.public_key = public_key
        self._policy = policy
        self._clock = policy.clock if policy else time.monotonic
        self._sleep = policy.sleep if policy else time.sleep
        self._turns = threading.BoundedSemaphore(key.parallel)
        self._resume_at = 0.0

    def sign(self, digests: Sequence[bytes], *, reporter: Reporter) -> Mapping[bytes, bytes]:
        """Return the signature of each SHA-256 digest; equal ones are signed once.

        Raises SigningError or NetworkError if one of them can't be signed, or if its signature
        isn't by the certificate's key.
        """
        for digest in digests:
            if len(digest) != DIGEST_SIZE:
                size = len(digest)
                raise ValueError(f"a SHA-256 digest has {DIGEST_SIZE} bytes, this has {size}")
        distinct = list(dict.fromkeys(digests))
        run = _Run(self.key.location, len(distinct), reporter, self._clock)
        step = self.key.batch_size
        batches = [distinct[begin : begin + step] for begin in range(0, len(distinct), step)]

        def sign_batch(batch: Sequence[bytes]) -> Sequence[bytes]:
            with run.explained(), self._turns:
                signatures = self._sign_batch(batch, run)
            run.count(len(batch))
            return signatures

        done = map_parallel(sign_batch, batches, workers=self.key.parallel)
        run.end()
        return dict(zip(distinct, (each for batch in done for each in batch), strict=True))

    def _policy_until(self, left: float) -> RetryPolicy:
        """Return the policy for so many seconds; while one thread waits, the others do."""

        def pause(seconds: float) -> None:
            self._resume_at = max(self._resume_at, self._clock() + seconds)
            self._sleep(seconds)

        return replace(self._policy or signing_policy(), deadline=left, sleep=pause)

    def _sign_batch(self, batch: Sequence[bytes], run: _Run) -> Sequence[bytes]:
        def attempt() -> Sequence[bytes]:
            if (wait := self._resume_at - self._clock()) > 0:
                self._sleep(wait)
            return self.key.sign_digests(batch)

        run.left()
        try:
            signatures = attempt()
        except NetworkError as problem:
            policy = self._policy_until(run.left())
            signatures = _attempt_again(attempt, problem, run=run, policy=policy)
        if len(signatures) != len(batch):
            raise SigningError(
                f"{run.location} returned {len(signatures)} signatures for {len(batch)} digests",
                hint="check that --key names a supported service or device.",
            )
        for digest, signature in zip(batch, signatures, strict=True):
            self._verify(digest, signature)
        return signatures

    def _verify(self, digest: bytes, signature: bytes) -> None:
        try:
            self.public_key.verify(
                signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256())
            )
        except InvalidSignature as cause:
            raise SigningError(
                f"{self.key.location} returned a signature that the certificate's key didn't make",
                hint="check that --key names exactly one key, and the certificate of that key.",
            ) from cause


@dataclass(slots=True)
class _Run:
    """The signing of one module's digests: how far it is, and until when it may take."""

    location: str
    total: int
    reporter: Reporter
    clock: Callable[[], float]
    done: int = 0
    _begin: float = field(init=False)
    _reported: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._begin = self._reported = self.clock()

    def left(self) -> float:
        """Return the seconds until the deadline; raises NetworkError when it has passed."""
        deadline = _DEADLINE + self.total * _SECONDS_EACH
        left = self._begin + deadline - self.clock()
        if left <= 0:
            raise NetworkError(
                f"signing took longer than {deadline:.0f} s",
                hint="check the load and the limits of the service or device, then run again.",
            )
        return left

    def count(self, signed: int) -> None:
        """Count what was signed, and report it now and then."""
        with self._lock:
            self.done += signed
            if self.clock() - self._reported >= _REPORT_EVERY and self.done < self.total:
                self._reported = self.clock()
                self.reporter.info(f"{self.done} of {self.total} {self._rate()}")

    def end(self) -> None:
        """Report how many signatures were made how fast, if it took long."""
        if self.clock() - self._begin >= _REPORT_EVERY:
            self.reporter.info(f"{self.total} {self._rate()}")

    def _rate(self) -> str:
        seconds = max(self.clock() - self._begin, 0.001)
        return f"signatures by {self.location}, {self.done / seconds:.1f} per second"

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Name the key, and how many signatures there are, in what the network raises."""
        try:
            yield
        except NetworkError as problem:
            raise NetworkError(
                f"cannot sign with {self.location}: {problem.message} "
                f"({self.done} of {self.total} signatures were made)",
                hint=problem.hint,
            ) from problem


def _attempt_again(
    attempt: Callable[[], Sequence[bytes]],
    problem: NetworkError,
    *,
    run: _Run,
    policy: RetryPolicy,
) -> Sequence[bytes]:
    """Return what ``attempt`` returns, tried again after ``problem`` while that may pass."""
    from ign_deploy.net.retry import retrying

    first = [problem]

    def again() -> Sequence[bytes]:
        if first:
            raise first.pop()
        return attempt()

    title = f"signing with {run.location}"
    return retrying(again, title=title, reporter=run.reporter, policy=policy)
