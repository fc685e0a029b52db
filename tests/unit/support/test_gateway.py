"""The simulated gateway: it keeps to the API, notes what doesn't, and changes as tests tell it."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.gateway import Gateway, ModuleFault, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID, modl
from tests.support.runner import ROOT
from tests.support.serving import Fault

HEADERS = {"X-Ignition-API-Token": "ci:s3cret"}
# A connection that breaks before an answer, or inside one.
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running_gateway(clock=VirtualTime()) as running:
        yield running


def ask(
    gateway: Gateway, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
) -> requests.Response:
    url = gateway.url + (path if path.startswith("/") else f"/data/api/v1/{path}")
    sent = (headers or {}) if path == "/StatusPing" else {**HEADERS, **(headers or {})}
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, headers=sent, timeout=10, allow_redirects=False, **more)


def upload(gateway: Gateway, path: Path, *, name: str = "pump.modl") -> requests.Response:
    body = path.read_bytes()
    return ask(gateway, "POST", f"modules/upload?fileName={name}", headers=OCTETS, data=body)


def item(gateway: Gateway, listing: str = "healthy") -> dict[str, Any]:
    items: list[dict[str, Any]] = ask(gateway, "GET", f"modules/{listing}").json()["items"]
    return next((each for each in items if each["id"] == MODULE_ID), {})


def sleep(gateway: Gateway, seconds: float) -> None:
    assert gateway.clock is not None
    gateway.clock.sleep(seconds)


def test_a_module_goes_from_upload_to_active(gateway: Gateway, tmp_path: Path) -> None:
    assert upload(gateway, modl(tmp_path)).json() == {
        "moduleId": MODULE_ID,
        "licenseAccepted": False,
        "certAccepted": False,
        "containsEula": True,
        "containsCert": True,
    }
    for route in ("certificate", "eula"):
        assert ask(gateway, "GET", f"modules/{route}?moduleId={MODULE_ID}").status_code == 200
        accept = f"modules/{route}?moduleId={MODULE_ID}"
        assert ask(gateway, "POST", accept).json()["success"] is True
        assert ask(gateway, "POST", accept).status_code == 409
    done = ask(gateway, "POST", f"modules/install?moduleId={MODULE_ID}").json()
    assert (done["filename"], done["upgradeVersion"]) == ("pump.modl", None)
    assert item(gateway)["state"] == "INACTIVE"
    with pytest.raises(BROKEN):
        ask(gateway, "POST", "restart-tasks/restart?confirm=true")
    with pytest.raises(requests.ConnectionError):
        ask(gateway, "GET", "/StatusPing")
    sleep(gateway, gateway.options.down_seconds)
    assert ask(gateway, "GET", "/StatusPing").json() == {"state": "STARTING"}
    assert ask(gateway, "GET", "modules/healthy").status_code == 503
    sleep(gateway, gateway.options.starting_seconds)
    assert ask(gateway, "GET", "/StatusPing").json() == {"state": "RUNNING"}
    assert item(gateway)["state"] == "ACTIVE"
    assert gateway.violations == []


def test_an_upgrade_is_announced_and_made_by_the_restart(gateway: Gateway, tmp_path: Path) -> None:
    gateway.have(modl(tmp_path, "1.0.0"))
    upload(gateway, modl(tmp_path, "1.1.0.5"))
    ask(gateway, "POST", f"modules/install?moduleId={MODULE_ID}")
    assert item(gateway)["shouldUpgrade"] is False
    sleep(gateway, 1)
    assert (item(gateway)["shouldUpgrade"], item(gateway)["version"]) == (True, "1.0.0 (b0)")
    gateway.state.restart()
    gateway.state.come_back()
    assert (item(gateway)["shouldUpgrade"], item(gateway)["version"]) == (False, "1.1.0 (b5)")


def test_a_fault_belongs_to_its_version(gateway: Gateway, tmp_path: Path) -> None:
    gateway.options.faults[MODULE_ID] = ModuleFault("boom", version="1.1.0")
    for version, state in (("1.0.0", "ACTIVE"), ("1.1.0", "FAULTED")):
        gateway.have(modl(tmp_path, version))
        gateway.state.restart()
        gateway.state.come_back()
        assert item(gateway)["state"] == state
    assert item(gateway)["exception"]["message"] == "boom"


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "nothing", {}, 404),
        ("GET", "modules/install?moduleId=x", {}, 405),
        ("PUT", "modules/upload?fileName=x.modl", {}, 405),
        ("POST", "modules/install", {}, 400),
        ("POST", "modules/upload?fileName=x.modl", {"files": {"f": b"x"}}, 415),
        ("POST", "modules/upload?fileName=a/x.modl", {"data": b"x"}, 400),
        ("GET", "modules/healthy?page=2", {}, 200),
        ("GET", "gateway-info", {"headers": {"Authorization": "Bearer x"}}, 200),
        ("DELETE", "modules/uninstall?moduleId=x", {}, 400),
        ("DELETE", "modules/uninstall", {"json": ["x"]}, 400),
        ("DELETE", "modules/uninstall", {"json": {"uninstall": "x"}}, 400),
        ("PUT", "modules/toggle-state", {"json": {"enable": []}}, 400),
        ("POST", "modules/eula?moduleId=x", {"data": b"x"}, 404),
        ("POST", "/StatusPing", {}, 405),
    ],
)
def test_what_no_careful_client_sends_is_noted(
    gateway: Gateway, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    assert ask(gateway, method, path, **more).status_code == status
    assert len(gateway.violations) >= 1


def test_rejections_have_the_shape_of_the_api(gateway: Gateway) -> None:
    answer = ask(gateway, "POST", "restart-tasks/restart")
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "the restart is not confirmed",
        "url": "/data/api/v1/restart-tasks/restart",
        "status": "400",
    }
    assert ask(gateway, "GET", "gateway-info", headers={"X-Ignition-API-Token": "x"}).json()[
        "status"
    ] == ("401")
    gateway.options.can_write = False
    assert ask(gateway, "POST", "restart-tasks/restart?confirm=true").status_code == 403
    assert ask(gateway, "GET", "gateway-info").status_code == 200
    assert gateway.state.restarts == 0


def test_modules_are_switched_off_and_on_by_the_restart(gateway: Gateway, tmp_path: Path) -> None:
    gateway.have(modl(tmp_path))
    body = {"enable": ["com.example.none"], "disable": [MODULE_ID]}
    answer = ask(gateway, "PUT", "modules/toggle-state", json=body).json()
    assert answer == {
        "success": False,
        "failedUpdates": {"enable": ["com.example.none"], "disable": []},
    }
    gateway.state.restart()
    gateway.state.come_back()
    assert (item(gateway)["state"], item(gateway)["onStartup"]) == ("INACTIVE", "disabled")


def test_faults_hit_the_request_they_are_for(gateway: Gateway) -> None:
    gateway.faults.append(Fault("gateway-info$", "broken", skip=1))
    gateway.faults.append(Fault("modules/healthy$", status=418, body=b""))
    assert ask(gateway, "GET", "gateway-info").status_code == 200
    assert ask(gateway, "GET", "modules/healthy").status_code == 418
    with pytest.raises(requests.ConnectionError):
        ask(gateway, "GET", "gateway-info")
    gateway.faults.append(Fault("gateway-info$", "cut"))
    with pytest.raises(BROKEN):
        ask(gateway, "GET", "gateway-info")
    assert ask(gateway, "GET", "gateway-info").status_code == 200
    assert gateway.asked("gateway-info", method="GET") == 4


def test_8_1_has_pages_instead_of_an_api_and_a_servlet_if_wanted(tmp_path: Path) -> None:
    with running_gateway(Options(version="8.1.44"), clock=VirtualTime()) as gateway:
        answer = ask(gateway, "GET", "gateway-info")
        assert (answer.status_code, answer.text[:9]) == (404, "<!DOCTYPE")
        servlet = "/system/DeveloperModuleLoadingServlet"
        text = base64.b64encode(modl(tmp_path).read_bytes())
        # It requires no token; sending one is a mistake.
        assert ask(gateway, "POST", servlet, data=text).status_code == 404
        gateway.options.developer_upload = True
        assert ask(gateway, "POST", servlet, data=text).status_code == 200
        assert gateway.version_of(MODULE_ID) == "1.0.0"
        assert gateway.violations != []
        assert ask(gateway, "POST", servlet, data=b"no Base64!").status_code == 500


def test_in_real_time_a_restart_ends_by_itself() -> None:
    with running_gateway(Options(scale=0.0001)) as gateway:
        gateway.state.restart()
        while gateway.state.phase() != "running":
            pass
        assert ask(gateway, "GET", "gateway-info").status_code == 200


def test_it_runs_by_hand_and_says_where(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.gateway", "--port", "0", "--version", "8.3.4"]
    command += ["--token", "a:b", "--have", str(modl(tmp_path)), "--scale", "0.01"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, env=environment, text=True
    ) as child:
        try:
            assert child.stdout is not None
            url = child.stdout.readline().strip()
            answer = requests.get(
                f"{url}/data/api/v1/gateway-info",
                headers={"X-Ignition-API-Token": "a:b"},
                timeout=10,
            )
            assert answer.json()["ignitionVersion"].startswith("8.3.4 ")
        finally:
            child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 0
