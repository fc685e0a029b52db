"""`validate-env --conformance`: a throw-away gateway is tried, and left as it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ign_deploy.deployment.conformance import PROBE_ID
from ign_deploy.deployment.conformance.comparison import find_deviations
from ign_deploy.deployment.conformance.report import ConformanceReport
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from tests.support.conformance import EXPECTED, NAME, TriedSimulator, tried_simulator
from tests.support.gateway import ModuleFault, Options, options_of
from tests.support.gateway.client import modl
from tests.support.pages import ROOT
from tests.support.serving import Fault

LARGE = b" " * (10 << 20)


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[TriedSimulator]:
    with tried_simulator(tmp_path) as simulator:
        yield simulator


def changes(tried: TriedSimulator) -> list[str]:
    """Return the requests that change something."""
    return [each.path for each in tried.cli.gateway.requests if each.method != "GET"]


def test_a_gateway_like_the_simulator_conforms_and_is_as_before(
    tried: TriedSimulator, tmp_path: Path
) -> None:
    gateway = tried.cli.gateway
    gateway.have(modl(tmp_path))
    before = {key: each.modl.version for key, each in gateway.state.listed.items()}
    done = tried.run().must(0)
    assert done.stdout.startswith("✓ the gateway answers as expected\n")
    assert {key: each.modl.version for key, each in gateway.state.listed.items()} == before
    assert gateway.state.restarts == 5
    report = tried.report
    assert (report.result, report.deviations) == ("conforms", ())
    assert [step.name for step in report.steps] == [
        "identify", "deny", "install", "upgrade", "fault", "roll back", "uninstall",
    ]  # fmt: skip
    assert report.gateway.version == "8.3.8"
    others = [each for each in gateway.requests if each.query.get("moduleId", PROBE_ID) != PROBE_ID]
    assert others == []


def test_what_differs_is_listed_with_an_exit_code_of_its_own(tried: TriedSimulator) -> None:
    gateway = tried.cli.gateway
    gateway.options.restart_cuts = False
    gateway.options.starting_seconds = 90.0
    listed = tried.run().must(10).stdout
    assert tried.report.result == "differs"
    assert {"status", "timing"} <= {each.kind for each in tried.report.deviations}
    assert "POST /data/api/v1/restart-tasks/restart" in listed
    assert "200, expected closed" in listed


def have_probe(tried: TriedSimulator, folder: Path) -> None:
    tried.cli.gateway.have(modl(folder, module_id=PROBE_ID))


def have_pending(tried: TriedSimulator, _: Path) -> None:
    tried.cli.gateway.state.tasks.append("Module Uninstalled: com.example.other")


def be(**options: Any) -> Callable[[TriedSimulator, Path], None]:
    def change(tried: TriedSimulator, _: Path) -> None:
        for name, value in options.items():
            setattr(tried.cli.gateway.options, name, value)

    return change


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (be(name="plant-1"), "--confirm names 'bench-7'"),
        (be(name=""), "without a name"),
        (be(redundancy_role="Master"), "'Master' of a redundant pair"),
        (be(deployment_mode="Production"), "deployment mode is 'Production'"),
        (have_probe, "already has org.ign-deploy.conformance-probe"),
        (have_pending, "is waiting for a restart"),
    ],
)
def test_a_gateway_that_may_be_needed_is_refused_before_any_change(
    tried: TriedSimulator, tmp_path: Path, prepare: Any, reason: str
) -> None:
    prepare(tried, tmp_path)
    done = tried.run().must(2)
    assert reason in done.stderr
    assert changes(tried) == []
    assert (tried.report.result, tried.report.left) == ("refused", ())
    assert tried.report.problem


@pytest.mark.parametrize(
    ("prepare", "reason", "exit_code"),
    [
        (be(html=True), "a web page", 7),
        (be(version="8.1.44"), "before 8.3", 7),
        (be(hangs=True), "didn't respond in time", 9),
        (
            lambda tried, _: tried.cli.gateway.faults.append(
                Fault("gateway-info$", status=200, body=LARGE, times=9)
            ),
            "sent more than",
            7,
        ),
    ],
    ids=["html", "old", "hangs", "10 MB"],
)
def test_whatever_answers_instead_of_a_gateway_gives_a_report(
    tried: TriedSimulator, tmp_path: Path, prepare: Any, reason: str, exit_code: int
) -> None:
    prepare(tried, tmp_path)
    done = tried.run()
    assert reason in done.stderr
    assert done.exit_code == exit_code, done.stderr
    assert tried.report.result == "refused"
    assert tried.report.steps[0].exchanges[0].path == "/data/api/v1/gateway-info"
    assert changes(tried) == []


def test_after_a_failure_the_probe_is_removed(tried: TriedSimulator) -> None:
    gateway = tried.cli.gateway
    gateway.options.faults[PROBE_ID] = ModuleFault(version="1.1.0")
    done = tried.run().must(7)
    assert "1.1.0 is 'FAULTED' after the restart" in done.stderr
    assert PROBE_ID not in gateway.state.listed
    assert tried.report.result == "failed"
    assert tried.report.steps[-1].name == "clean up"
    assert PROBE_ID not in "".join(tried.report.left)


def test_a_token_that_may_only_read_leaves_nothing(tried: TriedSimulator) -> None:
    tried.cli.gateway.options.can_write = False
    done = tried.run().must(7)
    assert "the gateway's write permission" in done.stderr
    assert "left on" not in done.stderr
    assert (tried.report.result, tried.report.left) == ("failed", ())
    assert tried.cli.gateway.state.restarts == 0


def test_a_file_that_was_only_uploaded_is_named(tried: TriedSimulator) -> None:
    tried.cli.gateway.options.refuse["modules/install"] = "no room"
    done = tried.run().must(8)
    assert "no room" in done.stderr
    assert f"perhaps user-lib/modules/{PROBE_ID}.modl" in done.stderr


def test_what_cannot_be_removed_is_named(tried: TriedSimulator) -> None:
    tried.cli.gateway.options.never_back = "down"
    done = tried.run("--timeout", "30").must(8)
    assert f"left on {tried.cli.gateway.url}: {PROBE_ID}" in done.stderr
    assert tried.report.result == "failed"
    assert PROBE_ID in tried.report.left[0]
    assert tried.report.steps[-1].result == "failed"


@pytest.mark.parametrize(
    "fault",
    [{"kind": "broken"}, {"status": 200, "body": LARGE}, {"status": 200, "body": b"<html>"}],
    ids=["silent", "10 MB", "html"],
)
def test_a_gateway_that_stops_making_sense_midway_is_told_from_one_that_is_clean(
    tried: TriedSimulator, fault: dict[str, Any]
) -> None:
    gateway = tried.cli.gateway
    gateway.faults.append(Fault("modules/(healthy|quarantined)$", times=9999, skip=8, **fault))
    done = tried.run().must(8)
    assert f"{PROBE_ID} (user-lib/modules/{PROBE_ID}.modl)" in done.stderr
    assert tried.report.result == "failed"
    assert [step.result for step in tried.report.steps[-2:]] == ["failed", "failed"]


def test_a_clean_up_that_is_interrupted_says_what_is_left(
    tried: TriedSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        ApiGateway, "pending_restart", _second_call(ApiGateway.pending_restart, stop)
    )
    monkeypatch.setattr(ApiGateway, "uninstall", stop)
    done = tried.run().must(130)
    assert f"left on {tried.cli.gateway.url}: {PROBE_ID}" in done.stderr
    assert tried.report.result == "interrupted"
    assert PROBE_ID in tried.report.left[0]


def _second_call(first: Callable[..., Any], then: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the first thing once, and then the other."""
    calls = iter([first])

    def call(*arguments: Any) -> Any:
        return next(calls, then)(*arguments)

    return call


