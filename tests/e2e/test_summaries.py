"""The pages on GitHub of commands that plan, look and deploy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import Summary, render_summary
from ign_deploy.cli.live import LiveView, live_summary
from ign_deploy.cli.page import gateway_table, pending_steps
from ign_deploy.deployment.records import GatewayRecord, ModuleOnGateway, Outcome
from ign_deploy.pipeline.live import LiveGateway
from ign_deploy.pipeline.live_comparison import LiveModule
from tests.support.cli import CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import published_repository
from tests.support.gateway import ModuleFault
from tests.support.gateway.client import MODULE_ID
from tests.support.modules import bare_folder

EVIL = "a|b\n\n# `x` <img src=x> @user \u202e ::error::y " + "z" * 100_000
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
ON_GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0", "1.1.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    with open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli:
        cli.env |= ON_GITHUB
        yield cli


def taken(workspace: CliWorkspace) -> str:
    """Return the page, and remove it: the next command writes its own."""
    path = workspace.folder / "summary"
    page = path.read_text("utf-8")
    path.unlink()
    return page


def test_plan_writes_what_needs_a_release_and_why(workspace: CliWorkspace) -> None:
    bare_folder(workspace.folder / "modules" / "a")
    workspace.call("plan", "modules/a", env=ON_GITHUB).must(0)
    page = taken(workspace)
    assert page.startswith("## ✅ 1 of 1 paths needs a release\n\n### Paths\n")
    assert "| yes | modules/a | " in page
    assert "is published |" in page


def test_install_and_status_write_gateways_and_versions(cli: GatewayCli) -> None:
    cli.install(f"{MODULE_ID}@1.0.0").must(0)
    page = taken(cli.workspace)
    assert page.startswith(f"## ✅ Deployed {MODULE_ID} 1.0.0 → production\n\n### Gateways\n")
    assert "| - → 1.0.0 | deployed |" in page
    cli.install(f"{MODULE_ID}@1.0.0").must(0)
    assert taken(cli.workspace).startswith("## ✅ Unchanged: ")
    cli.call("status").must(0)
    page = taken(cli.workspace)
    assert page.startswith("## ✅ 1 module on 1 gateway\n\n### Modules\n")
    assert f"| {MODULE_ID} | 1.0.0 |" in page
    cli.call("status", "--live", "--gateway", cli.gateway.url, "-e", "production").must(0)
    assert taken(cli.workspace).startswith("## ✅ 1 of 1 gateways as recorded\n\n### Gateways\n")


def test_a_failed_installation_begins_with_its_cause(cli: GatewayCli) -> None:
    cli.install(f"{MODULE_ID}@1.0.0").must(0)
    taken(cli.workspace)
    cli.gateway.options.faults[MODULE_ID] = ModuleFault("no database", version="1.1.0")
    cli.install(f"{MODULE_ID}@1.1.0").must(7)
    page = taken(cli.workspace)
    assert page.startswith(
        f"## ❌ Not deployed, and rolled back: {MODULE_ID} 1.1.0 → production\n\n**Cause:** "
    )
    assert page.index("### Next") < page.index("### Gateways")
    assert "| 1.0.0 → 1.1.0 | rolled-back |" in page
    assert page.count("no database") == 1
    assert page.count("## ❌") == 1


def record(name: str, outcome: Outcome, message: str = "") -> GatewayRecord:
    module = ModuleOnGateway(id=MODULE_ID, version="1.1.0", previous="1.0.0")
    return GatewayRecord(
        gateway=f"https://{name}", name=name, outcome=outcome, message=message, modules=(module,)
    )


def test_gateways_that_need_someone_come_first() -> None:
    found = gateway_table(
        [
            record("a", Outcome.DEPLOYED),
            record("b", Outcome.ROLLED_BACK, "b: it faulted"),
            record("c", Outcome.UNTOUCHED),
            record("d", Outcome.ROLLBACK_FAILED, "it is down"),
        ]
    )
    assert [row[:2] for row in found.rows] == [
        (name, "1.0.0 → 1.1.0") for name in ("d", "b", "a", "c")
    ]
    assert [row[3] for row in found.rows] == ["it is down", "it faulted", "", ""]


def test_there_is_one_step_for_all_gateways_that_need_a_restart() -> None:
    pending = [
        record(name, Outcome.RESTART_PENDING).model_copy(update={"steps": (f"restart {name}.",)})
        for name in "abc"
    ]
    assert pending_steps(pending[:1]) == ["restart a."]
    first, second = pending_steps([*pending, record("d", Outcome.DEPLOYED)])
    assert first == "restart a, b, c when the plant allows."
    assert "run the same command again" in second


def test_hostile_names_change_no_page() -> None:
    module = LiveModule(EVIL, EVIL, EVIL, EVIL, None, EVIL, EVIL)
    gateway = LiveGateway(EVIL, EVIL, EVIL, problem=EVIL)
    live = live_summary(
        [gateway, replace(gateway, problem="", modules=(module,))], view=LiveView(NOW, 90)
    )
    pages = [
        live,
        Summary(
            headline=EVIL,
            succeeded=False,
            tables=[gateway_table([record(EVIL[:4000], Outcome.FAILED, EVIL)])],
            next_steps=pending_steps([record(EVIL[:4000], Outcome.RESTART_PENDING, EVIL)] * 2),
        ),
    ]
    for page in (render_summary(each, masker=Masker()) for each in pages):
        assert len(page) < 50_000
        assert not re.search("<img|@user|\u202e|`|^# ", page, re.MULTILINE)
        for table in re.findall(r"(?:^\|.*\|$\n?)+", page, re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1
