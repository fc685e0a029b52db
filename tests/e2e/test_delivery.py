"""A release that ends on gateways: preflight, notifications, audit trail, the CI host's page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.builds import fake_java, gradle_wrapper
from tests.support.cli import (
    KEY,
    MODULE,
    TOKEN,
    WITH_RESTART,
    CliWorkspace,
    GatewayCli,
    open_gateway_cli,
)
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import ModuleFault, Options, running_gateway
from tests.support.gateway.client import MODULE_ID
from tests.support.identities import pem_files, self_signed
from tests.support.mail_server import mail_server
from tests.support.modules import build_module
from tests.support.runner import Runner
from tests.support.serving import Reply, serving
from tests.support.webhook_receiver import WebhookReceiver

LINE = {"requiredIgnitionVersion": "8.3.0"}
SECRET = "signs-the-webhook"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    build_module(workspace.folder / MODULE, texts=LINE)
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def release(cli: GatewayCli, path: str = MODULE) -> tuple[str, ...]:
    """Return the arguments of a release that ends on the gateway."""
    return ("module", path, *KEY, "--gateway", cli.gateway.url, "-e", "production", *WITH_RESTART)


def test_a_release_ends_on_the_gateway(cli: GatewayCli) -> None:
    result = cli.call(*release(cli), "--json").must(0)
    assert result.document["result"] == "deployed"
    assert result.document["deployment"]["gateways"][0]["gateway"] == cli.gateway.url
    assert active(cli.gateway) == "1.2.3"
    assert (cli.workspace.repository / "modules" / MODULE_ID / "1.2.3").is_dir()


def test_a_gateway_that_refuses_the_token_is_found_before_the_build(
    cli: GatewayCli, workspace: CliWorkspace
) -> None:
    java = fake_java(workspace.folder / "java", "17.0.1")
    project = gradle_wrapper(workspace.folder / "project", "touch started")
    env = {"JAVA_HOME": str(java), "IGN_DEPLOY_GATEWAY_TOKEN": "ci:wr0ng"}
    result = cli.call(*release(cli, "project"), **env)
    assert result.exit_code == 7, result.stderr
    assert "401" in result.stderr
    assert "wr0ng" not in result.stdout + result.stderr
    assert not (project / "started").exists()


def test_a_version_that_fails_on_the_gateway_stays_published_and_the_old_one_runs(
    cli: GatewayCli,
) -> None:
    there = ("--gateway", cli.gateway.url, "-e", "production", *WITH_RESTART)
    cli.call("install", f"{MODULE_ID}@1.1.0", *there).must(0)
    cli.gateway.options.faults[MODULE_ID] = ModuleFault(version="1.2.3")
    result = cli.call(*release(cli), "--json").must(7)
    assert result.document["error"]["exit_code"] == 7
    assert active(cli.gateway) == "1.1.0"
    assert (cli.workspace.repository / "modules" / MODULE_ID / "1.2.3").is_dir()


def test_begin_and_end_are_reported_signed_mailed_and_in_the_audit_trail_without_a_secret(
    cli: GatewayCli,
) -> None:
    with ExitStack() as servers:
        receiver = servers.enter_context(serving(WebhookReceiver(SECRET)))
        mail = servers.enter_context(mail_server())
        hook = f"{receiver.url}/hooks/h00k-s3cret"
        env = {"DEPLOYMENT_WEBHOOK_URL": hook, "IGN_DEPLOY_WEBHOOK_SECRET": SECRET}
        reported = (
            "--notification-email", "ops@example.com", "--smtp-url", f"smtp://127.0.0.1:{mail.port}",
            "--smtp-sender", "ci@example.com", "--audit-file", "audit.jsonl",
        )  # fmt: skip
        result = cli.call(*release(cli), *reported, "--json", **env).must(0)
    begin, end = receiver.documents
    assert (begin["result"], end["result"]) == ("in-progress", "deployed")
    assert begin["environment"] == end["environment"] == "production"
    assert begin["modules"][0]["id"] == MODULE_ID
    assert len(mail.messages) in (1, 2)
    assert "deployed" in mail.messages[-1].message["Subject"]
    verified = cli.call("audit", "verify", "audit.jsonl", "--json").must(0).document
    assert verified["result"] == "verified"
    lines = [json.loads(line) for line in _read(cli, "audit.jsonl").splitlines()]
    assert any(line["action"] == "deployment" and line["result"] == "deployed" for line in lines)
    everything = result.stdout + result.stderr + json.dumps([begin, end])
    everything += "".join(each.raw.decode() for each in mail.messages)
    for secret in (TOKEN, "s3cret", SECRET, hook, "h00k-s3cret"):
        assert secret not in everything, secret
        _assert_nowhere(cli, secret)


def _read(cli: GatewayCli, name: str) -> str:
    return (cli.workspace.folder / name).read_text("utf-8")


def _assert_nowhere(cli: GatewayCli, secret: str) -> None:
    """Look into every file that was left: records, audit trail, result file, repository."""
    for name, data in cli.workspace.tree().items():
        assert data is None or secret.encode() not in data, (secret, name)


def test_a_webhook_that_fails_is_only_a_warning(cli: GatewayCli) -> None:
    with serving(WebhookReceiver(SECRET, *[Reply(400)] * 20)) as receiver:
        env = {"DEPLOYMENT_WEBHOOK_URL": f"{receiver.url}/h00k-s3cret"}
        result = cli.call(*release(cli), **env, IGN_DEPLOY_WEBHOOK_SECRET=SECRET).must(0)
    assert "warning" in result.stderr
    assert "400" in result.stderr
    assert "h00k-s3cret" not in result.stdout + result.stderr
    assert active(cli.gateway) == "1.2.3"


def test_a_mail_server_that_is_not_there_is_only_a_warning(cli: GatewayCli) -> None:
    reported = ("--notification-email", "ops@example.com", "--smtp-sender", "ci@example.com")
    with mail_server() as mail:
        mail.answer = "554 no"
        url = f"smtp://127.0.0.1:{mail.port}"
        result = cli.call(*release(cli), *reported, "--smtp-url", url).must(0)
    assert "warning" in result.stderr
    assert active(cli.gateway) == "1.2.3"


@pytest.mark.long
def test_the_action_deploys_and_gives_id_result_and_head_and_a_page(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runner", secrets=(TOKEN, SECRET, "h00k-s3cret"))
    checkout = runner.workspace
    build_module(checkout / "pump.unsigned.modl", texts=LINE)
    key, certificate = self_signed()
    pem_files(checkout, key, (certificate,))
    with (
        running_gateway(Options(down_seconds=0, starting_seconds=0)) as gateway,
        serving(WebhookReceiver(SECRET)) as receiver,
    ):
        inputs = {
            "path": "pump.unsigned.modl",
            "key-path": "signing.key.pem",
            "cert-path": "signing.cert.pem",
            "environment": "production",
            "gateway": gateway.url,
            "gateway-token": TOKEN,
            "accept-certificate": "yes",
            "accept-license": "yes",
            "restart": "if-needed",
            "audit-file": "audit.jsonl",
            "skip-deployment-statuses": "true",
            "webhook-url": f"{receiver.url}/h00k-s3cret",
            "webhook-secret": SECRET,
        }
        good = runner.run(inputs)
        gateway.options.faults["com.example.bad"] = ModuleFault()
        build_module(checkout / "bad.modl", texts={**LINE, "id": "com.example.bad"})
        bad = runner.run({**inputs, "path": "bad.modl"})
        assert active(gateway) == "1.2.3"
    assert good.succeeded, good.log
    assert good.leaked == bad.leaked == ()
    assert good.outputs["result"] == "deployed"
    assert good.outputs["deployment-id"]
    assert len(good.outputs["audit-head"]) == 64
    assert "deploy" in good.summary
    assert bad.exit_code == 7
    assert bad.problems == ()
    assert bad.outputs["deployment-id"] != good.outputs["deployment-id"]
    assert "the database is missing" in bad.summary
    assert [each["result"] for each in receiver.documents][-1] == "rolled-back"
    for path in checkout.rglob("*"):
        if path.is_file():
            for secret in runner.secrets:
                assert secret.encode() not in path.read_bytes(), path