@pytest.mark.parametrize(
    ("prepare", "reason", "hint"),
    [
        (be(token="other:k3y"), "doesn't accept the API token (401)", "deleted, replaced"),
        (be(can_read=False), "lacks a security level", "gateway's read permission"),
        (be(requires_tls=True), "requires https", "give its https:// address"),
        (be(version="8.1.44"), "runs Ignition 8.1.44", "modules folder"),
    ],
)
def test_validate_env_explains_a_denied_request_by_what_is_missing(
    tried: TriedSimulator, tmp_path: Path, prepare: Any, reason: str, hint: str
) -> None:
    prepare(tried, tmp_path)
    done = tried.cli.call("validate-env", "--gateway", tried.cli.gateway.url).must(7)
    assert reason in done.stderr
    assert hint in done.stderr


def test_validate_env_without_a_token_says_how_to_make_one(tried: TriedSimulator) -> None:
    url = tried.cli.gateway.url
    done = tried.cli.call("validate-env", "--gateway", url, IGN_DEPLOY_GATEWAY_TOKEN="").must(7)
    assert "requires an API token, and none is set" in done.stderr
    assert "Platform > Security > API Keys" in done.stderr


@pytest.mark.parametrize(
    ("stop", "exit_code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)]
)
def test_an_interrupted_run_removes_the_probe(
    tried: TriedSimulator,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
    exit_code: int,
) -> None:
    uploaded = ApiGateway.upload
    calls = 0

    def upload(self: ApiGateway, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise stop
        return uploaded(self, *arguments, **options)

    monkeypatch.setattr(ApiGateway, "upload", upload)
    assert tried.run().exit_code == exit_code
    assert PROBE_ID not in tried.cli.gateway.state.listed
    assert tried.report.result == "interrupted"


def test_nothing_of_the_configuration_is_in_the_report(tried: TriedSimulator) -> None:
    gateway = tried.cli.gateway
    port = gateway.url.rpartition(":")[2]
    said = (
        f"no, s3cret of ci at 127.0.0.1:{port} ({NAME}.plant.example, {NAME}) for eve@plant.example"
    )
    gateway.faults.append(Fault("uninstall$", status=409, document={"message": said}, times=1))
    tried.run()
    text = tried.path.read_text("utf-8")
    for private in ("s3cret", "127.0.0.1", port, NAME, "plant.example", "eve@", '"ci', "Berlin"):
        assert private not in text, private
    assert "no, <private>" in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--conformance", "r.json"), "requires --gateway and --confirm"),
        (("--confirm", NAME), "requires --gateway and --confirm"),
        (("--conformance", "r.json", "--confirm", NAME), "tries one gateway, 0 were given"),
        (
            ("--conformance", "r.json", "--confirm", NAME, "--gateway", "."),
            "is not an 8.3 gateway with an API",
        ),
        (
            ("--conformance", "notes.txt", "--confirm", NAME, "--gateway", "GATEWAY"),
            "is not a conformance report",
        ),
        (
            ("--conformance", "r.json", "--confirm", NAME, "--gateway", "plant"),
            "is a gateway of the environment production",
        ),
    ],
)
def test_what_is_asked_has_to_be_complete_and_safe(
    tried: TriedSimulator, arguments: tuple[str, ...], reason: str
) -> None:
    cli = tried.cli
    cli.config('[[gateways]]\nname = "plant"\nurl = "GATEWAY"\nenvironment = "production"\n')
    notes = cli.workspace.folder / "notes.txt"
    notes.write_text("mine")
    given = [cli.gateway.url if each == "GATEWAY" else each for each in arguments]
    done = cli.call("validate-env", *given).must(2)
    assert reason in done.stderr
    assert cli.gateway.requests == []
    assert notes.read_text() == "mine"


