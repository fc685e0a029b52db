"""Each known behaviour of gateways, and how the client handles it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import Consent
from ign_deploy.deployment.gateway.errors import (
    CommissioningError,
    ConsentMissing,
    GatewayRequestError,
    RestartTimeout,
)
from ign_deploy.deployment.gateway.model import InstalledModule
from ign_deploy.deployment.gateway.rest_api import ApiGateway
from ign_deploy.errors import ConfigurationError, DeploymentError
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from tests.support.gateway import Gateway, ModuleFault, Options, VirtualTime, running_gateway
from tests.support.gateway.client import MODULE_ID, client_of, modl, verified
from tests.support.gateway.modl import read_modl
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.serving import Fault

ALL = Consent(certificate=True, license=True)


def put(client: ApiGateway, path: Path, *, consent: Consent = ALL) -> None:
    client.install(client.upload(verified(path), file_name="pump.modl"), consent=consent)


def receive(gateway: Gateway, path: Path) -> str:
    """Have a module on the gateway that someone else uploaded; returns its id."""
    return gateway.state.upload(read_modl(path, file_name=path.name)).id


def passes(gateway: Gateway, seconds: float) -> None:
    assert gateway.clock is not None
    gateway.clock.sleep(seconds)


def restart(client: ApiGateway) -> None:
    client.restart()
    client.wait_until_running()


def of(client: ApiGateway, module_id: str = MODULE_ID) -> InstalledModule:
    module = client.module(module_id)
    assert module is not None
    return module


def test_a_first_install_is_inactive_until_the_restart(gateway: Gateway, tmp_path: Path) -> None:
    client = client_of(gateway)
    put(client, modl(tmp_path))
    assert of(client).state == "INACTIVE"
    assert not of(client).runs("1.0.0")
    assert client.pending_restart() == (f"Module Installed: {MODULE_ID}",)
    restart(client)
    assert of(client).runs("1.0.0")
    assert client.pending_restart() == ()


def test_an_upgrade_shows_soon_and_happens_at_the_restart(gateway: Gateway, tmp_path: Path) -> None:
    gateway.have(modl(tmp_path, "1.0.0"))
    client = client_of(gateway)
    put(client, modl(tmp_path, "1.1.0"))
    assert of(client).runs("1.0.0")
    assert not of(client).pending_upgrade
    passes(gateway, gateway.options.notice_seconds)
    assert of(client).pending_upgrade
    assert of(client).version.full == "1.0.0"
    restart(client)
    assert of(client).runs("1.1.0")
    assert not of(client).pending_upgrade


def test_a_module_that_faults_is_listed_as_healthy_and_does_not_run(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.options.faults[MODULE_ID] = ModuleFault("no database", version="1.1.0")
    gateway.have(modl(tmp_path, "1.0.0"))
    client = client_of(gateway)
    put(client, modl(tmp_path, "1.1.0"))
    restart(client)
    assert (of(client).state, of(client).fault_cause) == ("FAULTED", "no database")
    assert not of(client).runs("1.1.0")
    assert not of(client).is_quarantined


def test_the_cause_of_a_fault_is_taken_from_the_exception_if_it_is_only_there(
    gateway: Gateway,
) -> None:
    gateway.faults.append(
        Fault(
            "modules/healthy$",
            status=200,
            body=b'{"items":[{"id":"a","state":"FAULTED","faultCause":null,'
            b'"exception":{"message":"boom","stacktrace":"at x"}}],"metadata":{"total":1}}',
        )
    )
    assert client_of(gateway).modules()[0].fault_cause == "boom"


@pytest.mark.parametrize(
    ("version", "shown"), [("1.2.3.45", "1.2.3 (b45)"), ("1.2.3", "1.2.3 (b0)")]
)
def test_a_version_is_recognised_as_the_gateway_writes_it(
    gateway: Gateway, tmp_path: Path, version: str, shown: str
) -> None:
    gateway.have(modl(tmp_path, version))
    module = of(client_of(gateway))
    assert module.version.shown == shown
    assert module.version.full == version
    assert module.runs(version)
    assert not module.runs("1.2.4")


def test_an_unsigned_module_has_no_certificate_and_still_needs_it_accepted_once(
    tmp_path: Path,
) -> None:
    with running_gateway(Options(allow_unsigned=True), clock=VirtualTime()) as gateway:
        client = client_of(gateway)
        receive(gateway, modl(tmp_path, signed=False))
        assert client.certificate(MODULE_ID) is None
        assert client.accept_certificate(MODULE_ID)
        receive(gateway, modl(tmp_path, module_id="com.example.valve", signed=False))
        assert not client.accept_certificate("com.example.valve")
        assert gateway.violations == []


def test_an_unsigned_module_is_quarantined_if_developer_mode_is_off(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    assert client.facts().allows_unsigned is False
    gateway.state.install(receive(gateway, modl(tmp_path, signed=False)))
    assert of(client).is_quarantined
    assert "unsigned" in of(client).quarantine


def test_an_unsigned_module_can_send_the_gateway_back_to_its_commissioning(tmp_path: Path) -> None:
    with running_gateway(
        Options(allow_unsigned=True, recommissions_unsigned=True), clock=VirtualTime()
    ) as gateway:
        client = client_of(gateway)
        gateway.have(modl(tmp_path, signed=False))
        client.restart()
        with pytest.raises(CommissioningError, match="commissioning") as raised:
            client.wait_until_running()
        assert raised.value.exit_code == 7
        assert "finish it" in raised.value.hint
        assert gateway.violations == []


def test_a_module_whose_certificate_is_not_accepted_is_in_quarantine_until_it_is(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    gateway.state.install(gateway_upload(client, modl(tmp_path)))
    module = of(client)
    assert module.quarantine == "Certificate has not been accepted."
    assert (module.certificate_accepted, module.license_accepted) == (False, False)
    assert (module.state, module.runs("1.0.0")) == ("", False)
    client.accept_certificate(MODULE_ID)
    assert of(client).quarantine == "License has not been accepted."
    client.accept_license(MODULE_ID)
    assert of(client).state == "INACTIVE"


def gateway_upload(client: ApiGateway, path: Path) -> str:
    return client.upload(verified(path), file_name="pump.modl").module_id


def test_an_old_version_runs_beside_its_new_one_in_quarantine(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.have(modl(tmp_path, "1.0.0"))
    key, certificate = self_signed("Other Vendor")
    other = load_identity(
        IdentityMaterial(
            key=pem_key(key).decode(), certificates=pem_certificates(certificate).decode()
        )
    )
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path, "1.1.0", identity=other)), file_name="pump.modl")
    assert (upload.certificate_accepted, upload.license_accepted) == (False, True)
    gateway.state.install(upload.module_id)
    module = of(client)
    assert (module.state, module.version.full) == ("ACTIVE", "1.0.0")
    assert module.quarantined_version is not None
    assert module.quarantined_version.full == "1.1.0"
    assert not module.runs("1.0.0")


def test_a_changed_licence_has_to_be_accepted_again(gateway: Gateway, tmp_path: Path) -> None:
    gateway.have(modl(tmp_path, "1.0.0"))
    client = client_of(gateway)
    changed = modl(tmp_path, "1.1.0", license_text=b"<html>Pay.</html>")
    upload = client.upload(verified(changed), file_name="pump.modl")
    assert (upload.certificate_accepted, upload.license_accepted) == (True, False)
    with pytest.raises(ConsentMissing) as raised:
        client.install(upload, consent=Consent(certificate=True))
    assert raised.value.license_crc == upload.module.licence_crc
    assert raised.value.certificate_sha1 is None
    assert client.install(upload, consent=Consent(license=True)).accepted == ("license",)


def test_a_module_without_a_licence_has_none_to_accept(gateway: Gateway, tmp_path: Path) -> None:
    client = client_of(gateway)
    upload = client.upload(verified(modl(tmp_path, license_text=None)), file_name="pump.modl")
    assert upload.license_accepted
    assert upload.module.licence_crc is None
    assert client.install(upload, consent=Consent(certificate=True)).accepted == ("certificate",)


def test_trials_and_stock_modules_in_quarantine_are_normal(gateway: Gateway) -> None:
    facts = client_of(gateway).facts()
    assert facts.license_mode == "Trial"
    assert facts.obstacle == ""
    stock = of(client_of(gateway), "com.inductiveautomation.symbol-factory")
    assert stock.is_quarantined
    gateway.options.trial = False
    assert client_of(gateway).facts().license_mode == "Activated"


@pytest.mark.parametrize("cuts", [True, False])
def test_a_restart_counts_whether_or_not_its_response_is_lost(gateway: Gateway, cuts: bool) -> None:
    gateway.options.restart_cuts = cuts
    client = client_of(gateway)
    client.restart()
    assert gateway.state.restarts == 1
    startup = client.wait_until_running()
    assert startup.went_down
    assert startup.states[-1] == "RUNNING"


def test_a_gateway_that_has_not_gone_down_yet_is_not_believed_to_be_up_again(
    gateway: Gateway,
) -> None:
    gateway.options.going_down_seconds = 4
    client = client_of(gateway)
    client.restart()
    startup = client.wait_until_running()
    assert startup.states == ("RUNNING", "DOWN", "STARTING", "RUNNING")
    assert startup.went_down
    assert client.facts().version == "8.3.8"


def test_one_lost_response_is_not_a_restart(gateway: Gateway) -> None:
    gateway.options.going_down_seconds = 4
    client = client_of(gateway)
    client.restart()
    gateway.faults.append(Fault("/StatusPing$", "broken"))
    startup = client.wait_until_running()
    assert startup.states == ("DOWN", "RUNNING", "DOWN", "STARTING", "RUNNING")
    assert client.facts().version == "8.3.8"


def test_a_gateway_that_never_seemed_down_is_believed_after_the_floor(gateway: Gateway) -> None:
    startup = client_of(gateway).wait_until_running()
    assert not startup.went_down
    assert startup.seconds >= 5


def test_a_gateway_that_was_seen_starting_is_believed_before_the_floor(gateway: Gateway) -> None:
    gateway.options.down_seconds, gateway.options.starting_seconds = 1, 2
    client = client_of(gateway)
    client.restart()
    startup = client.wait_until_running()
    assert startup.states == ("DOWN", "STARTING", "RUNNING")
    assert startup.seconds < 4


def test_a_restart_whose_start_was_not_seen_is_not_believed_before_the_floor(
    gateway: Gateway,
) -> None:
    """A lost response, from a gateway that is about to go down, looks the same."""
    gateway.options.down_seconds, gateway.options.starting_seconds = 1, 0
    client = client_of(gateway)
    client.restart()
    startup = client.wait_until_running()
    assert startup.states == ("DOWN", "RUNNING")
    assert startup.seconds >= 5


def test_a_start_that_was_going_on_before_does_not_count_before_the_floor(
    gateway: Gateway,
) -> None:
    gateway.faults.append(Fault("/StatusPing$", status=200, body=b'{"state":"STARTING"}'))
    startup = client_of(gateway).wait_until_running()
    assert startup.states == ("STARTING", "RUNNING")
    assert startup.seconds >= 5


def test_nothing_pending_does_not_mean_that_it_has_restarted(
    gateway: Gateway, tmp_path: Path
) -> None:
    client = client_of(gateway)
    put(client, modl(tmp_path))
    gateway.state.tasks.clear()
    assert client.pending_restart() == ()
    assert of(client).state == "INACTIVE"


def test_running_and_commissioning_is_not_up(gateway: Gateway) -> None:
    gateway.options.commissioning = True
    with pytest.raises(CommissioningError):
        client_of(gateway).wait_until_running()


def test_a_commissioning_that_ends_is_waited_for(gateway: Gateway) -> None:
    gateway.faults.append(
        Fault(
            "/StatusPing$",
            status=200,
            body=b'{"state":"RUNNING","details":"COMMISSIONING"}',
            times=3,
        )
    )
    startup = client_of(gateway, floor=60).wait_until_running()
    assert startup.states == ("COMMISSIONING", "RUNNING")


@pytest.mark.parametrize("location", ["down", "starting"])
def test_a_restart_that_never_ends_is_reported_with_the_states_seen(
    gateway: Gateway, location: str
) -> None:
    gateway.options.never_back = location
    client = client_of(gateway, deadline=60)
    client.restart()
    with pytest.raises(RestartTimeout, match=r"is not running after 60 s") as raised:
        client.wait_until_running()
    assert location.upper() in raised.value.message
    assert "--timeout" in raised.value.hint


def test_a_slow_start_is_waited_for(gateway: Gateway) -> None:
    gateway.options.starting_seconds = 290
    client = client_of(gateway)
    client.restart()
    startup = client.wait_until_running()
    assert startup.seconds >= 295
    assert startup.states[-2:] == ("STARTING", "RUNNING")


@pytest.mark.parametrize("cap", [1, 2, 3, 1000])
def test_modules_are_read_page_by_page_to_their_total(gateway: Gateway, cap: int) -> None:
    gateway.options.page_cap = cap
    ids = [module.id for module in client_of(gateway).modules()]
    assert ids == sorted([*gateway.state.listed, *gateway.state.quarantined])
    assert gateway.asked("modules/healthy") == -(-3 // cap)


def test_a_listing_that_ends_before_its_total_is_not_taken_for_all(gateway: Gateway) -> None:
    gateway.faults.append(
        Fault("modules/healthy$", status=200, body=b'{"items":[],"metadata":{"total":7}}')
    )
    with pytest.raises(DeploymentError, match="reports 7 modules, but listed only 0"):
        client_of(gateway).modules()


def test_the_file_name_is_encoded_and_never_a_path(gateway: Gateway, tmp_path: Path) -> None:
    client = client_of(gateway)
    client.upload(verified(modl(tmp_path)), file_name="Pump Co+1.modl")
    assert gateway.state.files == {"Pump Co+1.modl": MODULE_ID}
    for name in ("../pump.modl", "a/pump.modl", "pump", ".modl", "a\\b.modl", "pump.modl\n", ""):
        with pytest.raises(ConfigurationError, match="file name"):
            client.upload(verified(modl(tmp_path)), file_name=name)


@pytest.mark.parametrize("requires", ["8.1.20", "8.4.0"])
def test_a_module_for_another_line_of_ignition_is_rejected(
    gateway: Gateway, tmp_path: Path, requires: str
) -> None:
    with pytest.raises(GatewayRequestError, match="requires Ignition") as raised:
        client_of(gateway).upload(
            verified(modl(tmp_path, requires=requires)), file_name="pump.modl"
        )
    assert raised.value.status == 400


def test_a_redundant_backup_is_an_obstacle_and_rejects_changes(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.options.redundancy_role = "Backup"
    client = client_of(gateway)
    assert "redundant backup" in client.facts().obstacle
    with pytest.raises(GatewayRequestError, match="redundant backup"):
        client.upload(verified(modl(tmp_path)), file_name="pump.modl")


def test_a_module_whose_dependency_is_missing_faults(gateway: Gateway, tmp_path: Path) -> None:
    client = client_of(gateway)
    put(client, modl(tmp_path, depends="com.example.base"))
    restart(client)
    assert of(client).fault_cause == "Missing dependency: com.example.base"


@pytest.mark.parametrize("version", ["8.3.4", "8.3.8"])
def test_both_forms_of_responses_and_removals_are_supported(tmp_path: Path, version: str) -> None:
    with running_gateway(Options(version=version), clock=VirtualTime()) as gateway:
        client = client_of(gateway)
        upload = client.upload(verified(modl(tmp_path)), file_name="pump.modl")
        message = client.install(upload, consent=ALL).message
        assert bool(message) == (version == "8.3.4")
        restart(client)
        assert of(client).runs("1.0.0")
        client.uninstall(MODULE_ID)
        assert client.pending_restart() == (f"Module Uninstalled: {MODULE_ID}",)
        assert of(client).state == "ACTIVE"
        restart(client)
        assert client.module(MODULE_ID) is None
        client.uninstall(MODULE_ID)
        assert gateway.violations == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"success":false,"message":"the disk is full"}',
        b'{"problem":{"message":"the disk is full"}}',
        b'{"success":true,"problem":{"message":"the disk is full"}}',
    ],
)
@pytest.mark.parametrize(
    "route", ["modules/upload", "modules/certificate", "modules/eula", "modules/install"]
)
def test_a_failure_inside_a_200_is_a_failure(
    gateway: Gateway, tmp_path: Path, body: bytes, route: str
) -> None:
    gateway.faults.append(Fault(f"POST .*{route}$", status=200, body=body))
    with pytest.raises(GatewayRequestError, match="the disk is full") as raised:
        put(client_of(gateway), modl(tmp_path))
    assert (raised.value.status, raised.value.code) == (200, "deployment")


def test_failed_restarts_and_removals_inside_a_200_are_reported(gateway: Gateway) -> None:
    gateway.options.refuse = {"restart-tasks/restart": "no", "modules/uninstall": "busy"}
    client = client_of(gateway)
    with pytest.raises(GatewayRequestError, match=r"the restart failed: .*: 'no'"):
        client.restart()
    with pytest.raises(GatewayRequestError, match="'busy'"):
        client.uninstall("com.inductiveautomation.vision")
    assert gateway.state.restarts == 0


def test_the_licence_state_of_a_module_is_read(gateway: Gateway, tmp_path: Path) -> None:
    gateway.have(modl(tmp_path))
    client = client_of(gateway)
    assert of(client).license_state == "FREE"
    assert of(client, "com.inductiveautomation.vision").license_state == "TRIAL"
    gateway.options.trial = False
    assert of(client, "com.inductiveautomation.vision").license_state == "ACTIVATED"
    assert of(client).self_signed is True
