"""Keys in Google Cloud KMS: checksums, the logins, and its ways to refuse."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError, IgnDeployError
from ign_deploy.net.errors import TransientResponse
from ign_deploy.signing.keys import open_key
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.gcpkms import crc32c
from ign_deploy.signing.keys.protocol import KeyAccess, SigningKey
from ign_deploy.signing.keys.service import OPENING
from tests.support.google_kms import GoogleDouble
from tests.support.key_service import pem
from tests.support.reporting import Recorder
from tests.support.serving import Fault, json_reply, scripted_server, serving
from tests.support.signing_keys import VirtualClock

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]
RING = "projects/p/locations/l/keyRings/r"


@pytest.fixture
def kms(tmp_path: Path) -> Iterator[GoogleDouble]:
    with serving(GoogleDouble(tmp_path)) as server:
        yield server


class Opener:
    """Opens the key with an environment, on a virtual clock."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.clock, self.reporter = VirtualClock(), Recorder()
        self.access = KeyAccess(env=env, reporter=self.reporter, retry=self.clock.policy(OPENING))

    def open(self, uri: str = GoogleDouble.uri) -> SigningKey:
        return open_key(uri, access=self.access)

    def fail(self, uri: str = GoogleDouble.uri) -> IgnDeployError:
        with pytest.raises(IgnDeployError) as caught:
            self.open(uri)
        assert caught.value.hint
        assert all(each not in str(caught.value) for each in self.reporter.masked)
        return caught.value


def signs(key: SigningKey, kms: GoogleDouble) -> None:
    try:
        assert key.sign_digests(DIGESTS) == FileKey(kms.private_key).sign_digests(DIGESTS)
    finally:
        key.close()


def workload(kms: GoogleDouble, source: object, **more: str) -> None:
    """Write the credential file of a workload identity."""
    kms.write_file(
        type="external_account",
        audience="//iam.googleapis.com/pool",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=f"{kms.url}/token",
        service_account_impersonation_url=f"{kms.url}/impersonate",
        credential_source=source,
        **more,
    )