def unlike(report: ConformanceReport) -> ConformanceReport:
    """Return the report as if the gateway spoke in other forms."""
    text = report.model_dump_json(by_alias=True)
    document = json.loads(text)
    for step in document["steps"]:
        for exchange in step["exchanges"]:
            body = exchange["body"]
            if exchange["status"] == 401:
                exchange |= {"type": "text/html", "body": "<page>"}
            elif exchange["path"].endswith("/healthy"):
                for item in body["items"]:
                    item.pop("vendorName", None)
                    item["signedBy"] = "<string>"
            elif exchange["path"].endswith("/eula"):
                exchange |= {"status": 204, "type": "", "body": "<empty>"}
    return ConformanceReport.model_validate(document)


def test_the_simulator_started_from_a_report_answers_as_in_it(tmp_path: Path) -> None:
    """A gateway of its own kind: recorded, started from the report, and recorded again."""
    own = Options(
        version="8.3.3", build="7", edition="edge", deployment_mode="test",
        restart_cuts=False, described=False, starting_seconds=40.0,
    )  # fmt: skip
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with tried_simulator(tmp_path / "first", own) as first:
        first.run().must(10)
    report = unlike(first.report)
    with tried_simulator(tmp_path / "second", options_of(report)) as second:
        second.run().must(10)
    assert second.report.gateway == report.gateway
    assert find_deviations(second.report, expected=report) == ()
    assert find_deviations(second.report, expected=first.report) != ()


def test_the_simulator_is_started_from_a_report_by_hand() -> None:
    report = str(EXPECTED / "8.3.4.json")
    command = [sys.executable, "-m", "tests.support.gateway", "--report", report]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        headers = {"X-Ignition-API-Token": "demo:s3cret"}
        info = requests.get(f"{url}/data/api/v1/gateway-info", headers=headers, timeout=20).json()
        child.send_signal(signal.SIGTERM)
    assert info["ignitionVersion"] == "8.3.4 (b2026071409)"
