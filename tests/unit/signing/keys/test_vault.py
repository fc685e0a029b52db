"""Keys in Vault's transit engine: the real server of OpenBao, and what it can't be made to do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from ign_deploy.errors import ConfigurationError, IdentityError, IgnDeployError, SigningError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.signing.keys import open_key
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.protocol import KeyAccess, SigningKey
from ign_deploy.signing.keys.vault import VaultUri, parse_vault_uri
from tests.support.identities import pem_certificates, rsa_key, self_signed
from tests.support.key_service import pem
from tests.support.key_services import VaultDouble
from tests.support.reporting import Recorder
from tests.support.servers.openbao import ROOT_TOKEN, OpenBao, id_token, running_openbao
from tests.support.serving import json_reply, scripted_server, serving
from tests.support.signing_keys import VirtualClock

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]
POLICY = """
path "transit/keys/release" { capabilities = ["read"] }
path "transit/sign/release/sha2-256" { capabilities = ["update"] }
"""


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A server with keys, a policy for one of them, and two ways to log in."""
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.import_key("release", rsa_key("vault"))
        server.call("POST", "transit/keys/curve", {"type": "ecdsa-p256"})
        server.call("POST", "transit/keys/cipher", {"type": "aes256-gcm96"})
        server.call("POST", "sys/policies/acl/signer", {"policy": POLICY})
        server.call("POST", "sys/auth/approle", {"type": "approle"})
        role = {"token_policies": "signer", "token_ttl": "20m"}
        server.call("POST", "auth/approle/role/ci", role)
        server.call("POST", "sys/auth/jwt", {"type": "jwt"})
        keys = {"jwt_validation_pubkeys": [pem(rsa_key("issuer").public_key())]}
        server.call("POST", "auth/jwt/config", keys)
        claims = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": [server.url]}
        server.call("POST", "auth/jwt/role/ci", {**claims, **role})
        yield server


@dataclass
class Opener:
    """Opens keys of the server, and keeps what is reported."""

    url: str
    reporter: Recorder
    clock: VirtualClock

    def open(self, uri: str = "vault:transit/keys/release", **env: str) -> SigningKey:
        retry = self.clock.policy(RetryPolicy(attempts=2))
        access = KeyAccess(env={"VAULT_ADDR": self.url, **env}, reporter=self.reporter, retry=retry)
        return open_key(uri, access=access)

    def fail(self, uri: str = "vault:transit/keys/release", **env: str) -> IgnDeployError:
        with pytest.raises(IgnDeployError) as caught:
            self.open(uri, **env)
        assert caught.value.hint
        said = f"{caught.value.message} {caught.value.hint} {self.reporter.messages}"
        names = ("VAULT_TOKEN", "VAULT_SECRET_ID", "VAULT_ID_TOKEN")
        assert all(env[name] not in said for name in names if name in env)
        return caught.value


@pytest.fixture
def opener(bao: OpenBao) -> Opener:
    return Opener(bao.url, Recorder(), VirtualClock())


def approle(bao: OpenBao) -> dict[str, str]:
    """Return what logs in as the role."""
    role_id = bao.call("GET", "auth/approle/role/ci/role-id")["data"]["role_id"]
    secret = bao.call("POST", "auth/approle/role/ci/secret-id")["data"]["secret_id"]
    return {"VAULT_ROLE_ID": role_id, "VAULT_SECRET_ID": f"{secret}\n"}


def signs(key: SigningKey, name: str = "vault") -> None:
    """The signatures are those of the key from a file."""
    try:
        assert key.public_key == rsa_key(name).public_key()
        assert key.sign_digests(DIGESTS) == FileKey(rsa_key(name)).sign_digests(DIGESTS)
    finally:
        key.close()


def test_an_imported_key_signs_as_the_file_did(bao: OpenBao, opener: Opener) -> None:
    token = bao.token(policies=["signer"])
    key = opener.open(VAULT_TOKEN=token)
    assert key.location == "Vault at 127.0.0.1 (transit/keys/release, version 1)"
    signs(key)
    assert opener.reporter.masked == [token]
    bao.call("POST", "auth/token/lookup", {"token": token})  # it isn't ours to end


def test_the_names_of_openbao_come_first(opener: Opener) -> None:
    env = {"VAULT_TOKEN": "of another server", "BAO_ADDR": opener.url, "BAO_TOKEN": ROOT_TOKEN}
    signs(opener.open(**{**env, "VAULT_ADDR": "https://elsewhere.invalid"}))


def test_a_role_logs_in_and_its_token_is_ended(bao: OpenBao, opener: Opener) -> None:
    def accessors() -> set[str]:
        keys: list[str] = bao.call("LIST", "auth/token/accessors")["data"]["keys"]
        return set(keys)

    before = accessors()
    key = opener.open(**approle(bao))
    assert len(accessors() - before) == 1
    signs(key)
    assert accessors() == before


def test_the_identity_token_of_gitlab_logs_in(opener: Opener) -> None:
    signs(opener.open(VAULT_AUTH_ROLE="ci", VAULT_ID_TOKEN=id_token(opener.url)))


