"""Gateways that can't tell what runs: a folder of modules, and developer mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import CliWorkspace, GatewayCli, Result, open_gateway_cli
from tests.support.deployment_env import published_repository
from tests.support.gateway import Options
from tests.support.gateway.client import MODULE_ID, verified

NAME = MODULE_ID
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    return published_repository(folder, *VERSIONS, requires="8.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    options = Options(version="8.1.44", developer_upload=True)
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch, options=options) as cli:
        yield cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "modules"
    folder.mkdir()
    return folder


def version_in(folder: Path) -> str:
    """Return the version of the only module in the folder, empty for none."""
    paths = list(folder.glob("*.modl"))
    assert len(paths) < 2
    return verified(paths[0]).descriptor.version if paths else ""


def install(cli: GatewayCli, version: str, gateway: str, *arguments: str) -> Result:
    there = ("--gateway", gateway, "-e", "plant", *arguments)
    return cli.call("install", f"{NAME}@{version}", *there)


def rollback(cli: GatewayCli, gateway: str, *arguments: str) -> Result:
    return cli.call("rollback", "--gateway", gateway, "-e", "plant", *arguments)


def test_a_folder_goes_back_to_the_version_that_was_there(cli: GatewayCli, folder: Path) -> None:
    first = install(cli, "1.0.0", str(folder)).must(0)
    assert f"{NAME} is not installed yet; a rollback would uninstall it" in first.stderr
    for version, previous in (("1.1.0", "1.0.0"), ("1.2.0", "1.1.0")):
        result = install(cli, version, str(folder)).must(0)
        assert "would uninstall" not in result.stderr
        assert f"{NAME} {previous} → {version}" in result.stderr
    install(cli, "1.2.0", str(folder)).must(0)
    rollback(cli, str(folder)).must(0)
    assert version_in(folder) == "1.1.0"


def test_a_folder_goes_back_to_a_version_that_was_put_there_by_hand(
    cli: GatewayCli, folder: Path
) -> None:
    install(cli, "1.0.0", str(folder)).must(0)
    install(cli, "1.1.0", str(folder)).must(0)
    (folder / f"{NAME}.modl").write_bytes(
        (cli.workspace.repository / "modules" / NAME / "1.2.0" / f"{NAME}-1.2.0.modl").read_bytes()
    )
    dry = install(cli, "1.0.0", str(folder), "--dry-run", "--allow-downgrade").must(0)
    assert f"{NAME} 1.2.0 → 1.0.0" in dry.stderr


def test_a_first_version_in_a_folder_that_is_installed_again_is_not_called_missing(
    cli: GatewayCli, folder: Path
) -> None:
    install(cli, "1.0.0", str(folder)).must(0)
    again = install(cli, "1.0.0", str(folder)).must(0)
    assert "not installed yet" not in again.stderr
    assert "none was there before it; a rollback would uninstall it" in again.stderr


def test_a_developer_gateway_goes_back_to_the_version_of_the_history(cli: GatewayCli) -> None:
    address = f"developer+{cli.gateway.url}"
    first = install(cli, "1.0.0", address).must(0)
    assert "according to the history" in first.stderr
    assert "a rollback cannot uninstall it" in first.stderr
    for version, previous in (("1.1.0", "1.0.0"), ("1.1.0", "1.1.0")):
        result = install(cli, version, address).must(0)
        assert "uninstall" not in result.stderr
        assert f"{NAME} {previous} → {version}" in result.stderr
    failed = install(cli, "1.2.0", address, "--health-command", "false").must(7)
    assert "back on 1.1.0" in failed.stderr
    assert cli.gateway.version_of(NAME) == "1.1.0"
    assert "contradicts" not in rollback(cli, address).must(0).stderr
    rollback(cli, address, "--to", "1.0.0").must(0)
    assert cli.gateway.version_of(NAME) == "1.0.0"


def test_the_address_of_a_developer_gateway_in_a_hint_works_as_it_is_typed(
    cli: GatewayCli,
) -> None:
    address = f"developer+{cli.gateway.url}"
    install(cli, "1.0.0", address).must(0)
    install(cli, "1.1.0", address, "--health-url", "StatusPing").must(0)
    assert address in cli.call("status").must(0).stdout
    hint = cli.call("rollback", "-e", "plant").must(7).stderr.partition("the history has: ")[2]
    rollback(cli, hint.split()[0].rstrip(".")).must(0)
    assert cli.gateway.version_of(NAME) == "1.0.0"


def test_a_folder_does_not_promise_to_verify(cli: GatewayCli, folder: Path) -> None:
    result = install(cli, "1.0.0", str(folder)).must(0)
    assert "1. restart the gateway when the plant allows." in result.stdout
    assert "2. check the result there." in result.stdout
    assert "to verify the result" not in result.stdout


def test_a_file_that_was_removed_from_a_folder_is_not_restored_unasked(
    cli: GatewayCli, folder: Path
) -> None:
    install(cli, "1.0.0", str(folder)).must(0)
    install(cli, "1.1.0", str(folder)).must(0)
    (folder / f"{NAME}.modl").unlink()
    assert f"{NAME} is not installed on {folder}" in rollback(cli, str(folder)).must(7).stderr
    rollback(cli, str(folder), "--to", "1.0.0").must(0)
    assert version_in(folder) == "1.0.0"


def test_a_developer_gateway_is_never_said_to_have_uninstalled_a_module(cli: GatewayCli) -> None:
    address = f"developer+{cli.gateway.url}"
    install(cli, "1.0.0", address).must(0)
    for options in ((), ("--allow-uninstall",)):
        result = rollback(cli, address, *options).must(7)
        assert f"cannot uninstall {NAME} from {address}" in result.stderr
        assert "on the gateway's web page" in result.stderr
    assert "(uninstalled)" not in cli.call("status").must(0).stdout


def test_status_live_compares_what_it_can(cli: GatewayCli, folder: Path) -> None:
    """A developer gateway was asked, though it can't say what it has: it is no failure."""
    cli.config(f"""
[[gateways]]
name = "bench"
url = "developer+{cli.gateway.url}"
environment = "plant"

[[gateways]]
name = "line"
url = "{folder}"
environment = "line"
""")
    cli.call("install", f"{NAME}@1.1.0", "-e", "plant").must(0)
    cli.call("install", f"{NAME}@1.0.0", "-e", "line").must(0)
    done = cli.call("status", "--live", "--json", "--exit-code").must(0)
    found = {each["name"]: each for each in done.document["gateways"]}
    results = {name: (each["result"], each["problem"]) for name, each in found.items()}
    assert results == {"bench": ("not-comparable", ""), "line": ("as-recorded", "")}
    (module,) = found["bench"]["modules"]
    assert (module["version"], module["recorded"], module["difference"]) == ("", "1.1.0", "")
    text = cli.call("status", "--live").must(0).stdout
    assert text.startswith("✓ 1 of 2 gateways as recorded, 1 doesn't list its modules\n")
    # Alone, nothing could be compared: that is no success.
    alone = cli.call("status", "--live", "-e", "plant", "--exit-code").must(10)
    assert alone.stdout.startswith("- 0 of 1 gateways as recorded, 1 doesn't list its modules\n")
