"""Connections that break at every request, and lost responses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import Consent
from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import NetworkError
from ign_deploy.net.errors import TransientFailure, TransientResponse
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl, verified
from tests.support.reporting import Recorder
from tests.support.serving import Fault

ALL = Consent(certificate=True, license=True)
OLD, NEW = "1.0.0", "1.1.0"


def deploy(client: ApiGateway, path: Path) -> None:
    """Take all steps of a deployment, as often as the client shows is necessary."""
    client.facts()
    upload = client.upload(verified(path), file_name="pump.modl")
    client.certificate(upload.module_id)
    client.install(upload, consent=ALL)
    client.restart()
    if not client.wait_until_running().went_down:
        # The connection broke before the gateway knew of the restart.
        client.restart()
        client.wait_until_running()


def requests_of_a_deployment(path: Path) -> int:
    with running_gateway(clock=VirtualTime()) as gateway:
        deploy(client_of(gateway), path)
        return len(gateway.requests)


@pytest.mark.parametrize("when", ["broken", "lost", "cut"])
@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("version", ["8.3.4", "8.3.8"])
def test_a_connection_cut_at_any_request_changes_nothing_about_the_end(
    tmp_path: Path, when: str, upgrade: bool, version: str
) -> None:
    old, new = modl(tmp_path, OLD), modl(tmp_path, NEW)
    for number in range(1, requests_of_a_deployment(new) + 1):
        with running_gateway(Options(version=version), clock=VirtualTime()) as gateway:
            if upgrade:
                gateway.have(old)
            gateway.faults.append(Fault("", when, skip=number - 1))
            client = client_of(gateway)
            deploy(client, new)
            module = client.module(MODULE_ID)
            assert module is not None
            assert module.runs(NEW), number
            assert gateway.state.restarts == 1
            assert gateway.violations == []


@pytest.mark.parametrize("when", ["broken", "lost", "cut"])
@pytest.mark.parametrize("version", ["8.3.4", "8.3.8"])
def test_a_removal_whose_response_is_lost_is_made_once(
    tmp_path: Path, when: str, version: str
) -> None:
    with running_gateway(Options(version=version), clock=VirtualTime()) as gateway:
        gateway.have(modl(tmp_path))
        gateway.faults.append(Fault("DELETE", when))
        client = client_of(gateway)
        client.uninstall(MODULE_ID)
        assert client.pending_restart() == (f"Module Uninstalled: {MODULE_ID}",)
        assert gateway.violations == []


def test_an_installation_whose_response_is_lost_is_confirmed_by_the_listing(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.have(modl(tmp_path, OLD))
    # It takes a while until the listing shows the upgrade.
    gateway.options.notice_seconds = 8
    gateway.faults.append(Fault("modules/install$", "lost"))
    reported = Recorder()
    client = client_of(gateway, reporter=reported)
    client.install(client.upload(verified(modl(tmp_path, NEW)), file_name="pump.modl"), consent=ALL)
    assert gateway.asked("modules/install") == 1
    assert any("no response, but it was done" in info for info in reported.infos)


def test_an_installation_that_shows_too_late_is_requested_again_and_then_confirmed(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.have(modl(tmp_path, OLD))
    gateway.options.notice_seconds = 15.9
    gateway.faults.append(Fault("modules/install$", "lost"))
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path, NEW)), file_name="pump.modl")
    # The second request is refused: what was uploaded is used up.
    with pytest.raises(GatewayRequestError, match="has not been uploaded"):
        client.install(upload, consent=ALL)
    client.install(client.upload(verified(modl(tmp_path, NEW)), file_name="pump.modl"), consent=ALL)
    client.restart()
    client.wait_until_running()
    module = client.module(MODULE_ID)
    assert module is not None
    assert module.runs(NEW)


STEPS: dict[str, Callable[[ApiGateway, Path], object]] = {
    "gateway-info": lambda client, _: client.facts(),
    "modules/healthy": lambda client, _: client.modules(),
    "modules/quarantined": lambda client, _: client.modules(),
    "modules/upload": lambda client, path: client.upload(verified(path), file_name="pump.modl"),
    "modules/certificate": lambda client, _: client.certificate(MODULE_ID),
    "restart-tasks/pending": lambda client, _: client.pending_restart(),
}


@pytest.mark.parametrize("route", list(STEPS))
def test_a_repeated_failure_is_reported_in_the_end(
    gateway: Gateway, tmp_path: Path, route: str
) -> None:
    path = modl(tmp_path)
    gateway.have(path)
    reported = Recorder()
    client = client_of(gateway, reporter=reported)
    gateway.faults.append(Fault(f"{route}$", "broken", times=2))
    STEPS[route](client, path)
    assert len(reported.warnings) == 2
    gateway.faults.append(Fault(f"{route}$", "broken", times=99))
    with pytest.raises(TransientFailure, match="broke"):
        STEPS[route](client, path)
    gateway.faults.clear()
    gateway.faults.append(Fault(f"{route}$", status=500, body=b"", times=99))
    with pytest.raises(TransientResponse, match="returned 500"):
        STEPS[route](client, path)


def test_a_change_that_never_gets_through_is_reported_and_not_made(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path)), file_name="pump.modl")
    gateway.faults.append(Fault("modules/install$", "broken", times=99))
    with pytest.raises(NetworkError):
        client.install(upload, consent=ALL)
    assert client.module(MODULE_ID) is None
    assert gateway.asked("modules/install") == 4


def test_a_restart_behind_a_proxy_is_seen_by_the_gateway_going_down(
    gateway: Gateway,
) -> None:
    client = client_of(gateway)
    gateway.faults.append(Fault("restart-tasks/restart$", status=502, body=b""))
    with pytest.raises(TransientResponse, match="502"):
        client.restart()
    assert gateway.state.restarts == 0
    gateway.faults.append(Fault("restart-tasks/restart$", status=502, body=b""))
    gateway.state.restart()
    gateway.options.going_down_seconds = 0
    gateway.state.come_back()
    gateway.faults.append(Fault("/StatusPing$", status=200, body=b'{"state":"STARTING"}'))
    client.restart()


def test_a_restart_of_a_gateway_that_does_not_listen_fails() -> None:
    with running_gateway(clock=VirtualTime()) as gateway:
        client = client_of(gateway)
    with pytest.raises(TransientFailure, match="refused the connection"):
        client.restart()


def test_a_gateway_that_starts_is_waited_for_by_reads(gateway: Gateway) -> None:
    gateway.options.down_seconds = 0
    gateway.options.starting_seconds = 1
    gateway.state.restart()
    assert client_of(gateway).facts().version == "8.3.8"