def test_the_identity_token_of_github_logs_in(opener: Opener) -> None:
    token = id_token(opener.url)
    with scripted_server(json_reply(200, {"value": token})) as github:
        env = {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the job",
        }
        signs(opener.open(VAULT_AUTH_ROLE="ci", **env))
        (request,) = github.requests
    assert request.query == {"api-version": "2.0", "audience": opener.url}
    assert request.credentials == ("Bearer", "of the job")
    assert opener.reporter.masked[:2] == ["of the job", token]


@pytest.mark.parametrize(
    ("env", "reason", "hint"),
    [
        ({}, "no login for Vault at 127.0.0.1 given", "VAULT_TOKEN"),
        ({"VAULT_ROLE_ID": "x"}, "only one of VAULT_ROLE_ID and VAULT_SECRET_ID", "both"),
        ({"VAULT_TOKEN": "hvs.wrong-token"}, "returned 403: 'permission denied'", "policy"),
        ({"VAULT_TOKEN": "two\nlines"}, "VAULT_TOKEN contains a line break", "one line"),
        ({"VAULT_AUTH_ROLE": "ci"}, "the job has no identity token", "id_tokens"),
        ({"VAULT_AUTH_ROLE": "ci", "GITHUB_ACTIONS": "true"}, "may not have an identity", "write"),
        ({"VAULT_AUTH_ROLE": "ci", "VAULT_ID_TOKEN": "abc.def.ghi"}, "127.0.0.1 by jwt", "role"),
        ({"VAULT_ROLE_ID": "x", "VAULT_SECRET_ID": "of nobody"}, "by approle failed", "login"),
        ({"VAULT_ADDR": ""}, "no address of Vault", "VAULT_ADDR"),
        ({"VAULT_ADDR": "http://vault.example"}, "would send everything unencrypted", "https"),
        ({"VAULT_ADDR": "vault.example:8200"}, "Vault (VAULT_ADDR)", "correct"),
        ({"VAULT_TOKEN": ROOT_TOKEN, "VAULT_NAMESPACE": "none"}, "returned 40", "NAMESPACE"),
        ({"VAULT_CACERT": "/none/ca.pem"}, "cannot read /none/ca.pem", "CA certificates"),
    ],
)
def test_a_login_that_fails(opener: Opener, env: dict[str, str], reason: str, hint: str) -> None:
    problem = opener.fail(**env)
    assert reason in problem.message
    assert hint in problem.hint
    assert isinstance(problem, IdentityError | ConfigurationError)
    assert opener.clock.waits == []


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("vault:transit/keys/curve", "the signing key is not RSA ('ecdsa-p256')"),
        ("vault:transit/keys/cipher", "the signing key is not RSA ('aes256-gcm96')"),
        ("vault:transit/keys/none", "returned 404"),
        ("vault:none/keys/release", "returned 404"),
        ("vault:transit/keys/release?version=7", "has no version 7; its latest is 1"),
    ],
)
def test_a_key_that_cannot_sign(opener: Opener, uri: str, reason: str) -> None:
    assert reason in opener.fail(uri, VAULT_TOKEN=ROOT_TOKEN).message


def test_a_policy_without_permission_to_sign(bao: OpenBao, opener: Opener) -> None:
    policy = 'path "transit/keys/*" { capabilities = ["read"] }'
    bao.call("POST", "sys/policies/acl/reader", {"policy": policy})
    key = opener.open(VAULT_TOKEN=bao.token(policies=["reader"]))
    with pytest.raises(IdentityError, match=r"signing failed: 127.0.0.1 returned 403") as caught:
        key.sign_digests(DIGESTS)
    assert "policy" in caught.value.hint


def test_a_rotation_changes_nothing_until_the_key_is_opened_again(
    bao: OpenBao, opener: Opener
) -> None:
    bao.import_key("rotated", rsa_key("vault"))
    first = opener.open("vault:transit/keys/rotated", VAULT_TOKEN=ROOT_TOKEN)
    bao.import_key("rotated", rsa_key("vault2"), version=True)
    signs(first)
    signs(opener.open("vault:transit/keys/rotated", VAULT_TOKEN=ROOT_TOKEN), "vault2")
    signs(opener.open("vault:transit/keys/rotated?version=1", VAULT_TOKEN=ROOT_TOKEN))


def test_a_version_that_may_not_sign_any_more(bao: OpenBao, opener: Opener) -> None:
    bao.import_key("old", rsa_key("vault"))
    bao.import_key("old", rsa_key("vault2"), version=True)
    key = opener.open("vault:transit/keys/old?version=1", VAULT_TOKEN=ROOT_TOKEN)
    bao.call("POST", "transit/keys/old/config", {"min_encryption_version": 2})
    with pytest.raises(SigningError, match=r"didn't sign: .*version") as caught:
        key.sign_digests(DIGESTS)
    assert "version" in caught.value.hint
    key.close()


