"""Keys in Azure Key Vault: which hosts get a token, the logins, and the vault's ways to refuse."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError, IgnDeployError, NetworkError
from ign_deploy.signing.keys import open_key, service
from ign_deploy.signing.keys.azurekv import _service
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.protocol import KeyAccess, SigningKey
from ign_deploy.signing.keys.service import OPENING
from tests.support.key_services import AzureDouble
from tests.support.reporting import Recorder
from tests.support.serving import Fault, json_reply, scripted_server, serving, unused_port
from tests.support.signing_keys import VirtualClock

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(3)]


@pytest.fixture
def vault() -> Iterator[AzureDouble]:
    with serving(AzureDouble()) as server:
        yield server


class Opener:
    """Opens keys with an environment, on a virtual clock."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.clock, self.reporter = VirtualClock(), Recorder()
        self.access = KeyAccess(env=env, reporter=self.reporter, retry=self.clock.policy(OPENING))

    def open(self, uri: str) -> SigningKey:
        return open_key(uri, access=self.access)

    def fail(self, uri: str) -> IgnDeployError:
        with pytest.raises(IgnDeployError) as caught:
            self.open(uri)
        assert caught.value.hint
        assert all(each not in str(caught.value) for each in self.reporter.masked)
        return caught.value


def without_secret(vault: AzureDouble) -> dict[str, str]:
    return {name: value for name, value in vault.env.items() if name != "AZURE_CLIENT_SECRET"}


def signs(key: SigningKey, vault: AzureDouble) -> None:
    try:
        assert key.sign_digests(DIGESTS) == FileKey(vault.private_key).sign_digests(DIGESTS)
    finally:
        key.close()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://release.vault.azure.net", "vault.azure.net"),
        ("https://release.managedhsm.azure.net", "managedhsm.azure.net"),
        ("https://Release.Vault.Azure.cn:443", "vault.azure.cn"),
        ("https://release.vault.usgovcloudapi.net", "vault.usgovcloudapi.net"),
        ("http://127.0.0.1:8200", "vault.azure.net"),
        ("http://release.vault.azure.net", ""),
        ("https://vault.azure.net", ""),
        ("https://a.b.vault.azure.net", ""),
        ("https://release.vault.azure.net.evil.example", ""),
        ("https://evil-vault.azure.net", ""),
        ("https://release.vault.azure.net:8443", ""),
        ("https://evil.example", ""),
    ],
)
def test_tokens_go_to_vaults_of_azure_only(url: str, kind: str) -> None:
    assert _service(url) == kind


@pytest.mark.parametrize(
    "rest", ["", "https://a.vault.azure.net", "https://a.vault.azure.net/keys/",
             "https://a.vault.azure.net/secrets/x", "https://a@b.vault.azure.net/keys/x",
             "https://a.vault.azure.net/keys/x/y/z", "https://a.vault.azure.net/keys/x?y",
             "https://a.vault.azure.net/keys/a_b", "https://evil.example/keys/x",
             "https://[/keys/x", "a.vault.azure.net/keys/x"],
)  # fmt: skip
def test_what_is_not_a_key_of_a_vault(rest: str) -> None:
    assert "azurekv:https://VAULT" in Opener({}).fail(f"azurekv:{rest}").hint


def test_the_version_is_that_of_the_opened_key(vault: AzureDouble) -> None:
    key = Opener(vault.env).open(f"{vault.uri}/0123abcd")
    assert key.location == "Azure Key Vault 127.0.0.1 (release, version 0123abcd)"
    signs(key, vault)
    assert [each.path for each in vault.requests if each.method == "GET"] == [
        "/keys/release/0123abcd"
    ]


