"""Installing modules by the command line: messages, rejections, results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import (
    ACCEPT,
    TOKEN,
    WITH_RESTART,
    CliWorkspace,
    GatewayCli,
    Result,
    open_gateway_cli,
)
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import ModuleFault
from tests.support.gateway.client import MODULE_ID, modl
from tests.support.http_steps import HttpSteps, count_requests
from tests.support.identities import pem_certificates, self_signed
from tests.support.tls import make_tls

NAME = MODULE_ID


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with three versions, and one for another line of Ignition."""
    folder = tmp_path_factory.mktemp("repository")
    published_repository(folder, "1.0.0", "1.1.0", "1.2.0")
    return published_repository(folder, "1.0.0", module_id="com.example.old", requires="8.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        yield cli


def reported(result: Result) -> str:
    return result.stdout + result.stderr


def deployed(cli: GatewayCli, environment: str = "production") -> dict[str, str]:
    """Return the versions that ``status`` shows, by gateway."""
    found = cli.call("status", "-e", environment, "--json").must(0).document["deployed"]
    assert not any(each["uncertain"] for each in found)
    return {each["gateway"]: each["version"] for each in found}


def test_a_published_module_is_installed_and_runs(cli: GatewayCli) -> None:
    result = cli.install(NAME).must(0)
    assert active(cli.gateway) == "1.2.0"
    assert "deployed: deployment" in result.stdout
    assert "- → 1.2.0" in result.stdout
    assert deployed(cli) == {cli.gateway.url: "1.2.0"}
    again = cli.install(NAME).must(0)
    assert "unchanged: deployment" in again.stdout
    assert cli.gateway.state.restarts == 1


@pytest.mark.parametrize(("asked", "version"), [("@1.0.0", "1.0.0"), ("@>=1.0,<1.2", "1.1.0")])
def test_a_version_or_a_range_can_be_requested(cli: GatewayCli, asked: str, version: str) -> None:
    cli.install(f"{NAME}{asked}", "--json").must(0)
    assert active(cli.gateway) == version


def test_a_signed_file_is_installed(cli: GatewayCli, tmp_path: Path) -> None:
    cli.install(modl(tmp_path, "3.0.0")).must(0)
    assert active(cli.gateway) == "3.0.0"
    assert deployed(cli) == {cli.gateway.url: "3.0.0"}


def test_an_unsigned_file_is_rejected(cli: GatewayCli, tmp_path: Path) -> None:
    cli.install(modl(tmp_path, "3.0.0", signed=False)).must(5)
    assert cli.gateway.requests == []


CONFIG = """
accept-certificate = ["yes"]
accept-license = ["yes"]
restart = "if-needed"

[[gateways]]
name = "plant"
url = "GATEWAY"
environment = "production"
token_variable = "PLANT_TOKEN"

[[gateways]]
name = "elsewhere"
url = "https://127.0.0.1:1"
environment = "staging"
"""


def test_an_environment_s_gateways_come_from_the_config_file(cli: GatewayCli) -> None:
    cli.config(CONFIG)
    cli.env = {"PLANT_TOKEN": TOKEN}
    result = cli.call("install", NAME, "-e", "production").must(0)
    assert "plant" in result.stdout
    assert active(cli.gateway) == "1.2.0"
    assert TOKEN not in reported(result)


def test_a_config_file_that_was_only_found_gets_no_token(cli: GatewayCli) -> None:
    """A commit could put any address into it, and any variable of the job."""
    cli.config(CONFIG)
    cli.env = {"PLANT_TOKEN": TOKEN, "IGN_DEPLOY_GATEWAY_TOKEN": TOKEN, "IGN_DEPLOY_CONFIG": ""}
    for arguments in (("-e", "production"), ("--gateway", "plant")):
        result = cli.call("install", NAME, *arguments, *WITH_RESTART).must(2)
        assert "[[gateways]] in ign-deploy.toml decides which host gets" in result.stderr
        assert "--config, the input config or IGN_DEPLOY_CONFIG" in result.stderr
        assert "or set IGN_DEPLOY_GATEWAY." in result.stderr
    cli.config('gateway = "GATEWAY"')
    result = cli.call("install", NAME, "-e", "production").must(2)
    assert "gateway in ign-deploy.toml decides" in result.stderr
    for line in ('gateway-ca = "ca.pem"', f'gateway-pin = "{"ab" * 32}"'):
        cli.config(line)
        (cli.workspace.folder / "ca.pem").write_bytes(pem_certificates(self_signed()[1]))
        result = cli.call("install", NAME, "--gateway", cli.gateway.url).must(2)
        assert f"{line.partition(' ')[0]} in ign-deploy.toml decides" in result.stderr
    assert cli.gateway.requests == []


def test_a_config_file_that_was_only_found_allows_nothing_on_the_job_s_gateway(
    cli: GatewayCli,
) -> None:
    """A commit could have its own module installed with the token of the environment."""
    cli.config('accept-certificate = "yes"\naccept-license = "yes"\nrestart = "always"\n')
    found = {"IGN_DEPLOY_CONFIG": "", "IGN_DEPLOY_GATEWAY": cli.gateway.url}
    result = cli.call("install", NAME, "-e", "production", **found).must(2)
    assert "accept-certificate in ign-deploy.toml decides what may be installed" in result.stderr
    assert active(cli.gateway) == ""
    cli.call("install", NAME, "-e", "production", IGN_DEPLOY_GATEWAY=cli.gateway.url).must(0)
    assert active(cli.gateway) == "1.2.0"


def test_a_token_variable_that_is_not_set_is_named(cli: GatewayCli) -> None:
    cli.config(CONFIG)
    result = cli.call("install", NAME, "-e", "production").must(2)
    assert "PLANT_TOKEN" in result.stderr
    assert cli.gateway.requests == []


def test_without_consent_nothing_is_installed_and_it_says_what_to_accept(cli: GatewayCli) -> None:
    result = cli.call("install", NAME, "--gateway", cli.gateway.url).must(7)
    assert "--accept-certificate " in result.stderr
    assert "--accept-license " in result.stderr
    assert NAME not in cli.gateway.state.listed
    assert cli.gateway.asked("modules/install") == 0


def test_what_it_says_to_accept_is_enough(cli: GatewayCli) -> None:
    refused = cli.call("install", NAME, "--gateway", cli.gateway.url).must(7)
    words = refused.stderr.replace("`", " ").replace(",", " ").replace(".\n", " ").split()
    given = [
        part
        for option in ("--accept-certificate", "--accept-license")
        for part in (option, words[words.index(option) + 1].rstrip("."))
    ]
    url = cli.gateway.url
    cli.call("install", NAME, "--gateway", url, "--restart", "if-needed", *given).must(0)
    assert active(cli.gateway) == "1.2.0"


def test_a_dry_run_fails_where_the_run_would_stop_for_consent(cli: GatewayCli) -> None:
    there = ("--gateway", cli.gateway.url, "-e", "production", "--restart", "if-needed")
    refused = cli.call("install", f"{NAME}@1.0.0", *there, "--dry-run").must(7)
    assert "requires you to accept the certificate" in refused.stderr
    assert cli.gateway.asked("modules/upload") == 0
    cli.call("install", f"{NAME}@1.0.0", *there).must(7)
    cli.install(f"{NAME}@1.0.0", "--dry-run").must(0)
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.call("install", f"{NAME}@1.1.0", *there, "--dry-run").must(0)  # the same signer
    cli.call("install", f"{NAME}@1.1.0", *there).must(0)
    cli.call("rollback", *there, "--dry-run").must(0)


def test_without_permission_to_restart_it_succeeds_and_says_what_to_do(cli: GatewayCli) -> None:
    result = cli.call(
        "install", NAME, "--gateway", cli.gateway.url, "-e", "production", *ACCEPT
    ).must(0)
    assert "restart-pending: deployment" in result.stdout
    assert "must be restarted before the new version runs" in result.stdout
    assert cli.gateway.state.restarts == 0
    assert "1.2.0 (restart pending)" in cli.call("status", "-e", "production").must(0).stdout
    cli.install(NAME).must(0)
    assert deployed(cli) == {cli.gateway.url: "1.2.0"}
    assert active(cli.gateway) == "1.2.0"


REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "wrong fingerprint": (("--accept-certificate", "00" * 20), 2, "matches no certificate of"),
    "wrong licence": (("--accept-license", "1"), 2, "matches no licence of"),
    "credentials": (("--gateway", "https://ci:hunter22@127.0.0.1:1"), 2, "credentials"),
    "plain http": (("--gateway", "http://plant.example:8088"), 2, "--insecure-http"),
    "no scheme": (("--gateway", "plant.example"), 2, "is neither a URL"),
    "environment": (("-e", "../production"), 2, "is not a valid environment name"),
    "environment with a slash": (("-e", "a/b"), 2, "is not a valid environment name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_rejected_before_anything_is_changed(cli: GatewayCli, name: str) -> None:
    arguments, exit_code, text = REFUSED[name]
    usual = () if "--gateway" in arguments else ("--gateway", cli.gateway.url)
    result = cli.call("install", NAME, *usual, *arguments, "--json").must(exit_code)
    assert text in reported(result), reported(result)
    assert "hunter22" not in reported(result)
    assert result.document["error"]["hint"]
    assert cli.gateway.asked("modules/upload") == 0
    assert cli.call("history", "--json").must(0).document == {"deployments": []}


def test_a_page_instead_of_the_api_is_reported(cli: GatewayCli) -> None:
    cli.gateway.options.html = True
    result = cli.install(NAME)
    assert result.exit_code in (6, 7)
    assert "HTML" in reported(result) or "page" in reported(result)
    cli.gateway.options.html = False


def test_a_module_of_another_line_is_rejected(cli: GatewayCli) -> None:
    result = cli.install("com.example.old").must(7)
    assert "is built for Ignition 8.1" in result.stderr
    assert cli.gateway.asked("modules/upload") == 0


def test_a_downgrade_needs_permission(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.1.0").must(0)
    result = cli.install(f"{NAME}@1.0.0").must(7)
    assert "--allow-downgrade" in result.stderr
    cli.install(f"{NAME}@1.0.0", "--allow-downgrade").must(0)
    assert active(cli.gateway) == "1.0.0"


def test_a_wrong_token_and_a_missing_right_are_distinguished(cli: GatewayCli) -> None:
    wrong = cli.install(NAME, IGN_DEPLOY_GATEWAY_TOKEN="ci:wr0ng")
    assert wrong.exit_code != 0
    assert "401" in wrong.stderr
    assert "token" in wrong.stderr
    cli.gateway.options.can_write = False
    missing = cli.install(NAME)
    assert missing.exit_code != 0
    assert "403" in missing.stderr
    assert "write" in missing.stderr
    assert "wr0ng" not in reported(wrong)
    assert TOKEN not in reported(missing)
    assert NAME not in cli.gateway.state.listed


def test_a_dry_run_shows_the_plan_and_changes_nothing(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    before = cli.workspace.tree()
    result = cli.install(NAME, "--dry-run").must(0)
    assert "1.0.0 → 1.2.0" in result.stdout
    assert "dry-run: deployment" in result.stdout
    assert cli.workspace.tree() == before
    assert active(cli.gateway) == "1.0.0"
    assert cli.gateway.asked("modules/upload") == 1


def test_a_failing_upgrade_is_rolled_back_and_gives_one_json_document(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.gateway.options.faults[NAME] = ModuleFault(version="1.2.0")
    result = cli.install(NAME, "--json").must(7)
    document = result.document
    assert document["result"] == "rolled-back"
    assert document["error"]["exit_code"] == 7
    assert "the database is missing" in document["error"]["message"]
    assert document["deployment"]["gateways"][0]["modules"][0]["restored"] == "1.0.0"
    assert active(cli.gateway) == "1.0.0"
    assert deployed(cli) == {cli.gateway.url: "1.0.0"}


def test_a_named_gateway_is_called_so_and_a_failure_is_explained_once(cli: GatewayCli) -> None:
    cli.config('[[gateways]]\nname = "line-1"\nurl = "GATEWAY"\nenvironment = "production"\n')
    cli.call("install", f"{NAME}@1.0.0", "-e", "production", *WITH_RESTART).must(0)
    cli.gateway.options.faults[NAME] = ModuleFault(version="1.2.0")
    result = cli.call("install", NAME, "-e", "production", *WITH_RESTART).must(7)
    rows = result.stdout.splitlines()[1:]
    assert [" ".join(row.split()) for row in rows] == [f"line-1 {NAME} 1.0.0 → 1.2.0 rolled-back"]
    error, *rest = result.stderr.rpartition("error[deployment]: ")[2].splitlines()
    assert error == (
        f"the gateway failed: line-1: {NAME} 1.2.0 is faulted: the database is missing; back on "
        "1.0.0"
    )
    assert [line.strip()[:2] for line in rest] == ["to", "1.", "2.", "3."]
    assert rest[-1].endswith("see https://github.com/org/ign-deploy/blob/v1/docs/runbook-exit-7.md")
    host = cli.gateway.url.partition("://")[2]
    assert host not in result.stdout + result.stderr


def test_a_failed_rollback_asks_for_manual_repair_with_the_next_steps(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.gateway.options.faults[NAME] = ModuleFault()
    result = cli.install(NAME).must(8)
    assert f"check {cli.gateway.url}" in reported(result)
    assert f"it should have {NAME} 1.0.0" in reported(result)
    assert "runbook-exit-8" in reported(result)
    assert "(uncertain" in cli.call("status").must(0).stdout
    cli.gateway.options.faults.clear()
    cli.call("rollback", "-e", "production", "--gateway", cli.gateway.url, *WITH_RESTART).must(0)
    assert active(cli.gateway) == "1.0.0"
    assert deployed(cli) == {cli.gateway.url: "1.0.0"}


def rollback(cli: GatewayCli, *arguments: str) -> Result:
    there = ("--gateway", cli.gateway.url, "--restart", "if-needed")
    return cli.call("rollback", "-e", "production", *there, *arguments)


def test_the_previous_version_is_restored_by_command(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    result = rollback(cli, NAME).must(0)
    assert "1.1.0 → 1.0.0" in result.stdout
    assert active(cli.gateway) == "1.0.0"
    assert deployed(cli) == {cli.gateway.url: "1.0.0"}


def test_any_version_is_restored_by_its_number(cli: GatewayCli) -> None:
    cli.install(f"{NAME}@1.2.0").must(0)
    rollback(cli, "--to", "1.0.0").must(0)
    assert active(cli.gateway) == "1.0.0"
    rollback(cli, "--to", "9.9.9").must(6)
    assert active(cli.gateway) == "1.0.0"


def test_what_was_not_there_before_is_uninstalled_by_a_rollback_if_allowed(
    cli: GatewayCli,
) -> None:
    cli.install(NAME).must(0)
    refused = rollback(cli).must(7)
    assert "would uninstall com.example.pump" in refused.stderr
    assert "--allow-uninstall" in refused.stderr
    assert active(cli.gateway) == "1.2.0"
    result = rollback(cli, "--allow-uninstall").must(0)
    assert "1.2.0 → uninstalled" in reported(result)
    assert result.stdout.startswith("uninstalled: deployment ")
    assert "deployed" not in result.stdout
    assert active(cli.gateway) == ""
    assert deployed(cli) == {}


def test_a_rollback_of_nothing_is_reported(cli: GatewayCli) -> None:
    assert "nothing has been deployed to production" in rollback(cli).must(7).stderr
    cli.install(NAME).must(0)
    assert (
        "production has no 'com.example.other'" in rollback(cli, "com.example.other").must(7).stderr
    )
    assert "--environment" in cli.call("rollback").must(2).stderr


def test_an_uninstalling_rollback_whose_restart_never_ends_is_completed_by_the_same_command(
    cli: GatewayCli,
) -> None:
    cli.install(NAME).must(0)
    cli.gateway.options.never_back = "down"
    result = rollback(cli, "--timeout", "60", "--allow-uninstall").must(8)
    assert "run the same command again" in reported(result)
    cli.gateway.options.never_back = ""
    cli.gateway.state.come_back()
    rollback(cli, "--allow-uninstall").must(0)
    assert active(cli.gateway) == ""
    assert deployed(cli) == {}


class Killed(BaseException):
    """No code of ours catches it."""


def kill() -> None:
    raise Killed


def test_a_rollback_killed_at_any_request_restores_the_same_version_when_repeated(
    cli: GatewayCli,
) -> None:
    cli.install(f"{NAME}@1.0.0").must(0)
    cli.install(f"{NAME}@1.1.0").must(0)
    with count_requests() as steps:
        rollback(cli).must(0)
    for number in range(1, steps.count + 1):
        cli.install(f"{NAME}@1.1.0").must(0)
        with pytest.raises(Killed), HttpSteps(number, kill):
            rollback(cli)
        cli.gateway.state.come_back()
        rollback(cli).must(0)
        assert active(cli.gateway) == "1.0.0", number
        assert deployed(cli) == {cli.gateway.url: "1.0.0"}, number


def test_what_staging_runs_is_promoted_to_production(cli: GatewayCli) -> None:
    cli.call("install", f"{NAME}@1.1.0", "-e", "staging", "--track-only").must(0)
    cli.config(CONFIG)
    cli.env = {"PLANT_TOKEN": TOKEN}
    result = cli.call("promote", "-e", "staging", "--to", "production", "--json").must(0)
    assert active(cli.gateway) == "1.1.0"
    assert result.document["deployment"]["source"] == "staging"
    assert deployed(cli) == {cli.gateway.url: "1.1.0"}
    assert "itself" in cli.call("promote", "-e", "staging", "--to", "staging").must(2).stderr


def test_status_and_history_are_tables(cli: GatewayCli) -> None:
    assert "nothing was deployed yet" in cli.call("status").must(0).stdout
    cli.call("install", f"{NAME}@1.0.0", "-e", "test", "--track-only", LOGNAME="mary").must(0)
    cli.call("install", f"{NAME}@1.1.0", "-e", "test", "--track-only", LOGNAME="mary").must(0)
    status = cli.call("status").must(0).stdout.splitlines()
    assert status[0].split() == [
        "ENVIRONMENT", "GATEWAY", "MODULE", "VERSION", "SINCE", "BY", "BEFORE"
    ]  # fmt: skip
    row = status[1].split()
    assert [*row[:4], *row[7:]] == ["test", "-", NAME, "1.1.0", "mary", "1.0.0"]
    history = cli.call("history", "-e", "test").must(0).stdout.splitlines()
    assert [line.split()[1:3] for line in history[1::2]] == [["✓", "recorded"]] * 2
    assert f"{NAME} 1.0.0 → 1.1.0" in history[1]
    assert len(cli.call("history", "--limit", "1").must(0).stdout.splitlines()) == 3
    assert (
        "no module 'com.example.other'" in cli.call("history", "com.example.other").must(6).stderr
    )


def test_prune_leaves_what_runs_and_what_it_could_go_back_to(cli: GatewayCli) -> None:
    cli.call("install", f"{NAME}@1.0.0", "-e", "test", "--track-only").must(0)
    cli.call("install", f"{NAME}@1.1.0", "-e", "test", "--track-only").must(0)
    cli.call("prune", NAME, "--keep", "1", "--reason", "old").must(0)
    assert kept(cli) == {"1.0.0", "1.1.0", "1.2.0"}
    cli.call("install", f"{NAME}@1.2.0", "-e", "test", "--track-only").must(0)
    cli.call("prune", NAME, "--keep", "1", "--reason", "old").must(0)
    assert kept(cli) == {"1.1.0", "1.2.0"}


def kept(cli: GatewayCli) -> set[str]:
    modules = cli.call("list-modules", "--all-versions", "--json").must(0).document["modules"]
    return {each["version"] for each in modules if each["id"] == NAME}


def test_a_self_signed_gateway_needs_its_authority_or_its_pin(
    workspace: CliWorkspace, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    tls = make_tls(folder)
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch, tls=tls) as cli:
        refused = cli.install(NAME)
        assert refused.exit_code == 9
        assert "CA file" in refused.stderr
        assert cli.gateway.requests == []
        cli.install(NAME, "--gateway-ca", tls.ca).must(0)
        assert active(cli.gateway) == "1.2.0"
        assert "pin" in cli.install(NAME, "--gateway-pin", "00" * 32).stderr
        cli.install(NAME, "--gateway-pin", _pin(tls.ca)).must(0)


def _pin(path: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()


def test_in_real_time_as_a_process_of_its_own(cli: GatewayCli) -> None:
    """Unlike the other tests here, this one runs in real time, as for users."""
    cli.gateway.state.options.down_seconds = cli.gateway.state.options.starting_seconds = 0
    there = ("--gateway", cli.gateway.url, *WITH_RESTART, "--json")
    result = cli.workspace.run("install", NAME, *there, env=cli.env).must(0)
    assert json.loads(result.stdout)["result"] == "deployed"
    assert active(cli.gateway) == "1.2.0"
