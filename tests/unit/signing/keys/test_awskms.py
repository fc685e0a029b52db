"""Keys in AWS KMS: names, credentials, its own ways to refuse, and moto's public keys."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from botocore.session import Session

from ign_deploy.errors import ConfigurationError, IdentityError, IgnDeployError, SigningError
from ign_deploy.net.errors import RateLimited, TransientResponse
from ign_deploy.signing.identity import IdentityMaterial, open_signer
from ign_deploy.signing.keys import open_key
from ign_deploy.signing.keys.awskms import _open_client
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.protocol import KeyAccess, SigningKey
from ign_deploy.signing.keys.service import OPENING
from tests.support.key_services import AwsDouble
from tests.support.reporting import Recorder
from tests.support.servers import moto
from tests.support.serving import Fault, HttpServer, Reply, Request, json_reply, serving
from tests.support.signing_keys import VirtualClock

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}"


@pytest.fixture
def kms() -> Iterator[AwsDouble]:
    with serving(AwsDouble()) as server:
        yield server


def opened(uri: str, env: Mapping[str, str], reporter: Recorder | None = None) -> SigningKey:
    retry = VirtualClock().policy(OPENING)
    return open_key(uri, access=KeyAccess(env=env, reporter=reporter or Recorder(), retry=retry))


def refused(uri: str, env: Mapping[str, str]) -> IgnDeployError:
    with pytest.raises(IgnDeployError) as caught:
        opened(uri, env)
    assert caught.value.hint
    return caught.value


def without_keys(env: Mapping[str, str]) -> dict[str, str]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name: value for name, value in env.items() if name not in names}


@pytest.mark.parametrize(
    "name",
    [
        "alias/team/release-1",
        KEY_ID,
        f"mrk-{'a' * 32}",
        ARN,
        ARN.replace(f"key/{KEY_ID}", "alias/x"),
    ],
)
def test_how_a_key_may_be_named(kms: AwsDouble, name: str) -> None:
    kms.key_id = name
    key = opened(f"awskms:{name}", kms.env)
    assert key.sign_digests(DIGESTS) == FileKey(kms.private_key).sign_digests(DIGESTS)
    assert key.location == f"AWS KMS in eu-central-1 ({name})"
    key.close()


@pytest.mark.parametrize(
    "rest", ["", "release", "alias/", "alias/a b", "alias/a?b", "key/x", f"{KEY_ID}0", f"{ARN}/x",
             ARN.replace("kms", "s3"), ARN.replace("eu-central-1", "../evil.example"),
             ARN.replace("eu-central-1", "evil.example/"), "//alias/x"],
)  # fmt: skip
def test_what_is_not_a_key_of_kms(rest: str) -> None:
    assert "awskms:alias/NAME" in refused(f"awskms:{rest}", {}).hint


def test_the_region_is_that_of_the_arn_and_must_exist(kms: AwsDouble) -> None:
    env = {**kms.env, "AWS_REGION": "us-east-1"}
    kms.key_id = ARN
    opened(f"awskms:{ARN}", env).close()  # its signature names the region
    no_region = {name: value for name, value in kms.env.items() if name != "AWS_REGION"}
    problem = refused("awskms:alias/release", no_region)
    assert "no region" in problem.message
    assert "AWS_REGION" in problem.hint
    elsewhere = {**no_region, "AWS_ENDPOINT_URL_KMS": "", "AWS_REGION": "middle-earth-1"}
    assert "no region middle-earth-1" in refused("awskms:alias/release", elsewhere).message


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-central-1", "kms.eu-central-1.amazonaws.com"),
     ("cn-north-1", "kms.cn-north-1.amazonaws.com.cn")],
)  # fmt: skip
def test_the_host_of_a_region(region: str, host: str) -> None:
    env = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret-key", "AWS_REGION": region}
    client = _open_client("", access=KeyAccess(env=env))
    assert client.base == f"https://{host}"
    client.close()


def test_without_credentials_the_machine_is_not_asked(kms: AwsDouble, tmp_path: Path) -> None:
    role = {"Code": "Success", "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": kms.secrets[0],
            "Token": kms.secrets[1], "Expiration": "2999-01-01T00:00:00Z"}  # fmt: skip
    with serving(Machine(role)) as machine:
        env = {
            **without_keys(kms.env),
            "HOME": str(tmp_path),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url,
        }
        problem = refused(kms.uri, env)
        assert isinstance(problem, ConfigurationError)
        assert "no credentials found for the key in AWS KMS" in problem.message
        assert machine.requests == []
        key = opened(kms.uri, {**env, "AWS_EC2_METADATA_DISABLED": "false"})
        assert len(key.sign_digests(DIGESTS)) == 3
        key.close()


class Machine(HttpServer):
    """The metadata service of a machine with a role."""

    methods = frozenset({"GET", "PUT"})

    def __init__(self, role: Mapping[str, str]) -> None:
        super().__init__()
        self.role = role

    def respond(self, request: Request) -> Reply:
        if request.method == "PUT":
            return Reply(body=b"session")
        if request.path.endswith("security-credentials/"):
            return Reply(body=b"signer")
        return json_reply(200, self.role)


class Sts(HttpServer):
    """STS and GitHub's identity tokens in one."""

    methods = frozenset({"GET", "POST"})

    def respond(self, request: Request) -> Reply:
        if request.method == "GET":
            assert request.query["audience"] == "sts.amazonaws.com"
            return json_reply(200, {"value": "of.the.job"})
        assert b"WebIdentityToken=of.the.job" in request.body
        name = "AssumeRoleWithWebIdentity"
        secret, token = AwsDouble.secrets
        return Reply(
            body=f"<{name}Response><{name}Result><Credentials><AccessKeyId>AKIDEXAMPLE</AccessKeyId>"
            f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>"
            "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
            f"</{name}Result></{name}Response>".encode()
        )