def test_the_token_in_a_file_logs_in_and_is_read_again(vault: AzureDouble, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("of.the.job\n")
    opener = Opener({**without_secret(vault), "AZURE_FEDERATED_TOKEN_FILE": str(file)})
    key = opener.open(vault.uri)
    opener.clock.sleep(3299.0)
    key.sign_digests(DIGESTS)
    assert vault.proofs == ["of.the.job"]
    opener.clock.sleep(2.0)  # five minutes before the access token expires
    signs(key, vault)
    assert vault.proofs == ["of.the.job"] * 2
    assert "of.the.job" in opener.reporter.masked


def test_a_job_logs_in_with_its_identity(vault: AzureDouble) -> None:
    with scripted_server(json_reply(200, {"value": "of.the.job"})) as github:
        own = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/?a=b",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "may-request",
        }
        signs(Opener({**without_secret(vault), **own}).open(vault.uri), vault)
        assert github.requests[0].query["audience"] == "api://AzureADTokenExchange"
    gitlab = {"AZURE_ID_TOKEN": "of.the.job"}
    signs(Opener({**without_secret(vault), **gitlab}).open(vault.uri), vault)
    assert vault.proofs == ["of.the.job"] * 2


def test_the_machine_is_asked_only_if_that_is_requested(vault: AzureDouble) -> None:
    metadata = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": vault.url}
    problem = Opener(metadata).fail(vault.uri)
    assert "no login for Azure Key Vault given" in problem.message
    assert vault.requests == []
    asked = {**metadata, "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential"}
    signs(Opener(asked).open(vault.uri), vault)
    assert vault.proofs == ["machine"]


def test_a_machine_without_metadata_is_not_waited_for(
    vault: AzureDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum(service._METADATA_TIMEOUT) < 10
    asked = {"AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential"}
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patch:
        patch.setattr(service, "_METADATA_TIMEOUT", (0.1, 0.1))
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        opener = Opener({**asked, "AZURE_POD_IDENTITY_AUTHORITY_HOST": host})
        assert "didn't respond in time" in opener.fail(vault.uri).message
    assert opener.clock.waits == []
    closed = f"http://127.0.0.1:{unused_port()}"
    opener = Opener({**asked, "AZURE_POD_IDENTITY_AUTHORITY_HOST": closed})
    assert isinstance(opener.fail(vault.uri), NetworkError)
    assert len(opener.clock.waits) == 1


@pytest.mark.parametrize(
    ("env", "reason", "hint"),
    [
        ({"AZURE_CLIENT_SECRET": "wrong-secret"}, "returned 401 (AADSTS7000215)", "AZURE_TENANT"),
        ({"AZURE_CLIENT_SECRET": ""}, "no secret or identity token", "AZURE_CLIENT_SECRET"),
        ({"AZURE_TENANT_ID": "../x"}, "AZURE_TENANT_ID is not a tenant", "domain"),
        ({"AZURE_TENANT_ID": ""}, "no login for Azure", "AZURE_TENANT_ID"),
        ({"AZURE_AUTHORITY_HOST": "http://login.example"}, "unencrypted", "https"),
        (
            {"AZURE_CLIENT_SECRET": "", "AZURE_FEDERATED_TOKEN_FILE": "/none"},
            "cannot read the identity token /none",
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
    ],
)
def test_a_login_that_fails(
    vault: AzureDouble, env: dict[str, str], reason: str, hint: str
) -> None:
    opener = Opener({**vault.env, **env})
    problem = opener.fail(vault.uri)
    assert reason in problem.message
    assert hint in problem.hint
    assert opener.clock.waits == []


def test_what_the_vault_refuses_is_explained(vault: AzureDouble) -> None:
    error = {"code": "Forbidden", "innererror": {"code": "ForbiddenByFirewall"}}
    vault.faults.append(Fault(vault.opening, status=403, document={"error": error}))
    problem = Opener(vault.env).fail(vault.uri)
    assert isinstance(problem, IdentityError)
    assert "returned 403 ('ForbiddenByFirewall')" in problem.message
    assert "firewall" in problem.hint


def test_a_key_without_the_operation_is_refused(vault: AzureDouble) -> None:
    vault.operations = ["encrypt"]
    assert "is not allowed to sign" in Opener(vault.env).fail(vault.uri).message
