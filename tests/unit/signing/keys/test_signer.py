"""Signing many digests: batches, limits, repeated attempts, progress, and the proof."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Barrier, Event

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from ign_deploy.errors import NetworkError, SigningError
from ign_deploy.net.errors import RateLimited, TransientFailure, TransientResponse
from ign_deploy.report import SilentReporter
from ign_deploy.signing.keys.file import FileKey
from tests.support.identities import rsa_key
from tests.support.reporting import Recorder
from tests.support.signing_keys import ScriptedKey, Step, VirtualClock

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(300)]


def broken() -> TransientFailure:
    return TransientFailure("the connection to kms.example broke", hint="check the network.")


def throttled(seconds: float | None = None) -> TransientResponse:
    return TransientResponse("kms.example returned 429", hint="wait.", retry_after=seconds)


def test_all_are_signed_in_batches_and_equal_ones_once() -> None:
    key = ScriptedKey(batch_size=64)
    signed = key.signer(VirtualClock()).sign(DIGESTS * 2, reporter=SilentReporter())
    assert list(signed) == DIGESTS
    wanted = key.private_key.sign(DIGESTS[7], padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    assert signed[DIGESTS[7]] == wanted
    assert [len(call) for call in key.calls] == [64, 64, 64, 64, 44]


def test_nothing_to_sign_is_no_call() -> None:
    key = ScriptedKey()
    assert key.signer(VirtualClock()).sign([], reporter=SilentReporter()) == {}
    assert key.calls == []


@pytest.mark.parametrize("failure", [broken(), throttled(7.0)])
def test_after_a_failure_in_the_middle_nothing_is_signed_twice(failure: NetworkError) -> None:
    key, reporter = ScriptedKey(steps=[None] * 150 + [failure]), Recorder()
    signed = key.signer(VirtualClock()).sign(DIGESTS, reporter=reporter)
    assert len(signed) == 300
    asked = [digest for call in key.calls for digest in call]
    assert len(asked) == 301
    assert asked.count(DIGESTS[150]) == 2
    (warning,) = reporter.warnings
    assert "signing with the test service" in warning


def test_retry_after_is_obeyed() -> None:
    clock = VirtualClock()
    key = ScriptedKey(steps=[throttled(7.0), RateLimited("429", retry_after=90.0)])
    key.signer(clock).sign(DIGESTS[:3], reporter=SilentReporter())
    assert clock.waits == [7.0, 90.0]


def test_throttling_for_ever_ends_at_the_deadline() -> None:
    clock = VirtualClock()
    key = ScriptedKey(steps=[None] * 28 + [RateLimited("429", retry_after=50.0)] * 1000)
    with pytest.raises(NetworkError) as caught:
        key.signer(clock).sign(DIGESTS[:40], reporter=SilentReporter())
    assert "28 of 40 signatures" in caught.value.message
    assert "the test service" in caught.value.message
    assert clock.now <= 300 + 40 * 5


def test_failing_for_ever_ends_after_some_attempts() -> None:
    key = ScriptedKey(steps=[broken()] * 1000)
    with pytest.raises(NetworkError, match="the connection to kms") as caught:
        key.signer(VirtualClock()).sign(DIGESTS, reporter=SilentReporter())
    assert "0 of 300" in caught.value.message
    assert caught.value.hint == "check the network."
    assert len(key.calls) == 8


def test_a_slow_key_is_cut_off_at_the_deadline() -> None:
    clock = VirtualClock()
    key = ScriptedKey(each=lambda: clock.sleep(120.0))
    with pytest.raises(NetworkError, match="took longer than 400 s"):
        key.signer(clock).sign(DIGESTS[:20], reporter=SilentReporter())
    assert len(key.calls) == 4


def test_what_stays_is_not_tried_again() -> None:
    key = ScriptedKey(steps=[None, SigningError("403: not allowed to sign")])
    with pytest.raises(SigningError, match="not allowed"):
        key.signer(VirtualClock()).sign(DIGESTS, reporter=SilentReporter())
    assert len(key.calls) == 2


def test_while_one_thread_waits_the_others_do() -> None:
    together, both_wait, waiting = Barrier(2), Barrier(2), Event()

    class Clock(VirtualClock):
        def sleep(self, seconds: float) -> None:
            waiting.set()
            both_wait.wait(10)
            super().sleep(seconds)

    def throttle(_: Sequence[bytes]) -> Sequence[bytes]:
        together.wait(10)
        raise throttled(30.0)

    def sign(digests: Sequence[bytes]) -> Sequence[bytes]:
        together.wait(10)
        waiting.wait(10)
        return FileKey(rsa_key()).sign_digests(digests)

    clock = Clock()
    key = ScriptedKey(steps=[throttle, sign], parallel=2)
    key.signer(clock).sign(DIGESTS[:3], reporter=SilentReporter())
    assert clock.waits == [30.0, 30.0]


def test_no_more_threads_call_the_key_than_it_allows() -> None:
    key = ScriptedKey(parallel=2)
    signer = key.signer(VirtualClock())
    key.parallel = 8  # more threads than turns
    signer.sign(DIGESTS, reporter=SilentReporter())
    assert 1 <= key.most_at_once <= 2


def other_signature(digests: Sequence[bytes]) -> Sequence[bytes]:
    return FileKey(rsa_key("another")).sign_digests(digests)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (other_signature, "a signature that the certificate's key didn't make"),
        (lambda digests: [b""] * len(digests), "a signature that the certificate's key didn't"),
        (lambda digests: [b"x" * 10_000_000] * len(digests), "a signature that the certificate's"),
        (lambda _: [], "returned 0 signatures for 4 digests"),
        (lambda digests: [b"x"] * (len(digests) + 1), "returned 5 signatures for 4 digests"),
    ],
)
def test_a_wrong_signature_ends_it(step: Step, words: str) -> None:
    key = ScriptedKey(steps=[None, step], batch_size=4)
    with pytest.raises(SigningError) as caught:
        key.signer(VirtualClock()).sign(DIGESTS, reporter=SilentReporter())
    assert words in caught.value.message
    assert "--key" in caught.value.hint
    assert len(key.calls) == 2


def test_progress_of_a_slow_key_has_count_and_rate() -> None:
    clock, reporter = VirtualClock(), Recorder()
    key = ScriptedKey(each=lambda: clock.sleep(0.5))
    key.signer(clock).sign(DIGESTS[:50], reporter=reporter)
    assert reporter.infos == [
        "20 of 50 signatures by the test service, 2.0 per second",
        "40 of 50 signatures by the test service, 2.0 per second",
        "50 signatures by the test service, 2.0 per second",
    ]


def test_a_fast_key_reports_nothing() -> None:
    reporter = Recorder()
    ScriptedKey().signer(VirtualClock()).sign(DIGESTS, reporter=reporter)
    assert reporter.messages == []
