"""Keys in services, each against its double: the table of adapters and cases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError, IdentityError, IgnDeployError, NetworkError
from ign_deploy.net.response import Response
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.keys import SCHEMES, open_key
from ign_deploy.signing.keys.access_tokens import token_of
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.protocol import KeyAccess
from ign_deploy.signing.keys.service import OPENING
from ign_deploy.signing.keys.signer import DigestSigner
from tests.support.identities import pem_certificates, rsa_key, self_signed
from tests.support.key_service import KeyService, curve_key
from tests.support.key_services import SERVICES, VaultDouble, open_double
from tests.support.reporting import Recorder
from tests.support.serving import Fault, serving
from tests.support.signing_keys import VirtualClock
from tests.support.tls import make_tls

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(60)]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyService]:
    with serving(open_double(request.param, tmp_path)) as server:
        yield server


class Attempt:
    """One signer of a service on a virtual clock, with all that it reports."""

    def __init__(self, service: KeyService, **env: str) -> None:
        self.service = service
        self.clock = VirtualClock()
        self.reporter = Recorder()
        self.access = KeyAccess(
            env={**service.env, **env},
            reporter=self.reporter,
            retry=self.clock.policy(OPENING),
        )

    def load(self) -> SigningIdentity:
        certificate = self_signed("service")[1]
        material = IdentityMaterial(
            key=self.service.uri, certificates=pem_certificates(certificate).decode()
        )
        identity = load_identity(material, access=self.access)
        signer = DigestSigner(
            identity.signer.key, identity.signer.public_key, policy=self.clock.policy()
        )
        return SigningIdentity(identity.chain, signer)

    def sign(self, count: int = len(DIGESTS)) -> list[bytes]:
        identity = self.load()
        try:
            signed = identity.sign_digests(DIGESTS[:count], reporter=self.reporter)
            return [signed[digest] for digest in DIGESTS[:count]]
        finally:
            identity.close()

    def fail(self, *, count: int = len(DIGESTS)) -> IgnDeployError:
        """Return how signing fails: with what to do, and without a secret."""
        with pytest.raises(IgnDeployError) as caught:
            self.sign(count)
        problem = caught.value
        assert problem.hint
        said = [problem.message, problem.hint, *self.reporter.messages]
        assert all(secret not in text for secret in self.service.secrets for text in said)
        return problem


def test_every_key_in_a_service_is_in_the_table() -> None:
    assert {"pkcs11", *SERVICES} == set(SCHEMES)


def test_the_signatures_are_those_of_a_key_from_a_file(service: KeyService) -> None:
    attempt = Attempt(service)
    assert attempt.sign() == FileKey(service.private_key).sign_digests(DIGESTS)
    assert sorted(service.signed) == sorted(DIGESTS)
    assert all(secret in attempt.reporter.masked for secret in service.secrets)


def test_throttling_in_the_middle_is_obeyed(service: KeyService) -> None:
    step = SigningStep(service)
    service.faults.append(
        Fault(service.signing, status=429, headers={"Retry-After": "7"}, skip=step.middle)
    )
    attempt = Attempt(service)
    assert attempt.sign() == FileKey(service.private_key).sign_digests(DIGESTS)
    assert 7.0 in attempt.clock.waits
    assert sorted(service.signed) == sorted(DIGESTS)


@pytest.mark.parametrize("kind", ["broken", "cut"])
def test_a_connection_that_breaks_is_made_again(service: KeyService, kind: str) -> None:
    service.faults.append(Fault(service.signing, kind, skip=SigningStep(service).middle))
    assert Attempt(service).sign() == FileKey(service.private_key).sign_digests(DIGESTS)


def test_a_service_that_cannot_be_reached_is_named_by_its_setting(service: KeyService) -> None:
    service.faults.append(Fault(service.opening, "broken", times=10_000))
    problem = Attempt(service).fail(count=1)
    assert isinstance(problem, NetworkError)
    settings = ("--key", *(name for name, value in service.env.items() if service.url in value))
    assert any(f"({name})" in problem.hint for name in settings)


def test_throttling_for_ever_ends(service: KeyService) -> None:
    service.faults.append(
        Fault(service.signing, status=429, headers={"Retry-After": "50"}, times=10_000)
    )
    attempt = Attempt(service)
    problem = attempt.fail(count=20)
    assert isinstance(problem, NetworkError)
    assert "0 of 20 signatures were made" in problem.message
    assert "limit of the service" in problem.hint
    assert attempt.clock.now < 1000


def test_a_signature_of_another_key_is_noticed(service: KeyService) -> None:
    service.signs_with = rsa_key("another")
    assert "a signature that the certificate's key didn't make" in Attempt(service).fail().message


@pytest.mark.parametrize("pattern", ["signing", "opening"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 5_000_000 + b"]" * 5_000_000, b"{}", b"<html>", b'{"data":{"keys":7}}', b"\xff"],
    ids=["10 MB", "empty", "html", "other", "bytes"],
)
def test_a_response_of_another_kind_is_an_error(
    service: KeyService, pattern: str, body: bytes
) -> None:
    service.faults.append(Fault(getattr(service, pattern), status=200, body=body, times=10_000))
    problem = Attempt(service).fail(count=2)
    assert isinstance(problem, IdentityError)
    assert "127.0.0.1 sent" in problem.message
    assert service.signed == []


@pytest.mark.parametrize("pattern", ["signing", "opening"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_the_service_refuses_is_not_tried_again(
    service: KeyService, pattern: str, status: int
) -> None:
    fault = Fault(getattr(service, pattern), status=status, times=10_000)
    service.faults.append(fault)
    attempt = Attempt(service)
    problem = attempt.fail(count=1)
    assert isinstance(problem, IdentityError)
    assert str(status) in problem.message
    assert fault.times == 9_999
    assert attempt.clock.waits == []


def test_an_elliptic_curve_key_is_refused(service: KeyService) -> None:
    service.public_key = curve_key()
    problem = Attempt(service).fail()
    assert "the signing key is not RSA" in problem.message
    assert service.signed == []


def test_a_short_key_is_refused(service: KeyService) -> None:
    service.public_key = rsa_key("short", 1024).public_key()
    assert "1024 bits" in Attempt(service).fail().message
    assert service.signed == []


def test_the_certificate_of_another_key_is_refused_before_the_first_signature(
    service: KeyService,
) -> None:
    service.public_key = rsa_key("another").public_key()
    assert "certificate" in Attempt(service).fail().message
    assert service.signed == []


def test_a_build_cannot_exchange_the_ca(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    with serving(VaultDouble(tls=tls.context)) as service:
        service.faults.append(Fault(service.signing, "broken"))
        attempt = Attempt(service, SSL_CERT_FILE=str(tls.ca))
        identity = attempt.load()
        tls.ca.write_text("changed by a build")
        assert identity.sign_digests(DIGESTS[:1], reporter=attempt.reporter)
        identity.close()


class SigningStep:
    """How many requests to sign come before the middle of the digests."""

    def __init__(self, service: KeyService) -> None:
        identity = Attempt(service).load()
        self.middle = max(1, len(DIGESTS) // 2 // identity.signer.key.batch_size)
        identity.close()


hostile = st.text(st.sampled_from("abkeys:/?=&%#.@ -\0\n\u202eé0") | st.characters(), max_size=80)
parts = st.lists(
    st.sampled_from(["transit/keys/", "../", "https://", "projects/", "?version=", "arn:aws:"])
    | hostile,
    max_size=8,
)


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"pkcs11"}))
@given(found=parts)
def test_hostile_text_is_an_error_that_can_be_shown(scheme: str, found: list[str]) -> None:
    with pytest.raises((IdentityError, ConfigurationError)) as caught:
        open_key(f"{scheme}:" + "".join(found), access=KeyAccess())
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("number", ["1" + "0" * 400, "NaN", "-5", "1e400"])
def test_a_token_for_a_number_of_seconds_that_is_no_time(number: str) -> None:
    body = f'{{"access_token": "t", "expires_in": {number}}}'.encode()
    assert token_of(Response(200, {}, body)) == ("t", 0.0)
