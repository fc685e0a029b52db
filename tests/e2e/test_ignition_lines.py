"""One version for several lines of Ignition, and what the vendor tested and supports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway.client import MODULE_ID, modl


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one module for two lines of Ignition."""
    folder = tmp_path_factory.mktemp("repository")
    published_repository(folder, "1.4.2.83", requires="8.3.0")
    return published_repository(folder, "1.4.2.2027", requires="2027.0.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def test_a_version_is_selected_by_ignition(cli: GatewayCli, repository: Path) -> None:
    cli.gateway.options.version = "8.3.4"
    refused = cli.install(MODULE_ID).must(7)
    assert "is built for Ignition 2027" in refused.stderr
    assert "add --ignition 8.3 to select the newest" in refused.stderr
    cli.install(MODULE_ID, "--ignition", "8.3").must(0)
    assert active(cli.gateway) == "1.4.2.83"
    cli.gateway.options.version = "2027.1.0"
    cli.install(MODULE_ID).must(0)
    assert active(cli.gateway) == "1.4.2.2027"
    where = ("--repository-url", repository)
    for command in ("download", "render"):
        options = (
            ("compose", MODULE_ID, "--image", "ignition:8.3", "--ign-deploy-image", "ign-deploy:1")
            if command == "render"
            else (MODULE_ID,)
        )
        result = cli.call(command, *options, "--ignition", "8.3.4", "--json", *where).must(0)
        assert "1.4.2.83" in result.stdout
        assert "1.4.2.2027" not in result.stdout
    nothing = cli.call("download", MODULE_ID, "--ignition", "8.1", *where).must(6)
    assert "no version for Ignition 8.1; the newest are 1.4.2.2027, 1.4.2.83" in nothing.stderr
    exact = (f"{MODULE_ID}@1.4.2.2027", "--ignition", "8.3")
    for refused in (cli.install(*exact), cli.call("download", *exact, *where)):
        refused.must(6)
        assert "1.4.2.2027 is not for Ignition 8.3: it requires 2027.0.0" in refused.stderr
    listed = cli.call("list-modules", "--ignition", "8.1", *where).must(0)
    assert "no modules for Ignition 8.1 are published in" in listed.stdout


def test_what_was_tested_and_is_supported_is_checked_on_installation(cli: GatewayCli) -> None:
    folder = cli.workspace.folder
    stores = ("--repository-url", folder / "store")
    file = modl(folder, "2.0.0", module_id=MODULE_ID, requires="8.3.0")
    support = ("--tested-on", "8.3.2,8.3.4", "--max-ignition", "8.3.6")
    cli.call("upload", file, *support, *stores).must(0)
    installing = (MODULE_ID, *stores)

    cli.gateway.options.version = "8.3.7"
    refused = cli.install(*installing).must(7)
    assert "2.0.0 supports Ignition up to 8.3.6, but" in refused.stderr
    cli.gateway.options.version = "8.3.5"
    warned = cli.install(*installing, "--dry-run").must(0)
    assert "was tested on Ignition 8.3.2, 8.3.4, but" in warned.stderr
    cli.gateway.options.version = "8.3.4"
    assert "tested on" not in cli.install(*installing).must(0).stderr
    listed = cli.call("list-modules", "--ignition", "8.3.7", "--json", *stores).must(0)
    assert listed.document["modules"] == []
    again = cli.call("upload", file, "--max-ignition", "8.3.9", *stores).must(0)
    assert "2.0.0 was published before with other values of --tested-on" in again.stderr


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        (
            "--tested-on",
            "8.1",
            "but was tested on 8.1, which can't run it",
        ),
        (
            "--max-ignition",
            "8.1",
            "but the newest that is supported is 8.1",
        ),
        ("--max-ignition", "newest", "'newest' is not a valid Ignition version"),
    ],
)
def test_support_that_contradicts_the_module_publishes_nothing(
    workspace: CliWorkspace, setting: str, value: str, message: str
) -> None:
    file = modl(workspace.folder, "2.0.0", module_id=MODULE_ID, requires="8.3.0")
    refused = workspace.call("upload", file, setting, value).must(2)
    assert message in refused.stderr
    assert not (workspace.folder / "module-repository" / "modules").exists()
