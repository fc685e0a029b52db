from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from ign_deploy.deployment.gateway import Timing, Upload, open_target
from ign_deploy.deployment.gateway.developer import DeveloperGateway
from ign_deploy.errors import DeploymentError
from ign_deploy.net.retry import RetryPolicy
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID, modl, verified
from tests.support.serving import Fault


@pytest.fixture
def old() -> Iterator[Gateway]:
    """A developer gateway of 8.1."""
    options = Options(version="8.1.44", developer_upload=True)
    with running_gateway(options, clock=VirtualTime()) as gateway:
        yield gateway
        assert gateway.violations == []


def open_developer(gateway: Gateway) -> DeveloperGateway:
    clock = gateway.clock
    assert clock is not None
    target = open_target(
        f"developer+{gateway.url}",
        timing=Timing(clock=clock, sleep=clock.sleep),
        retry=RetryPolicy(clock=clock, sleep=clock.sleep),
    )
    assert isinstance(target, DeveloperGateway)
    return target


def upload(target: DeveloperGateway, path: Path) -> Upload:
    return target.upload(verified(path), file_name="pump.modl")


@pytest.mark.parametrize("cut", [None, "broken", "lost", "cut"])
def test_a_module_is_sent_as_base64_and_runs_at_once(
    old: Gateway, tmp_path: Path, cut: str | None
) -> None:
    target = open_developer(old)
    prepared = upload(target, modl(tmp_path, requires="8.1.0"))
    assert old.requests == []
    if cut is not None:
        old.faults.append(Fault("", cut))
    target.install(prepared)
    assert old.version_of(MODULE_ID) == "1.0.0"
    target.install(upload(target, modl(tmp_path, "1.1.0", requires="8.1.0")))
    assert old.version_of(MODULE_ID) == "1.1.0"
    assert old.state.listed[MODULE_ID].state == "ACTIVE"


def test_a_large_module_is_sent_whole(old: Gateway, tmp_path: Path) -> None:
    target = open_developer(old)
    for size in (0, 1, 2, 3, 400_001):
        path = modl(tmp_path / str(size), requires="8.1.0", license_text=Random(1).randbytes(size))
        prepared = upload(target, path)
        target.install(prepared)
        assert old.state.listed[MODULE_ID].modl.eula_crc == prepared.module.licence_crc


def test_missing_capabilities_are_reported_in_advance(old: Gateway) -> None:
    target = open_developer(old)
    capabilities = target.facts().capabilities
    assert capabilities.install
    assert not capabilities.lists_modules
    assert not capabilities.uninstall
    assert not capabilities.restart
    assert target.facts().obstacle == ""
    assert target.modules() == ()
    with pytest.raises(DeploymentError, match="can only add and replace"):
        target.uninstall(MODULE_ID)


@pytest.mark.parametrize("version", ["8.1.44", "8.3.8"])
def test_a_gateway_without_the_servlet_says_how_to_get_it(tmp_path: Path, version: str) -> None:
    options = Options(version=version)
    with running_gateway(options, clock=VirtualTime()) as gateway:
        target = open_developer(gateway)
        with pytest.raises(DeploymentError, match="no developer upload servlet") as raised:
            target.install(upload(target, modl(tmp_path, requires=version)))
        assert "-Dia.developer.moduleupload=true" in raised.value.hint


def test_a_gateway_that_is_not_up_is_an_obstacle_and_waited_for(old: Gateway) -> None:
    target = open_developer(old)
    old.state.restart()
    assert "DOWN" in target.facts().obstacle
    assert target.wait_until_running().went_down
    assert target.facts().obstacle == ""


def test_a_file_that_changed_is_refused_before_anything_is_installed(
    old: Gateway, tmp_path: Path
) -> None:
    """So the deployment ends with nothing changed, not with a gateway that nobody knows."""
    target, module = open_developer(old), verified(modl(tmp_path, requires="8.1.0"))
    module.path.write_bytes(modl(tmp_path / "other", "6.6.6", requires="8.1.0").read_bytes())
    with pytest.raises(DeploymentError, match="changed while it was being sent"):
        target.upload(module, file_name="pump.modl")
    assert old.requests == []
