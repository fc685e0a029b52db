"""Going back: never by mistake, and never to what the store alone says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ign_deploy.deployment.history import History
from ign_deploy.deployment.records import DeploymentRecord, Outcome, Phase
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.backends import open_repository
from tests.support.cli import WITH_RESTART, CliWorkspace, GatewayCli, Result, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import Gateway, ModuleFault
from tests.support.gateway.client import MODULE_ID, modl, verified
from tests.support.records import record
from tests.support.signing import vendor

NAME = MODULE_ID
VALVE = "com.example.valve"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    return published_repository(folder, "1.0.0", "1.1.0", "1.2.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def rollback(cli: GatewayCli, *arguments: str, gateways: tuple[Gateway, ...] = ()) -> Result:
    urls = [each.url for each in gateways] or [cli.gateway.url]
    there = [part for url in urls for part in ("--gateway", url)]
    return cli.call("rollback", "-e", "production", *there, "--restart", "if-needed", *arguments)


def fail(gateway: Gateway, version: str) -> None:
    gateway.options.faults[NAME] = ModuleFault(version=version)


def test_after_an_automatic_rollback_there_is_nothing_to_roll_back(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    fail(cli.gateway, "1.1.0")
    cli.install(f"{NAME}@1.1.0").must(7)
    entries = cli.call("history", "--json").must(0).document["deployments"]
    for _ in range(2):
        result = rollback(cli).must(0)
        assert f"nothing to roll back: {NAME} 1.1.0 was rolled back already" in result.stdout
        assert "1.0.0 runs" in result.stdout
        assert "deployed" not in result.stdout
        assert active(cli.gateway) == "1.0.0"
    document = rollback(cli, "--json").must(0).document
    assert (document["result"], document["deployment"]) == ("unchanged", None)
    assert cli.call("history", "--json").must(0).document["deployments"] == entries


def test_a_rollback_that_the_gateway_does_not_confirm_is_reported(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    fail(cli.gateway, "1.1.0")
    cli.install(f"{NAME}@1.1.0").must(7)
    cli.gateway.options.faults.clear()
    cli.call("install", f"{NAME}@1.2.0", "--gateway", cli.gateway.url, "-e", "other",
             *WITH_RESTART).must(0)  # fmt: skip
    result = rollback(cli).must(7)
    assert f"{NAME} is 1.2.0 on {cli.gateway.url}" in result.stderr
    assert active(cli.gateway) == "1.2.0"


def test_what_another_environment_installed_is_not_rolled_back(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    cli.call("install", f"{NAME}@1.2.0", "--gateway", cli.gateway.url, "-e", "other",
             *WITH_RESTART).must(0)  # fmt: skip
    result = rollback(cli).must(7)
    assert f"{NAME} is 1.2.0 on {cli.gateway.url}" in result.stderr
    assert active(cli.gateway) == "1.2.0"
    rollback(cli, "--to", "1.0.0").must(0)
    assert active(cli.gateway) == "1.0.0"


def test_after_a_failed_first_installation_there_is_nothing_to_roll_back(cli: GatewayCli) -> None:
    fail(cli.gateway, "1.1.0")
    cli.install(f"{NAME}@1.1.0").must(7)
    assert "no version is installed" in rollback(cli).must(0).stdout


def test_the_version_before_is_still_restored_by_its_number(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    fail(cli.gateway, "1.2.0")
    cli.install(f"{NAME}@1.2.0").must(7)
    assert "nothing to roll back" in rollback(cli).must(0).stdout
    assert "takes the version as --to" in rollback(cli, f"{NAME}@1.0.0").must(7).stderr
    rollback(cli, "--to", "v1.0.0").must(0)
    assert active(cli.gateway) == "1.0.0"


def test_a_partial_deployment_is_rolled_back_where_it_changed_something(cli: GatewayCli) -> None:
    with ExitStack() as running:
        others = [running.enter_context(cli.another_gateway()) for _ in range(2)]
        gateways = (cli.gateway, *others)
        there = [part for each in gateways for part in ("--gateway", each.url)]
        options = ("-e", "production", *there, *WITH_RESTART)
        cli.call("install", f"{NAME}@1.0.0", *options).must(0)
        cli.call("install", f"{NAME}@1.1.0", *options).must(0)
        fail(others[0], "1.2.0")
        cli.call("install", f"{NAME}@1.2.0", *options).must(7)
        assert [active(each) for each in gateways] == ["1.2.0", "1.1.0", "1.1.0"]
        result = rollback(cli, gateways=gateways).must(0)
        assert [active(each) for each in gateways] == ["1.1.0", "1.1.0", "1.1.0"]
    assert f"{NAME} 1.2.0 was rolled back already" in result.stdout
    assert f"{NAME} 1.2.0 was not installed" in result.stdout


def test_with_continue_on_error_a_hanging_gateway_does_not_stop_the_others(
    cli: GatewayCli,
) -> None:
    with ExitStack() as running:
        others = [running.enter_context(cli.another_gateway()) for _ in range(2)]
        gateways = (cli.gateway, *others)
        there = [part for each in gateways for part in ("--gateway", each.url)]
        for version in ("1.0.0", "1.1.0"):
            cli.call(
                "install", f"{NAME}@{version}", "-e", "production", *there, *WITH_RESTART
            ).must(0)
        hanging = others[0]
        hanging.options.hangs = True
        assert "didn't respond in time" in rollback(cli, gateways=gateways).must(9).stderr
        assert [active(each) for each in gateways] == ["1.1.0"] * 3
        assert hanging.has_held(1)  # it costs its time-out once

        result = rollback(cli, "--continue-on-error", gateways=gateways).must(7)
        assert "didn't respond in time; nothing was changed" in result.stderr
        assert [active(each) for each in gateways] == ["1.0.0", "1.1.0", "1.0.0"]
        assert hanging.has_held(2)

        # The only one that is left can't be reached: that isn't "nothing to do".
        rollback(cli, "--continue-on-error", gateways=gateways).must(9)
        hanging.options.hangs = False
        result = rollback(cli, gateways=gateways).must(0)
        assert [active(each) for each in gateways] == ["1.0.0"] * 3
    assert f"{NAME} 1.1.0 was rolled back already" in result.stdout


def test_a_failed_promotion_leaves_nothing_to_roll_back(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.call("install", f"{NAME}@1.1.0", "-e", "staging", "--track-only").must(0)
    fail(cli.gateway, "1.1.0")
    cli.call("promote", "-e", "staging", "--to", "production", "--gateway", cli.gateway.url,
             *WITH_RESTART).must(7)  # fmt: skip
    assert "1.1.0 was rolled back already" in rollback(cli).must(0).stdout
    assert active(cli.gateway) == "1.0.0"


def test_on_a_folder_uninstalling_needs_permission_and_never_reads_deployed(
    cli: GatewayCli, tmp_path: Path
) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    there = ("-e", "plant", "--gateway", str(folder))
    cli.call("install", f"{NAME}@1.0.0", *there).must(0)
    assert "--allow-uninstall" in cli.call("rollback", *there).must(7).stderr
    assert [each.name for each in folder.glob("*.modl")] == [f"{NAME}.modl"]
    result = cli.call("rollback", *there, "--allow-uninstall").must(0)
    assert list(folder.glob("*.modl")) == []
    assert "deployed" not in result.stdout
    assert f"must be restarted before {NAME} is gone" in result.stdout


def test_a_rollback_is_not_undone_by_the_next_one(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    rollback(cli).must(0)
    again = rollback(cli).must(0)
    assert f"{NAME} 1.1.0 was rolled back already, and 1.0.0 runs" in again.stdout
    assert active(cli.gateway) == "1.0.0"
    cli.install(f"{NAME}@1.1.0").must(0)
    rollback(cli).must(0)
    assert active(cli.gateway) == "1.0.0"


def test_a_rollback_that_waits_for_a_restart_is_verified_by_the_same_command(
    cli: GatewayCli,
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    there = ("-e", "production", "--gateway", cli.gateway.url)
    for _ in range(2):
        assert cli.call("rollback", *there).must(0).stdout.startswith("restart-pending")
        status = cli.call("status").must(0).stdout
        assert "1.0.0 (restart pending)" in status
    cli.gateway.state.restart()
    cli.gateway.state.come_back()
    assert active(cli.gateway) == "1.0.0"
    result = cli.call("rollback", *there).must(0)
    assert f"{NAME} 1.0.0 is already running" in result.stderr
    assert "restart pending" not in cli.call("status").must(0).stdout
    assert "nothing to roll back" in cli.call("rollback", *there).must(0).stdout


def test_a_module_that_a_rollback_uninstalled_is_not_called_never_deployed(
    cli: GatewayCli,
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    rollback(cli, "--allow-uninstall").must(0)
    result = rollback(cli, "--allow-uninstall").must(0)
    assert f"{NAME} 1.0.0 was rolled back already, and no version is installed" in result.stdout


def test_a_recorded_rollback_is_not_undone_by_the_next_one(cli: GatewayCli) -> None:
    tracked = ("-e", "test", "--track-only")
    cli.call("install", f"{NAME}@1.0.0", *tracked).must(0)
    cli.call("install", f"{NAME}@1.1.0", *tracked).must(0)
    cli.call("rollback", *tracked).must(0)
    again = cli.call("rollback", *tracked).must(0)
    assert f"{NAME} 1.1.0 was rolled back already" in again.stdout
    (deployed,) = cli.call("status", "--json").must(0).document["deployed"]
    assert deployed["version"] == deployed["rollback_version"] == "1.0.0"


@pytest.fixture
def with_valve(cli: GatewayCli, tmp_path: Path) -> GatewayCli:
    """The gateway has a second module, which was deployed earlier, on its own."""
    folder = tmp_path / "valve"
    folder.mkdir()
    for version in ("1.0.0", "2.0.0"):
        file = modl(folder, version, module_id=VALVE)
        cli.call("upload", file).must(0)
        cli.install(f"{VALVE}@{version}").must(0)
    cli.install(f"{NAME}@1.0.0").must(0)
    return cli


def test_only_what_the_last_deployment_had_is_rolled_back(with_valve: GatewayCli) -> None:
    fail(with_valve.gateway, "1.1.0")
    with_valve.install(f"{NAME}@1.1.0").must(7)
    result = rollback(with_valve).must(0)
    assert f"{NAME} 1.1.0 was rolled back already" in result.stdout
    assert f"{VALVE} 2.0.0 stays" in result.stderr
    assert active(with_valve.gateway, VALVE) == "2.0.0"
    with_valve.install(f"{NAME}@1.2.0").must(0)
    rollback(with_valve).must(0)
    assert active(with_valve.gateway) == "1.0.0"
    assert active(with_valve.gateway, VALVE) == "2.0.0"
    rollback(with_valve, VALVE).must(0)
    assert active(with_valve.gateway, VALVE) == "1.0.0"


def test_modules_deployed_together_are_rolled_back_together(with_valve: GatewayCli) -> None:
    with_valve.install(f"{NAME}@1.1.0", f"{VALVE}@2.0.0").must(0)
    refused = rollback(with_valve, "--to", "1.0.0").must(2)
    assert f"the last deployment had {NAME}, {VALVE}" in refused.stderr
    assert active(with_valve.gateway) == "1.1.0"
    rollback(with_valve).must(0)
    assert active(with_valve.gateway) == "1.0.0"
    assert active(with_valve.gateway, VALVE) == "1.0.0"


def replace_in_store(cli: GatewayCli, version: str, folder: Path) -> Path:
    """Replace a published version, bytes and record, by an attacker's valid module."""
    folder.mkdir()
    file = modl(folder, version, identity=vendor("attacker"))
    CliWorkspace(folder).call("upload", file, "--repository-url", folder / "evil").must(0)
    place = Path("modules") / NAME / version
    shutil.rmtree(cli.workspace.repository / place)
    shutil.copytree(folder / "evil" / place, cli.workspace.repository / place)
    return file