@pytest.mark.parametrize(
    ("content", "wanted"),
    [(b"", 0), (b"123456789", 0xE3069283), (b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksum_is_that_of_rfc_3720(content: bytes, wanted: int) -> None:
    assert crc32c(content) == wanted


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "release",
        f"{RING}/cryptoKeys/k",
        f"{RING}/cryptoKeys/k/cryptoKeyVersions/0",
        f"{RING}/cryptoKeys/k/cryptoKeyVersions/1/x",
        f"{RING}/cryptoKeys/k/cryptoKeyVersions/1?x",
        f"{RING}/cryptoKeys/../cryptoKeyVersions/1",
        f"/{RING}/cryptoKeys/k/cryptoKeyVersions/1",
    ],
)
def test_what_is_not_a_key_version(rest: str) -> None:
    assert "cryptoKeyVersions/1" in Opener({}).fail(f"gcpkms:{rest}").hint


def test_a_service_account_logs_in_once(kms: GoogleDouble) -> None:
    opener = Opener(kms.env)
    key = opener.open()
    assert key.location == "Google Cloud KMS (release, version 2)"
    signs(key, kms)
    assert kms.logins == ["ci@p.iam.gserviceaccount.com"]
    assert any("PRIVATE KEY" in each for each in opener.reporter.masked)


def test_the_token_is_fetched_again_before_it_expires(kms: GoogleDouble) -> None:
    opener = Opener(kms.env)
    key = opener.open()
    opener.clock.sleep(3299.0)
    key.sign_digests(DIGESTS)
    assert len(kms.logins) == 1
    opener.clock.sleep(2.0)
    signs(key, kms)
    assert len(kms.logins) == 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_workload_identity_is_in_a_file(kms: GoogleDouble, tmp_path: Path, form: str) -> None:
    token, source = tmp_path / "token", {"file": str(tmp_path / "token")}
    token.write_text("of.the.job\n")
    if form == "json":
        token.write_text(json.dumps({"id": "of.the.job"}))
        described = {"type": "json", "subject_token_field_name": "id"}
        workload(kms, {**source, "format": described})
    else:
        workload(kms, source)
    signs(Opener(kms.env).open(), kms)
    assert kms.logins == ["of.the.job", "impersonation"]


def test_a_workload_identity_comes_from_github(kms: GoogleDouble) -> None:
    with scripted_server(json_reply(200, {"value": "of.the.job"})) as github:
        source = {
            "url": f"{github.url}/token?audience=x",
            "headers": {"Authorization": "Bearer may-request"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        }
        workload(kms, source)
        signs(Opener(kms.env).open(), kms)
        assert github.requests[0].credentials == ("Bearer", "may-request")
    assert kms.logins == ["of.the.job", "impersonation"]


def test_the_machine_is_asked_only_if_that_is_requested(kms: GoogleDouble) -> None:
    env = {name: value for name, value in kms.env.items() if name.startswith("CLOUDSDK")}
    problem = Opener(env).fail()
    assert "no login for Google Cloud given" in problem.message
    assert kms.requests == []
    signs(Opener({**env, "GCE_METADATA_HOST": kms.url.removeprefix("http://")}).open(), kms)
    assert kms.logins == ["machine"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no json", "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ("[" * 50_000, "is not a JSON object"),
        ("x" * (1 << 17), "it has more than 65536 bytes"),
        ('{"type": "authorized_user"}', "neither a service account nor a workload"),
        ('{"type": "service_account"}', "has no token_uri"),
        (
            '{"type": "service_account", "token_uri": "https://x", "private_key": "s3cret"}',
            "the private_key in the file of GOOGLE_APPLICATION_CREDENTIALS is damaged",
        ),
        ('{"type": "external_account"}', "is neither a file nor a URL"),
        (
            '{"type": "external_account", "credential_source": {"file": "/none/token"}}',
            "cannot read the identity token /none/token",
        ),
        (
            '{"type": "external_account", "credential_source": {"url": "http://evil.example"}}',
            "would send everything unencrypted",
        ),
    ],
)
def test_a_credential_file_that_cannot_be_used(
    kms: GoogleDouble, content: str, reason: str
) -> None:
    kms.file.write_text(content)
    problem = Opener(kms.env).fail()
    assert reason in problem.message
    assert "s3cret" not in problem.message + problem.hint


def test_a_refused_login_is_explained(kms: GoogleDouble, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of.another.job")
    workload(kms, {"file": str(tmp_path / "token")})
    opener = Opener(kms.env)
    problem = opener.fail()
    assert "logging in to Google failed: 127.0.0.1 returned 400 (invalid_grant)" in problem.message
    assert "of.another.job" in opener.reporter.masked


def test_what_kms_refuses_is_explained(kms: GoogleDouble) -> None:
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": "not shown"}
    kms.faults.append(Fault(kms.opening, status=403, document={"error": error}))
    problem = Opener(kms.env).fail()
    assert isinstance(problem, IdentityError)
    assert "returned 403 (PERMISSION_DENIED)" in problem.message
    assert "signerVerifier" in problem.hint


@pytest.mark.parametrize(
    "algorithm", ["RSA_SIGN_PSS_2048_SHA256", "RSA_SIGN_PKCS1_4096_SHA512", "RSA_DECRYPT_OAEP_X"]
)
def test_a_key_for_other_signatures_is_refused(kms: GoogleDouble, algorithm: str) -> None:
    kms.algorithm = algorithm
    problem = Opener(kms.env).fail()
    assert algorithm in problem.message
    assert "rsa-sign-pkcs1-3072-sha256" in problem.hint


@pytest.mark.parametrize(
    "change",
    [{"signatureCrc32c": "1"}, {"verifiedDigestCrc32c": False}, {"signature": "AAAA"}],
)
def test_what_was_damaged_on_the_way_is_requested_again(
    kms: GoogleDouble, change: dict[str, object]
) -> None:
    key = Opener(kms.env).open()
    document = json.loads(kms.signed_reply(_request(DIGESTS[0])).body)
    kms.faults.append(Fault(kms.signing, status=200, document={**document, **change}))
    with pytest.raises(TransientResponse, match="damaged on its way"):
        key.sign_digests(DIGESTS)
    signs(key, kms)


def _request(digest: bytes) -> dict[str, object]:
    encoded = base64.b64encode(digest).decode()
    return {"digest": {"sha256": encoded}, "digestCrc32c": str(crc32c(digest))}


def test_a_public_key_that_was_damaged_is_read_again(kms: GoogleDouble) -> None:
    damaged = {"pem": pem(kms.public_key), "algorithm": kms.algorithm, "pemCrc32c": "1"}
    kms.faults.append(Fault(kms.opening, status=200, document=damaged))
    opener = Opener(kms.env)
    signs(opener.open(), kms)
    assert len(kms.matching(kms.opening)) == 2
    assert len(opener.clock.waits) == 1


def test_the_response_for_another_key_is_an_error(kms: GoogleDouble) -> None:
    key = Opener(kms.env).open()
    document = json.loads(kms.signed_reply(_request(DIGESTS[0])).body)
    fault = Fault(kms.signing, status=200, document={**document, "name": f"{RING}/other"})
    kms.faults.append(fault)
    with pytest.raises(IdentityError, match="unexpected response"):
        key.sign_digests(DIGESTS)
    key.close()