@pytest.mark.parametrize("host", ["GitHub", "GitLab"])
def test_a_job_signs_with_its_identity(kms: AwsDouble, host: str, tmp_path: Path) -> None:
    with serving(Sts()) as sts:
        env = {
            **without_keys(kms.env),
            "HOME": str(tmp_path),
            "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/signer",
            "AWS_ENDPOINT_URL_STS": sts.url,
        }
        own = {"AWS_ID_TOKEN": "of.the.job"}
        if host == "GitHub":
            url = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{sts.url}/?a=b"}
            own = {**url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "may-request"}
        reporter = Recorder()
        key = opened(kms.uri, {**env, **own}, reporter)
        assert key.sign_digests(DIGESTS) == FileKey(kms.private_key).sign_digests(DIGESTS)
        key.close()
        assert "of.the.job" in reporter.masked


def test_the_identity_of_a_job_is_not_sent_unencrypted(kms: AwsDouble, tmp_path: Path) -> None:
    env = {
        **without_keys(kms.env),
        "HOME": str(tmp_path),
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/signer",
        "AWS_ENDPOINT_URL_STS": "http://sts.invalid",
        "AWS_ID_TOKEN": "of.the.job",
    }
    problem = refused(kms.uri, env)
    assert isinstance(problem, ConfigurationError)
    assert "http://sts.invalid, which would send everything unencrypted" in problem.message


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDeniedException", "kms:Sign"),
        ("NotFoundException", "AWS_REGION"),
        ("DisabledException", "enable"),
        ("KMSInvalidStateException", "deletion"),
        ("ExpiredTokenException", "renew"),
        ("UnrecognizedClientException", "credentials"),
        ("<script>", "credentials"),
    ],
)
def test_what_kms_refuses_is_explained(kms: AwsDouble, code: str, hint: str) -> None:
    kms.faults.append(Fault(kms.opening, status=400, document={"__type": f"a.b#{code}"}))
    problem = refused(kms.uri, kms.env)
    assert isinstance(problem, IdentityError)
    assert hint in problem.hint
    assert (code in problem.message) == code.isalpha()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ThrottlingException", RateLimited),
        (400, "LimitExceededException", RateLimited),
        (400, "KeyUnavailableException", TransientResponse),
        (500, "KMSInternalException", TransientResponse),
    ],
)
def test_what_may_pass(
    kms: AwsDouble, status: int, code: str, kind: type[TransientResponse]
) -> None:
    kms.faults.append(Fault(kms.opening, status=status, document={"__type": code}))
    key = opened(kms.uri, kms.env)  # again, while it is opened
    kms.faults.append(Fault(kms.signing, status=status, document={"__type": code}))
    with pytest.raises(kind):
        key.sign_digests(DIGESTS)
    key.close()


def test_a_key_for_encryption_is_refused(kms: AwsDouble) -> None:
    kms.usage = "ENCRYPT_DECRYPT"
    problem = refused(kms.uri, kms.env)
    assert "is for 'ENCRYPT_DECRYPT'" in problem.message
    assert "SIGN_VERIFY" in problem.hint


def test_motos_public_key_is_read_and_its_wrong_signature_of_a_digest_noticed(
    tmp_path: Path,
) -> None:
    with moto(tmp_path / "moto") as server:
        env = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}
        client = Session().create_client(
            "kms", endpoint_url=server.url, region_name="eu-west-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip
        made = client.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        client.create_alias(AliasName="alias/release", TargetKeyId=made["KeyId"])
        env |= {"AWS_ENDPOINT_URL": server.url, "AWS_REGION": "eu-west-1"}
        material = IdentityMaterial(key="awskms:alias/release")
        signer = open_signer(material, access=KeyAccess(env=env))
        assert signer.public_key.key_size == 2048
        with pytest.raises(SigningError, match="the certificate's key didn't make"):
            signer.sign(DIGESTS, reporter=Recorder())
        signer.key.close()


def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    problem = refused("awskms:alias/x", {})
    assert "pip install 'ign-deploy[s3]'" in problem.hint
    assert json.dumps(problem.message).isascii()