def signer(cli: GatewayCli, version: str) -> str:
    (file,) = (cli.workspace.repository / "modules" / NAME / version).glob("*.modl")
    return verified(file).certificate.sha1


@pytest.mark.parametrize("options", [(), ("pin",), ("yes",)])
def test_a_rollback_does_not_install_what_replaced_the_version_in_the_store(
    cli: GatewayCli, tmp_path: Path, options: tuple[str, ...]
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    sha1 = signer(cli, "1.1.0")
    replace_in_store(cli, "1.0.0", tmp_path / "attack")
    consent = [("--accept-certificate", sha1 if each == "pin" else each) for each in options]
    result = rollback(cli, *(part for each in consent for part in each)).must(5)
    assert "is not the one that was installed" in result.stderr
    assert active(cli.gateway) == "1.1.0"
    assert cli.gateway.state.listed[NAME].modl.fingerprint == sha1


def test_an_automatic_rollback_does_not_install_what_replaced_the_version_in_the_store(
    cli: GatewayCli, tmp_path: Path
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    sha1 = signer(cli, "1.1.0")
    evil = replace_in_store(cli, "1.0.0", tmp_path / "attack")
    fail(cli.gateway, "1.1.0")
    result = cli.install(f"{NAME}@1.1.0").must(8)
    assert "cannot be restored" in result.stderr
    assert "is not the one that was installed" in result.stderr
    assert cli.gateway.state.listed[NAME].modl.fingerprint == sha1
    assert verified(evil).certificate.sha1 not in cli.gateway.state.accepted_certificates


def test_going_back_to_what_the_history_does_not_know_needs_consent(
    cli: GatewayCli, tmp_path: Path
) -> None:
    cli.install(f"{NAME}@1.1.0").must(0)
    sha1 = signer(cli, "1.1.0")
    evil = verified(replace_in_store(cli, "1.0.0", tmp_path / "attack")).certificate.sha1
    refused = rollback(cli, "--to", "1.0.0").must(7)
    assert f"--accept-certificate {evil}" in refused.stderr
    pinned = rollback(cli, "--to", "1.0.0", "--accept-certificate", sha1)
    assert pinned.exit_code == 2
    assert "signed by another certificate" in pinned.stderr
    assert active(cli.gateway) == "1.1.0"
    assert evil not in cli.gateway.state.accepted_certificates


def test_a_named_signer_counts_for_an_automatic_rollback_too(
    cli: GatewayCli, tmp_path: Path
) -> None:
    """The history doesn't know what ran there: it was installed by hand, long ago."""
    old = modl(tmp_path, "0.9.0", identity=vendor("another vendor"))
    CliWorkspace(tmp_path).call(
        "upload", old, "--repository-url", cli.workspace.repository
    ).must(0)  # fmt: skip
    cli.gateway.have(old)
    fail(cli.gateway, "1.1.0")
    sha1 = signer(cli, "1.1.0")
    there = ("--gateway", cli.gateway.url, "-e", "production", "--restart", "if-needed")
    consent = ("--accept-certificate", sha1, "--accept-license", "yes")
    result = cli.call("install", f"{NAME}@1.1.0", *there, *consent).must(8)
    assert "0.9.0 cannot be restored" in result.stderr
    both = (*consent, "--accept-certificate", verified(old).certificate.sha1)
    cli.gateway.have(old)
    cli.call("install", f"{NAME}@1.1.0", *there, *both).must(7)
    assert active(cli.gateway) == "0.9.0"


def test_a_trust_anchor_counts_for_what_is_restored(cli: GatewayCli, tmp_path: Path) -> None:
    cli.install(f"{NAME}@1.1.0").must(0)
    replace_in_store(cli, "1.0.0", tmp_path / "attack")
    (anchor,) = tmp_path.glob("*.cert.pem")
    result = rollback(cli, "--to", "1.0.0", "--trust-anchor", str(anchor), *WITH_RESTART[:4])
    result.must(5)
    assert "1.0.0" in result.stderr
    assert active(cli.gateway) == "1.1.0"


def forge(cli: GatewayCli, started: DeploymentRecord, *, is_ended: bool = True) -> None:
    """Write documents as someone does who can write to the store, and nothing more."""
    repository = open_repository(str(cli.workspace.repository))
    history = History(repository.maintenance.ledger, reporter=SilentReporter())
    ended = started.model_copy(
        update={
            "phase": Phase.ENDED,
            "outcome": Outcome.DEPLOYED,
            "ended_at": started.started_at,
            "gateways": tuple(
                gateway.model_copy(
                    update={
                        "outcome": Outcome.DEPLOYED,
                        "modules": tuple(
                            module.model_copy(update={"outcome": Outcome.DEPLOYED})
                            for module in gateway.modules
                        ),
                    }
                )
                for gateway in started.gateways
            ),
        }
    )
    history.append(ended)
    if not is_ended:
        history.append(started)


def test_one_forged_document_does_not_steer_a_rollback(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    forge(
        cli,
        record("1.1.0", previous="6.6.6", gateway=cli.gateway.url, module_id=NAME,
               started_at="2099-01-01T00:00:00.000000Z"),
    )  # fmt: skip
    result = rollback(cli).must(0)
    assert "warning" in result.stderr
    assert "from the future" in result.stderr
    assert active(cli.gateway) == "1.0.0"


def test_a_forged_pair_that_contradicts_the_history_asks_a_person(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    last = cli.call("history", "--json").must(0).document["deployments"][0]
    forge(
        cli,
        record("1.2.0", previous="1.0.0", gateway=cli.gateway.url, module_id=NAME,
               started_at=last["ended_at"]),
        is_ended=False,
    )  # fmt: skip
    result = rollback(cli).must(7)
    assert "--to VERSION" in result.stderr
    assert "contradicts itself" in result.stderr
    assert active(cli.gateway) == "1.1.0"
    rollback(cli, "--to", "1.0.0").must(0)


def test_a_forged_start_does_not_make_an_automatic_rollback_uninstall(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    last = cli.call("history", "--json").must(0).document["deployments"][0]
    repository = open_repository(str(cli.workspace.repository))
    History(repository.maintenance.ledger, reporter=SilentReporter()).append(
        record("1.1.0", previous="", gateway=cli.gateway.url, module_id=NAME,
               started_at=last["ended_at"])
    )  # fmt: skip
    cli.install(f"{NAME}@1.1.0", "--health-command", "false")
    assert active(cli.gateway) == "1.1.0"


def test_a_promotion_does_not_install_what_replaced_the_version_in_the_store(
    cli: GatewayCli, tmp_path: Path
) -> None:
    cli.call("install", f"{NAME}@1.0.0", "-e", "staging", "--track-only").must(0)
    replace_in_store(cli, "1.0.0", tmp_path / "attack")
    there = ("--gateway", cli.gateway.url, *WITH_RESTART)
    result = cli.call("promote", "-e", "staging", "--to", "production", *there).must(5)
    assert "is not the one that was installed" in result.stderr
    assert cli.gateway.version_of(NAME) == ""


def test_a_version_of_long_ago_is_compared_with_the_oldest_records(
    cli: GatewayCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index doesn't have its SHA-256 any more, so another file could pass for it."""
    for name, value in (("RECENT", 1), ("_SLACK", 0), ("_DIGESTS", 1)):
        monkeypatch.setattr(f"ign_deploy.deployment.environment_index.{name}", value)
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    cli.install(f"{NAME}@1.2.0").must(0)
    cli.install(f"{NAME}@1.2.0").must(0)
    folder = cli.workspace.repository / "modules" / NAME / "1.0.0"
    shutil.rmtree(folder)
    other = cli.workspace.folder / "other"
    other.mkdir()
    file = modl(other, "1.0.0", module_id=NAME, license_text=b"another")
    cli.call("upload", file, "--repository-url", cli.workspace.repository).must(0)
    result = rollback(cli, "--to", "1.0.0", "--accept-certificate", "yes")
    assert result.exit_code == 5, result.stderr
    assert "is not the one that was installed" in result.stderr
    assert active(cli.gateway) == "1.2.0"
