"""`status --live`: what the gateways themselves report, compared with the history."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from ign_deploy.cli.live import LiveView, live_text
from ign_deploy.pipeline.live import LiveGateway
from ign_deploy.pipeline.live_comparison import Attempt, LiveModule
from tests.support.cli import CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import published_repository
from tests.support.gateway import ModuleFault
from tests.support.gateway.client import MODULE_ID, client_of

CONSENT = ("--accept-certificate", "yes", "--accept-license", "yes", "--restart", "if-needed")

CONFIG = """
[[gateways]]
name = "plant"
url = "GATEWAY"
environment = "production"
"""
UNREACHABLE = """
[[gateways]]
name = "line"
url = "https://127.0.0.1:1"
environment = "staging"
"""
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        cli.config(CONFIG)
        cli.install(f"{MODULE_ID}@1.0.0").must(0)
        yield cli


def module_of(cli: GatewayCli, *arguments: str) -> dict[str, object]:
    """Return what is reported of the module."""
    (gateway,) = cli.call("status", "--live", "--json", *arguments).must(0).document["gateways"]
    (module,) = gateway["modules"]
    found: dict[str, object] = module
    return found


def test_a_gateway_that_is_as_recorded(cli: GatewayCli) -> None:
    done = cli.call("status", "--live", "--exit-code").must(0)
    assert done.stdout.startswith("✓ 1 of 1 gateways as recorded\n")
    module = module_of(cli)
    assert (module["version"], module["recorded"], module["state"]) == ("1.0.0", "1.0.0", "ACTIVE")
    assert (module["difference"], module["attempt"]) == ("", None)


def test_what_was_removed_by_hand_differs(cli: GatewayCli) -> None:
    target = client_of(cli.gateway)
    target.uninstall(MODULE_ID)
    target.restart()
    target.wait_until_running()
    done = cli.call("status", "--live", "--exit-code").must(10)
    assert done.stdout.startswith("✗ 1 of 1 differs from the history\n")
    assert "not installed; the history has 1.0.0" in done.stdout
    (step,) = cli.call("status", "--live", "--json").must(0).document["next"]
    assert f"plant differs from the history in {MODULE_ID}" in step["step"]
    again = [each for each in shlex.split(step["commands"][0])[1:] if each != "--json"]
    cli.call(*again, "--accept-certificate", "yes", "--restart", "if-needed").must(0)
    cli.call("status", "--live", "--exit-code").must(0)
    target.uninstall(MODULE_ID)
    target.restart()
    target.wait_until_running()
    # Without the option, the answer is an answer.
    assert cli.call("status", "--live", "--json").must(0).document["result"] == "different"


def test_a_module_that_faults_later_differs(cli: GatewayCli) -> None:
    cli.gateway.options.faults[MODULE_ID] = ModuleFault("the licence is missing")
    target = client_of(cli.gateway)
    target.restart()
    target.wait_until_running()
    assert module_of(cli)["difference"] == "faulted: the licence is missing"


def test_why_the_last_deployment_failed_is_said(cli: GatewayCli) -> None:
    cli.gateway.options.faults[MODULE_ID] = ModuleFault("no database", version="1.1.0")
    cli.install(f"{MODULE_ID}@1.1.0").must(7)
    module = module_of(cli)
    assert (module["version"], module["difference"]) == ("1.0.0", "")
    attempt = module["attempt"]
    assert isinstance(attempt, dict)
    assert (attempt["version"], attempt["outcome"]) == ("1.1.0", "rolled-back")
    assert attempt["reason"] == f"{MODULE_ID} 1.1.0 is faulted: no database; back on 1.0.0"
    assert "1.1.0 rolled-back" in cli.call("status", "--live").must(0).stdout


def test_after_a_failure_status_has_its_cause_and_the_command_that_leads_on(
    cli: GatewayCli,
) -> None:
    cli.gateway.options.faults[MODULE_ID] = ModuleFault("no database", version="1.1.0")
    cli.install(f"{MODULE_ID}@1.1.0").must(7)
    for live in ((), ("--live",)):
        (step,) = cli.call("status", *live, "--json").must(0).document["next"]
        assert "to production failed just now: " in step["step"]
        assert (
            f": {MODULE_ID} 1.1.0 is faulted: no database; back on 1.0.0. Fix the cause"
            in step["step"]
        )
        show, install = step["commands"]  # nothing to roll back
    assert "no database" in cli.call(*shlex.split(show)[1:]).must(0).stdout
    cli.gateway.options.faults.clear()
    cli.call(*shlex.split(install)[1:], *CONSENT).must(0)
    assert cli.call("status", "--json").must(0).document["next"] == []


def test_a_gateway_of_the_config_file_has_its_name_without_being_asked(cli: GatewayCli) -> None:
    shown = cli.call("status").must(0).stdout
    assert " plant " in shown
    assert cli.gateway.url not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-e", "prod"), "the environments with gateways are production"),
        (("--gateway", "plnt"), "give one of these names: plant."),
    ],
)
def test_a_misspelt_name_leads_to_those_of_the_config_file(
    cli: GatewayCli, arguments: tuple[str, str], said: str
) -> None:
    shown = cli.call("status", "--live", *arguments).must(2).stderr
    assert said in shown
    assert "track-only" not in shown
    assert "https://plnt" not in shown


def test_what_waits_for_a_restart_is_no_difference(cli: GatewayCli) -> None:
    options = ("--gateway", cli.gateway.url, "-e", "production", "--accept-certificate", "yes")
    cli.call("install", f"{MODULE_ID}@1.1.0", *options, "--accept-license", "yes").must(0)
    assert module_of(cli)["difference"] == ""
    assert "restart pending" in cli.call("status", "--live", "--exit-code").must(0).stdout


def test_a_pending_restart_hides_no_other_difference(cli: GatewayCli) -> None:
    """What waits was installed by hand, over a version that isn't the recorded one."""
    target = client_of(cli.gateway)
    cli.gateway.state.tasks.append(f"Module Upgraded: {MODULE_ID}")
    assert module_of(cli)["difference"] == ""
    target.restart()
    target.wait_until_running()
    options = ("--gateway", cli.gateway.url, "-e", "production", "--accept-certificate", "yes")
    cli.call("install", f"{MODULE_ID}@1.1.0", *options, "--accept-license", "yes").must(0)
    cli.gateway.state.listed[MODULE_ID].fault = "no database"
    assert module_of(cli)["difference"] == "faulted: no database"
    done = cli.call("status", "--live", "--exit-code").must(10)
    assert "faulted: no database; restart pending" in done.stdout


