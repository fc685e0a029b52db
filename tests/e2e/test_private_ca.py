"""SSL_CERT_FILE counts for stores, notifications and gateways that have no CA of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway.client import MODULE_ID
from tests.support.mail_server import mail_server
from tests.support.servers.nginx import nginx
from tests.support.serving import serving
from tests.support.tls import make_tls
from tests.support.webhook_receiver import WebhookReceiver

SECRET = "a-webhook-secret"
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An authority that nothing here has."""
    folder = tmp_path / "other"
    folder.mkdir()
    return make_tls(folder, self_signed=False).ca


def test_stores_and_notifications_trust_it(workspace: CliWorkspace, tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    with (
        nginx(tmp_path / "store", tls=True) as store,
        mail_server(tls, mode="implicit") as mail,
        serving(WebhookReceiver(SECRET, tls=tls.context)) as receiver,
    ):
        assert store.ca_file is not None
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(store.ca_file.read_bytes() + tls.ca.read_bytes())
        env = {
            "MODULE_REPOSITORY_URL": store.url,
            "DEPLOYMENT_WEBHOOK_URL": receiver.url,
            "IGN_DEPLOY_WEBHOOK_SECRET": SECRET,
            "IGN_DEPLOY_SMTP_URL": f"smtps://localhost:{mail.port}",
            "DEPLOYMENT_NOTIFICATION_EMAIL": "to@example.com",
        }
        for name in VARIABLES:
            told = {} if name == "SSL_CERT_FILE" else {name: str(bundle)}
            refused = workspace.release(env={**env, **told}).must(9)
            assert "or as SSL_CERT_FILE; REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE" in refused.stderr
        workspace.release(env={**env, "SSL_CERT_FILE": str(bundle)}).must(0)
    assert len(receiver.documents) == 1
    assert len(mail.messages) == 1


def test_gateways_trust_it_unless_they_have_a_ca_or_a_pin(
    workspace: CliWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Path
) -> None:
    tls = make_tls(tmp_path)
    (tmp_path / "published").mkdir()
    repository = published_repository(tmp_path / "published", "1.0.0", "1.1.0")
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch, tls=tls) as cli:
        check = ("--health-url", f"{cli.gateway.url}/StatusPing")
        cli.install(f"{MODULE_ID}@1.0.0", *check, SSL_CERT_FILE=str(tls.ca)).must(0)
        assert active(cli.gateway) == "1.0.0"
        assert cli.install(MODULE_ID, SSL_CERT_FILE=str(other)).exit_code == 9
        cli.install(MODULE_ID, "--gateway-ca", tls.ca, SSL_CERT_FILE=str(other)).must(0)
        pinned = ("--gateway-pin", fingerprint(tls.certificate))
        cli.install(f"{MODULE_ID}@1.1.0", *pinned, SSL_CERT_FILE=str(other)).must(0)


def fingerprint(path: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()
