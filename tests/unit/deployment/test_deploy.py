"""Deploying to gateways: install, verify, and roll back if that fails."""

from __future__ import annotations

import pytest

from ign_deploy.deployment.gateway.errors import ConsentMissing
from ign_deploy.deployment.health import CommandCheck, UrlCheck
from ign_deploy.deployment.options import AcceptOptions, Restart
from ign_deploy.deployment.records import GatewayRecord, Outcome
from ign_deploy.deployment.rollout import overall_outcome, require_success
from ign_deploy.errors import CombinedError, ConfigurationError, DeploymentError, RollbackError
from ign_deploy.net.response import Response
from tests.support.deployment_env import (
    PublishedModules,
    deploy,
    install_first,
    running,
    uploads,
)
from tests.support.gateway import Gateway, ModuleFault
from tests.support.gateway.client import MODULE_ID, client_of
from tests.support.reporting import Recorder


def outcomes(records: tuple[GatewayRecord, ...]) -> list[Outcome]:
    return [record.outcome for record in records]


def test_a_module_is_installed_restarted_and_verified(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    (record,) = deploy(published, [plant], [published.add("1.1.0")])
    assert record.outcome is Outcome.DEPLOYED
    (module,) = record.modules
    assert (module.version, module.previous, module.outcome) == (
        "1.1.0",
        "1.0.0",
        Outcome.DEPLOYED,
    )
    assert module.license_state
    assert running(plant) == "1.1.0"


def test_without_permission_to_restart_it_is_pending_and_says_what_to_do(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    (record,) = deploy(published, [plant], [published.add("1.1.0")], restart=Restart.NEVER)
    assert record.outcome is Outcome.RESTART_PENDING
    assert "must be restarted" in record.message
    assert running(plant) == "1.0.0"
    require_success([record])
    (record,) = deploy(published, [plant], [published.modules[MODULE_ID, "1.1.0"]])
    assert record.outcome is Outcome.DEPLOYED
    assert running(plant) == "1.1.0"


def test_what_runs_already_is_kept(plant: Gateway, published: PublishedModules) -> None:
    install_first(published, plant)
    before = plant.state.restarts
    (record,) = deploy(published, [plant], [published.modules[MODULE_ID, "1.0.0"]])
    assert record.outcome is Outcome.UNCHANGED
    assert plant.state.restarts == before


def test_a_module_that_faults_is_rolled_back(plant: Gateway, published: PublishedModules) -> None:
    install_first(published, plant)
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    (record,) = deploy(published, [plant], [published.add("1.1.0")])
    assert record.outcome is Outcome.ROLLED_BACK
    assert "the database is missing" in record.message
    assert running(plant) == "1.0.0"
    with pytest.raises(DeploymentError) as failure:
        require_success([record])
    assert failure.value.exit_code == 7


def test_a_first_installation_that_faults_is_uninstalled(
    plant: Gateway, published: PublishedModules
) -> None:
    plant.options.faults[MODULE_ID] = ModuleFault()
    reported = Recorder()
    (record,) = deploy(published, [plant], [published.add("1.0.0")], reporter=reported)
    assert record.outcome is Outcome.ROLLED_BACK
    assert client_of(plant).module(MODULE_ID) is None
    assert any("a rollback would uninstall it" in line for line in reported.infos)


def test_without_the_old_file_the_new_version_stays_and_needs_repair(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    del published.modules[MODULE_ID, "1.0.0"]
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    reported = Recorder()
    (record,) = deploy(published, [plant], [published.add("1.1.0")], reporter=reported)
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "uninstalling com.example.pump is not allowed" in record.message
    assert any("would stay there, and need manual repair" in each for each in reported.warnings)
    assert client_of(plant).module(MODULE_ID) is not None


def test_without_the_old_file_it_warns_before_and_uninstalls_after_if_allowed(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    del published.modules[MODULE_ID, "1.0.0"]
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    reported = Recorder()
    (record,) = deploy(
        published, [plant], [published.add("1.1.0")], reporter=reported, allow_uninstall=True
    )
    assert record.outcome is Outcome.ROLLED_BACK
    assert any("a rollback would uninstall" in line for line in reported.warnings)
    assert client_of(plant).module(MODULE_ID) is None


def test_a_failed_rollback_needs_manual_repair_and_says_what_to_do(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    plant.options.faults[MODULE_ID] = ModuleFault()  # the old version fails now too
    (record,) = deploy(published, [plant], [published.add("1.1.0")])
    assert record.outcome is Outcome.ROLLBACK_FAILED
    with pytest.raises(RollbackError) as failure:
        require_success([record])
    assert failure.value.exit_code == 8
    assert record.steps[0].startswith(f"check gateway 1 ({plant.url}): it should have")
    assert f"{MODULE_ID} 1.0.0" in record.message


def test_a_restart_that_never_ends_is_reported_and_goes_back_as_far_as_it_can(
    plant: Gateway, published: PublishedModules
) -> None:
    install_first(published, plant)
    plant.options.never_back = "starting"
    (record,) = deploy(published, [plant], [published.add("1.1.0")])
    assert record.outcome is Outcome.ROLLBACK_FAILED
    assert "is not running after" in record.message


def test_without_consent_it_stops_before_installing_and_says_what_to_accept(
    plant: Gateway, published: PublishedModules
) -> None:
    module = published.add("1.0.0")
    (record,) = deploy(published, [plant], [module], accept=AcceptOptions())
    assert record.outcome is Outcome.FAILED
    (step,) = record.steps
    assert f"--accept-certificate {module.certificate.sha1}" in step
    assert f"--accept-license {module.licence_crc}" in step
    assert client_of(plant).module(MODULE_ID) is None or running(plant) is None
    assert ConsentMissing.exit_code == 7


def test_consent_to_this_signer_and_licence_is_enough(
    plant: Gateway, published: PublishedModules
) -> None:
    module = published.add("1.0.0")
    accept = AcceptOptions(
        frozenset({module.certificate.sha256}), frozenset({str(module.licence_crc)})
    )
    (record,) = deploy(published, [plant], [module], accept=accept)
    assert record.outcome is Outcome.DEPLOYED


def test_a_fingerprint_of_another_signer_is_rejected_before_anything(
    plant: Gateway, published: PublishedModules
) -> None:
    module = published.add("1.0.0")
    accept = AcceptOptions(frozenset({"0" * 40}), frozenset({"yes"}))
    with pytest.raises(ConfigurationError, match="matches no certificate of these modules"):
        deploy(published, [plant], [module], accept=accept)
    assert uploads(plant) == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"requires": "8.1.0"}, "is built for Ignition 8.1"),
        ({"requires": "8.3.9"}, "requires Ignition 8.3.9"),
        ({"depends": "com.example.base"}, "depends on com.example.base"),
    ],
)
def test_what_the_gateway_cannot_take_is_rejected_before_anything(
    plant: Gateway, published: PublishedModules, options: dict[str, str], reason: str
) -> None:
    with pytest.raises(CombinedError) as caught:
        deploy(published, [plant], [published.add("1.0.0", **options)])
    assert reason in caught.value.causes[0].message
    assert caught.value.causes[0].hint
    assert uploads(plant) == 0


def test_a_downgrade_needs_permission(plant: Gateway, published: PublishedModules) -> None:
    old = published.add("0.9.0")
    install_first(published, plant)
    with pytest.raises(CombinedError) as caught:
        deploy(published, [plant], [old])
    assert "--allow-downgrade" in caught.value.causes[0].hint
    (record,) = deploy(published, [plant], [old], allow_downgrade=True)
    assert record.outcome is Outcome.DEPLOYED
    assert running(plant) == "0.9.0"


def test_a_redundant_backup_is_rejected(plant: Gateway, published: PublishedModules) -> None:
    plant.options.redundancy_role = "Backup"
    with pytest.raises(CombinedError):
        deploy(published, [plant], [published.add("1.0.0")])


def test_one_gateway_that_cannot_take_it_keeps_all_unchanged(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    gateways[2].options.version = "8.1.33"
    with pytest.raises(CombinedError):
        deploy(published, gateways, [published.add("1.0.0")])
    assert [uploads(each) for each in gateways] == [0, 0, 0]


def test_after_a_failure_no_further_gateway_is_started(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    gateways[1].options.faults[MODULE_ID] = ModuleFault()
    records = deploy(published, gateways, [published.add("1.0.0")])
    assert outcomes(records) == [
        Outcome.DEPLOYED,
        Outcome.ROLLED_BACK,
        Outcome.UNTOUCHED,
    ]
    assert uploads(gateways[2]) == 0
    assert overall_outcome(records) is Outcome.ROLLED_BACK


def test_with_continue_on_error_the_other_gateways_are_deployed(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    gateways[1].options.faults[MODULE_ID] = ModuleFault()
    records = deploy(published, gateways, [published.add("1.0.0")], continue_on_error=True)
    assert outcomes(records) == [
        Outcome.DEPLOYED,
        Outcome.ROLLED_BACK,
        Outcome.DEPLOYED,
    ]


def test_all_or_nothing_rolls_back_the_gateways_that_had_succeeded(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    old, new = published.add("1.0.0"), published.add("1.1.0")
    deploy(published, gateways, [old])
    gateways[2].options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    records = deploy(published, gateways, [new], all_or_nothing=True)
    assert outcomes(records) == [Outcome.ROLLED_BACK] * 3
    assert [running(each) for each in gateways] == ["1.0.0"] * 3


def test_a_canary_goes_first_and_alone(
    gateways: list[Gateway], published: PublishedModules
) -> None:
    gateways[0].options.faults[MODULE_ID] = ModuleFault()
    records = deploy(published, gateways, [published.add("1.0.0")], wave=5, canary=True)
    assert outcomes(records) == [
        Outcome.ROLLED_BACK,
        Outcome.UNTOUCHED,
        Outcome.UNTOUCHED,
    ]
    gateways[0].options.faults.clear()
    records = deploy(
        published, gateways, [published.modules[MODULE_ID, "1.0.0"]], wave=5, canary=True
    )
    assert outcomes(records) == [Outcome.DEPLOYED] * 3


def test_modules_that_need_each_other_go_in_their_order_with_one_restart(
    plant: Gateway, published: PublishedModules
) -> None:
    upper = published.add("1.0.0", module_id="com.example.upper", depends="com.example.lower")
    lower = published.add("1.0.0", module_id="com.example.lower")
    before = plant.state.restarts
    (record,) = deploy(published, [plant], [upper, lower])
    assert [module.id for module in record.modules] == ["com.example.lower", "com.example.upper"]
    assert record.outcome is Outcome.DEPLOYED
    assert plant.state.restarts == before + 1


def test_if_one_of_two_modules_fails_both_are_rolled_back(
    plant: Gateway, published: PublishedModules
) -> None:
    ids = ("com.example.a", "com.example.b")
    deploy(published, [plant], [published.add("1.0.0", module_id=each) for each in ids])
    plant.options.faults[ids[1]] = ModuleFault(version="1.1.0")
    (record,) = deploy(published, [plant], [published.add("1.1.0", module_id=each) for each in ids])
    assert record.outcome is Outcome.ROLLED_BACK
    assert [running(plant, each) for each in ids] == ["1.0.0", "1.0.0"]


def test_a_rollback_says_what_it_restored_and_what_it_uninstalled(
    plant: Gateway, published: PublishedModules
) -> None:
    old, new = "com.example.a", "com.example.b"
    deploy(published, [plant], [published.add("1.0.0", module_id=old)])
    plant.options.faults[new] = ModuleFault()
    modules = [published.add("1.1.0", module_id=each) for each in (old, new)]
    (record,) = deploy(published, [plant], modules)
    assert record.message.endswith("; back on com.example.a 1.0.0 and com.example.b uninstalled")
    with pytest.raises(DeploymentError, match=r"^the gateway failed: gateway 1: "):
        require_success([record])


def test_the_sum_of_a_rollout_counts_gateways_in_singular_and_plural() -> None:
    def record(outcome: Outcome) -> GatewayRecord:
        return GatewayRecord(gateway="https://x", outcome=outcome, message=f"{outcome}.")

    failed, skipped = record(Outcome.FAILED), record(Outcome.UNTOUCHED)
    with pytest.raises(DeploymentError, match=r"1 of 2 gateways failed: .* 1 more was not started"):
        require_success([failed, skipped])
    with pytest.raises(DeploymentError, match=r"1 of 3 gateways failed: .* 2 more were not st"):
        require_success([failed, skipped, skipped])
    with pytest.raises(RollbackError, match=r"^needs manual repair: https://x: rollback"):
        require_success([record(Outcome.ROLLBACK_FAILED)])


def test_the_error_names_gateways_before_addresses_and_each_cause_and_step_once() -> None:
    def record(name: str, reason: str, *steps: str) -> GatewayRecord:
        return GatewayRecord(
            gateway=f"https://{name}.example:8043",
            name=name,
            outcome=Outcome.FAILED,
            message=f"{name}: {reason}",
            steps=steps,
        )

    same = [record(f"line-{number}", "it is full", "free some space.") for number in range(8)]
    with pytest.raises(DeploymentError) as failure:
        require_success([*same, record("line-9", "it is locked", "unlock it.")])
    assert failure.value.message == (
        "9 of 9 gateways failed: line-0, line-1, line-2, line-3, line-4 and 3 more: it is full; "
        "1 more for other reasons"
    )
    assert failure.value.hint.splitlines() == [
        "free some space.",
        "unlock it.",
        "fix the cause, then run the same command again.",
        "see https://github.com/org/ign-deploy/blob/v1/docs/runbook-exit-7.md",
    ]


def test_a_hundred_failed_rollbacks_have_a_readable_number_of_steps() -> None:
    records = [
        GatewayRecord(gateway=f"g{n}", outcome=Outcome.ROLLBACK_FAILED, steps=(f"check g{n}.",))
        for n in range(100)
    ]
    with pytest.raises(RollbackError) as failure:
        require_success(records)
    steps = failure.value.hint.splitlines()
    assert len(steps) == 14
    assert steps[-2] == "go on with 88 more steps: --json shows those of each gateway."
    assert steps[-1].endswith("/docs/runbook-exit-8.md")


def test_a_health_check_that_fails_rolls_back(plant: Gateway, published: PublishedModules) -> None:
    install_first(published, plant)
    asked: list[str] = []

    def get(url: str) -> Response:
        asked.append(url)
        return Response(503, body=b"down")

    check = UrlCheck("/system/healthy?key=s3cret", get)
    (record,) = deploy(published, [plant], [published.add("1.1.0")], checks=(check,))
    assert record.outcome is Outcome.ROLLED_BACK
    assert asked[0] == f"{plant.url}/system/healthy?key=s3cret"
    assert "s3cret" not in record.message


def test_health_checks_that_pass_are_asked_with_the_gateways_address(
    plant: Gateway, published: PublishedModules
) -> None:
    asked: list[str] = []

    def execute(command: str, gateway: str) -> int:
        asked.append(f"{command} {gateway}")
        return 0

    checks = (
        UrlCheck("https://mes.example/up", lambda _: Response(200, body=b"all well"), text="well"),
        CommandCheck("probe --now", execute),
    )
    (record,) = deploy(published, [plant], [published.add("1.0.0")], checks=checks)
    assert record.outcome is Outcome.DEPLOYED
    assert asked == [f"probe --now {plant.url}"]


def test_a_module_can_be_uninstalled(plant: Gateway, published: PublishedModules) -> None:
    install_first(published, plant)
    (record,) = deploy(published, [plant], [], removals=[MODULE_ID])
    assert record.outcome is Outcome.UNINSTALLED
    assert client_of(plant).module(MODULE_ID) is None
    (module,) = record.modules
    assert (module.version, module.previous) == ("", "1.0.0")
    assert module.outcome is Outcome.UNINSTALLED


def test_after_a_killed_run_the_version_before_that_run_is_restored(
    plant: Gateway, published: PublishedModules
) -> None:
    """The killed run got as far as the restart; the new version is installed, and faulted."""
    install_first(published, plant)
    plant.options.faults[MODULE_ID] = ModuleFault(version="1.1.0")
    new = published.add("1.1.0")
    client = client_of(plant)
    upload = client.upload(new, file_name=f"{MODULE_ID}.modl")
    client.install(upload)
    client.restart()
    client.wait_until_running()
    assert running(plant) is None
    (record,) = deploy(published, [plant], [new], before={(plant.url, MODULE_ID): "1.0.0"})
    assert record.outcome is Outcome.ROLLED_BACK
    assert running(plant) == "1.0.0"
    assert record.modules[0].previous == "1.0.0"