def test_a_key_in_a_namespace(bao: OpenBao, opener: Opener) -> None:
    bao.call("POST", "sys/namespaces/team")
    bao.call("POST", "sys/mounts/transit", {"type": "transit"}, namespace="team")
    bao.import_key("release", rsa_key("vault2"), namespace="team")
    signs(opener.open(VAULT_TOKEN=ROOT_TOKEN, VAULT_NAMESPACE="team"), "vault2")


def test_a_sealed_server_is_not_waited_for(bao: OpenBao, opener: Opener) -> None:
    key = opener.open(VAULT_TOKEN=ROOT_TOKEN)
    bao.call("POST", "sys/seal")
    try:
        with pytest.raises(IdentityError, match=r"signing failed: Vault at 127.0.0.1 is sealed"):
            key.sign_digests(DIGESTS)
        assert "is sealed" in opener.fail(VAULT_TOKEN=ROOT_TOKEN).message
    finally:
        bao.call("POST", "sys/unseal", {"key": bao.unseal_key})


def test_a_token_is_renewed_before_it_expires() -> None:
    with serving(VaultDouble()) as server:
        server.lifetime = 600
        opener = Opener(server.url, Recorder(), VirtualClock())
        key = opener.open(server.uri, VAULT_TOKEN=server.secrets[0])
        opener.clock.sleep(390.0)
        key.sign_digests(DIGESTS)
        assert server.matching("renew-self") == []
        opener.clock.sleep(30.0)
        for _ in range(2):
            key.sign_digests(DIGESTS)
        assert len(server.matching("renew-self")) == 1
        key.close()
        assert server.matching("revoke-self") == []


def test_after_its_token_expired_a_role_logs_in_again() -> None:
    with serving(VaultDouble()) as server:
        server.lifetime = 600
        opener = Opener(server.url, Recorder(), VirtualClock())
        key = opener.open(server.uri, VAULT_ROLE_ID="role", VAULT_SECRET_ID="hidden-id")
        opener.clock.sleep(1800.0)  # while a build ran
        key.sign_digests(DIGESTS)
        assert server.logins == 2
        assert server.matching("renew-self") == []


def test_a_batch_that_is_signed_in_part_is_an_error() -> None:
    with serving(VaultDouble()) as server:
        server.partly = True
        opener = Opener(server.url, Recorder(), VirtualClock())
        key = opener.open(server.uri, VAULT_TOKEN=server.secrets[0])
        with pytest.raises(SigningError, match="didn't sign: 'no such version'"):
            key.sign_digests(DIGESTS)


def test_the_certificates_are_those_kept_with_the_key(bao: OpenBao, opener: Opener) -> None:
    bao.import_key("certified", rsa_key("vault"))
    certificate = self_signed("vault")[1]
    document = {"certificate_chain": pem_certificates(certificate).decode()}
    bao.call("POST", "transit/keys/certified/set-certificate", document)
    key = opener.open("vault:transit/keys/certified", VAULT_TOKEN=ROOT_TOKEN)
    expected: list[x509.Certificate] = [certificate]
    assert list(key.certificates) == expected
    key.close()


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("vault:transit/keys/release", VaultUri("transit", "release")),
        ("VAULT:a/b.c/keys/d-e?version=12", VaultUri("a/b.c", "d-e", 12)),
        ("vault:a/keys/b/keys/c", VaultUri("a/keys/b", "c")),
    ],
)
def test_what_a_uri_names(uri: str, wanted: VaultUri) -> None:
    assert parse_vault_uri(uri) == wanted


@pytest.mark.parametrize(
    "rest",
    ["", "keys/x", "transit/keys/", "transit/x", "../keys/x", "a/../keys/x", "a//keys/x",
     "/a/keys/x", "a/keys/x?version=0", "a/keys/x?version=1&x=y", "a/keys/x#y", "a/keys/x%2fy",
     "a/keys/x\n", "a/keys/é", "//host/a/keys/x", "a/keys/" + "x" * 200, "a/keys/-"],
)  # fmt: skip
def test_what_is_not_a_key_of_an_engine(rest: str) -> None:
    with pytest.raises(IdentityError) as caught:
        parse_vault_uri(f"vault:{rest}")
    assert "vault:transit/keys/NAME" in caught.value.hint


def test_a_private_authority(tmp_path: Path) -> None:
    from tests.support.tls import make_tls

    tls = make_tls(tmp_path)
    with serving(VaultDouble(tls=tls.context)) as server:
        opener = Opener(server.url, Recorder(), VirtualClock())
        assert "isn't trusted" in opener.fail(server.uri, **server.env).message
        opener.open(server.uri, **server.env, VAULT_CACERT=str(tls.ca)).close()


def test_a_token_with_an_ellipsis_is_an_error_that_does_not_show_it() -> None:
    env = {"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": "s.abc\u2026"}
    with pytest.raises(IgnDeployError, match="a token or another header has a letter") as caught:
        open_key(
            "vault:transit/keys/release", access=KeyAccess(env=env, retry=RetryPolicy(attempts=1))
        )
    assert "s.abc" not in f"{caught.value.message}{caught.value.hint}"