def test_a_folder_is_compared_though_it_reports_no_states(cli: GatewayCli, tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    there = ("--gateway", str(folder), "-e", "bench")
    cli.call("install", f"{MODULE_ID}@1.0.0", *there, "--accept-certificate", "yes").must(0)
    assert "✓ 1 of 1" in cli.call("status", "--live", "--exit-code", *there).must(0).stdout
    (folder / f"{MODULE_ID}.modl").unlink()
    cli.call("status", "--live", "--exit-code", *there).must(10)


def test_the_metrics_have_every_gateway_and_module(cli: GatewayCli, tmp_path: Path) -> None:
    cli.config(CONFIG + UNREACHABLE)
    file = tmp_path / "metrics.prom"
    cli.call("status", "--live", "--metrics-file", str(file)).must(0)
    parse: Any = parse_openmetrics
    found = {each.name: each.samples for each in parse(file.read_text())}
    reachable = {
        (each.labels["gateway"], each.labels["environment"]): each.value
        for each in found["ign_deploy_gateway_reachable"]
    }
    assert reachable == {("plant", "production"): 1.0, ("line", "staging"): 0.0}
    (module,) = found["ign_deploy_module_as_recorded"]
    assert (module.labels["event"], module.labels["module"]) == ("status", MODULE_ID)
    assert (module.labels["version"], module.labels["state"], module.value) == (
        "1.0.0",
        "ACTIVE",
        1,
    )
    outcomes = {each.labels["outcome"]: each.value for each in found["ign_deploy_gateways"]}
    assert outcomes == {"as-recorded": 1.0, "unreachable": 1.0}
    (success,) = found["ign_deploy_last_run_success"]
    assert (success.labels["result"], success.value) == ("different", 0.0)


def test_one_that_can_t_be_reached_hides_no_other(cli: GatewayCli) -> None:
    cli.config(CONFIG + UNREACHABLE)
    done = cli.call("status", "--live", "--exit-code").must(10)
    assert done.stdout.startswith("✗ 1 of 2 can't be asked\n")
    first, second = done.stdout.splitlines()[2:4]
    assert "line" in first  # what needs a look comes first
    assert "plant" in second
    assert cli.call("status", "--live", "-e", "production", "--exit-code").must(0)


def test_one_that_hangs_hides_no_other(cli: GatewayCli) -> None:
    with cli.another_gateway() as other:
        other.options.hangs = True
        cli.config(CONFIG + UNREACHABLE.replace("https://127.0.0.1:1", other.url))
        cli.gateway.options.hangs = False
        done = cli.call("status", "--live", "--json").must(0)
        problems = {each["name"]: bool(each["problem"]) for each in done.document["gateways"]}
        assert problems == {"plant": False, "line": True}


def test_a_missing_token_hides_no_other(cli: GatewayCli) -> None:
    lacking = UNREACHABLE + 'token-variable = "LINE_TOKEN"\n'
    cli.config(CONFIG + lacking)
    done = cli.call("status", "--live", "--json").must(0)
    problems = {each["name"]: each["problem"] for each in done.document["gateways"]}
    assert problems["plant"] == ""
    assert "the token of the gateway 'line' is missing" in problems["line"]
    # If none is left, it is an error of its own.
    assert "LINE_TOKEN" in cli.call("status", "--live", "-e", "staging").must(2).stderr


def test_without_an_environment_it_is_the_default_s_history(cli: GatewayCli) -> None:
    cli.config("")
    gateway = ("--gateway", cli.gateway.url)
    cli.call("install", f"{MODULE_ID}@1.0.0", *gateway, "--accept-certificate", "yes").must(0)
    module = module_of(cli, *gateway)
    assert (module["version"], module["recorded"]) == ("1.0.0", "1.0.0")


def test_the_environment_given_is_that_of_the_history(cli: GatewayCli) -> None:
    options = ("--gateway", "plant", "-e", "pilot")
    assert module_of(cli, *options)["recorded"] == ""
    cli.call("install", f"{MODULE_ID}@1.0.0", *options, "--accept-certificate", "yes").must(0)
    assert module_of(cli, *options)["recorded"] == "1.0.0"


def test_what_waits_is_the_module_of_that_id(cli: GatewayCli) -> None:
    cli.gateway.options.faults[MODULE_ID] = ModuleFault("no database")
    target = client_of(cli.gateway)
    target.restart()
    target.wait_until_running()
    cli.gateway.state.tasks.append(f"install {MODULE_ID}.extra 1.0")
    assert module_of(cli)["difference"] == "faulted: no database"
    assert "restart pending" not in cli.call("status", "--live").must(0).stdout


def test_a_module_of_another_s_is_listed_but_no_difference(cli: GatewayCli) -> None:
    cli.call("history", "forget", "production", "--confirm", "production").must(0)
    assert module_of(cli)["recorded"] == ""
    assert "not in the history" in cli.call("status", "--live", "--exit-code").must(0).stdout


@pytest.mark.parametrize(
    "arguments",
    [("--exit-code",), ("--gateway", "https://x.example"), ("--metrics-file", "status.prom")],
)
def test_options_of_the_live_report_need_it(cli: GatewayCli, arguments: tuple[str, ...]) -> None:
    assert "without --live" in cli.call("status", *arguments).must(2).stderr


def test_without_any_gateway_there_is_nothing_to_ask(cli: GatewayCli) -> None:
    cli.config("")
    assert "no gateway given" in cli.call("status", "--live").must(2).stderr


def test_an_address_with_credentials_is_not_repeated(cli: GatewayCli) -> None:
    cli.config(CONFIG + UNREACHABLE.replace("https://", "https://user:secret-of-line@"))
    done = cli.call("status", "--live", "--json").must(0)
    assert "secret-of-line" not in done.stdout + done.stderr
    refused = {each["name"]: each["gateway"] for each in done.document["gateways"]}
    assert refused["line"] == ""


GATEWAY = LiveGateway(
    "production",
    "line-1",
    "https://line-1.example:8043",
    ignition="8.3.8",
    modules=(LiveModule("com.example.pump", "1.0.0", "ACTIVE", recorded="1.0.0"),),
)


def test_on_a_narrow_terminal_each_gateway_is_a_block() -> None:
    broken = replace(GATEWAY, title="line-2", problem="cannot reach line-2", modules=())
    text = live_text([GATEWAY] * 3 + [broken] * 2, view=LiveView(NOW, 90), width=40)
    assert text.splitlines()[:3] == [
        "✗ 2 of 5 can't be asked",
        "✗ line-2",
        "    cannot reach line-2",
    ]
    assert all(len(line) <= 40 for line in text.splitlines())
    assert "MODULE" in live_text([GATEWAY], view=LiveView(NOW, 90), width=0)


def test_a_block_names_the_environment_if_there_are_several() -> None:
    other = replace(GATEWAY, environment="staging", problem="cannot reach line-1", modules=())
    text = live_text([GATEWAY, other], view=LiveView(NOW, 90), width=40)
    assert "✗ line-1 (staging)\n" in text
    assert "(production)" in text
    assert "(" not in live_text([GATEWAY] * 2, view=LiveView(NOW, 90), width=40)


def test_two_hundred_gateways_fit_on_forty_columns() -> None:
    hanging = replace(
        GATEWAY, modules=(), problem="no response within 30 s from https://line.example:8043/data"
    )
    developer = replace(GATEWAY, title="bench", modules=(), lists_modules=False)
    fleet = [replace(GATEWAY, title=f"line-{number:03}") for number in range(194)]
    fleet += [replace(hanging, title=f"line-{number:03}") for number in range(194, 199)]
    lines = live_text([*fleet, developer], view=LiveView(NOW, 90), width=40).splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert lines[:2] == ["✗ 5 of 200 can't be asked, 1 doesn't", "  list its modules"]
    assert lines[2:5] == [
        "✗ line-194",
        "    no response within 30 s from",
        "    https://line.example:8043/data",
    ]
    assert lines[-1] == "✓ line-193  com.example.pump 1.0.0"
    # Those that are as recorded take one line each.
    assert len(lines) < 200 + 5 * 3


def test_no_text_of_a_gateway_reaches_the_terminal_as_it_is() -> None:
    evil = "\x1b[2K\n::error::evil\u202e"
    module = LiveModule(
        evil, evil, evil, evil, None, evil, evil, Attempt(evil, "failed", evil, evil)
    )
    gateway = replace(GATEWAY, title=evil, problem=evil, modules=(module,))
    for width in (0, 1):
        text = live_text([gateway], view=LiveView(NOW, 90), width=width)
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not any(line.startswith("::") for line in text.splitlines())


@pytest.mark.parametrize(
    ("at", "age"),
    [
        ("2026-01-02T11:59:30Z", "just now"),
        ("2026-01-02T11:48:00Z", "12 min ago"),
        ("2026-01-02T09:00:00Z", "3 h ago"),
        ("2025-12-31T12:00:00Z", "2 d ago"),
        ("2026-01-02T11:00:00", "at an unknown time"),
    ],
)
def test_the_age_of_the_last_attempt_is_relative(at: str, age: str) -> None:
    module = replace(GATEWAY.modules[0], attempt=Attempt("1.1.0", "rolled-back", at, "no database"))
    text = live_text([replace(GATEWAY, modules=(module,))], view=LiveView(NOW, 90), width=0)
    assert f"1.1.0 rolled-back {age}: no database" in text
