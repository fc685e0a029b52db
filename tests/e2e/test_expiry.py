"""A signing certificate that expires soon is noticed wherever it is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.support.cli import KEY, CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import published_repository
from tests.support.gateway.client import MODULE_ID, modl

EARLY = ("--expiry-warning-days", "36500")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def test_a_release_warns_once(workspace: CliWorkspace) -> None:
    released = workspace.release(*EARLY).must(0)
    assert released.stderr.count("expires-soon") == 1
    assert released.stderr.count("expires in ") == 1
    quiet = workspace.release().must(0)
    assert "expires" not in quiet.stderr


def test_an_upload_and_the_environment_check_warn(workspace: CliWorkspace) -> None:
    file = modl(workspace.folder, "2.0.0", module_id=MODULE_ID)
    uploaded = workspace.call("upload", file, *EARLY, "--json").must(0)
    assert "expires-soon" in uploaded.stderr
    assert uploaded.document["release"]["certificate"]["not_after"].endswith("Z")
    checked = workspace.call("validate-env", "--signing", *EARLY, *KEY).must(0)
    assert "expires-soon" in checked.stderr


def test_status_shows_signer_and_end_as_the_gateway_does(cli: GatewayCli, tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    cli.install(MODULE_ID, "--metrics-file", file).must(0)
    assert "ign_deploy_certificate_days_left{" in file.read_text()
    asking = ("status", "--live", "--gateway", cli.gateway.url, "-e", "production")
    shown = cli.call(*asking, *EARLY, "--metrics-file", file).must(0)
    assert "Test Vendor (self-signed)" in shown.stdout
    assert "its certificate expires in " in shown.stdout
    assert "its certificate" not in cli.call(*asking).must(0).stdout
    (gateway,) = cli.call(*asking, "--json").must(0).document["gateways"]
    (module,) = gateway["modules"]
    assert module["signer"] == "CN=Test Vendor"
    assert module["certificate_expires"].endswith("Z")
    parse: Any = parse_openmetrics
    samples = {each.name: each.samples for each in parse(file.read_text())}
    (days,) = samples["ign_deploy_certificate_days_left"]
    assert (days.labels["module"], days.value) == (MODULE_ID, module["days_left"])
