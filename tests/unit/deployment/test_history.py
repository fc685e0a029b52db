"""The current versions, replayed from all deployments; uncertain if one didn't end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ign_deploy.deployment.history import ENVIRONMENTS, DeployedVersion
from ign_deploy.deployment.record_reader import ROOT
from ign_deploy.deployment.records import (
    DeploymentKind,
    DeploymentRecord,
    Outcome,
    Phase,
    timestamp,
)
from ign_deploy.errors import ConfigurationError
from tests.support.records import PLANT, PUMP, Ledger, record
from tests.support.reporting import Recorder


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def only(found: Iterable[DeployedVersion]) -> DeployedVersion:
    (deployed,) = found
    return deployed


def deployed(ledger: Ledger) -> tuple[str, str, bool]:
    """Return version, rollback version and uncertainty of the only module."""
    found = only(ledger.history.deployed("production"))
    return found.version, found.rollback_version, found.uncertain


def test_an_empty_history(ledger: Ledger) -> None:
    assert ledger.history.environments() == []
    assert ledger.history.deployments("production") == []
    assert ledger.history.deployed("production") == []
    assert ledger.history.protected() == set()


def test_the_last_deployment_is_current_and_names_the_one_before(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    ledger.deploy("1.1.0", previous="1.0.0")
    last = ledger.deploy("1.2.0", previous="1.1.0")
    found = only(ledger.history.deployed("production"))
    assert (found.gateway, found.id, found.version, found.previous) == (
        PLANT, PUMP, "1.2.0", "1.1.0",
    )  # fmt: skip
    assert (found.since, found.actor, found.deployment) == (last.ended_at, "someone", last.id)
    assert found.rollback_version == "1.1.0"
    assert [each.started.gateways[0].modules[0].version for each in
            ledger.history.deployments("production")] == ["1.0.0", "1.1.0", "1.2.0"]  # fmt: skip
    assert ledger.history.environments() == ["production"]


def test_deploying_again_keeps_the_rollback_version(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    ledger.deploy("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.1.0"), Outcome.UNCHANGED)
    assert deployed(ledger) == ("1.1.0", "1.0.0", False)


def test_a_killed_deployment_is_uncertain_and_rolls_back_to_the_version_before(
    ledger: Ledger,
) -> None:
    ledger.deploy("0.9.0")
    ledger.deploy("1.0.0", previous="0.9.0")
    ledger.begin("1.1.0", previous="1.0.0")
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)
    ledger.begin("1.1.0", previous="1.0.0")
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)
    ledger.deploy("1.1.0", previous="1.0.0")
    assert deployed(ledger) == ("1.1.0", "1.0.0", False)


def test_a_killed_first_installation_is_uncertain_and_rolls_back_to_nothing(
    ledger: Ledger,
) -> None:
    ledger.begin("1.0.0")
    assert deployed(ledger) == ("", "", True)
    ledger.end(ledger.begin("1.0.0"), Outcome.ROLLED_BACK, restored="")
    assert ledger.history.deployed("production") == []


def test_a_killed_rollback_is_repeated_to_the_same_version(ledger: Ledger) -> None:
    ledger.deploy("0.9.0")
    ledger.deploy("1.0.0", previous="0.9.0")
    ledger.begin("1.1.0", previous="1.0.0")
    ledger.begin("1.0.0", previous="1.0.0", kind=DeploymentKind.ROLLBACK)
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)
    ledger.deploy("1.0.0", previous="1.0.0", kind=DeploymentKind.ROLLBACK)
    assert deployed(ledger) == ("1.0.0", "1.0.0", False)  # what didn't end is rolled back


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNTOUCHED])
def test_a_deployment_that_changed_nothing_changes_neither_version_nor_certainty(
    ledger: Ledger, outcome: Outcome
) -> None:
    ledger.deploy("1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), outcome)
    assert deployed(ledger) == ("1.0.0", "1.0.0", False)
    ledger.begin("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), outcome)
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)


def test_a_completed_rollback_ends_uncertainty(ledger: Ledger) -> None:
    first = ledger.deploy("1.0.0", previous="0.9.0")
    ledger.begin("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.ROLLED_BACK, restored="1.0.0")
    assert deployed(ledger) == ("1.0.0", "1.0.0", False)
    assert only(ledger.history.deployed("production")).sha256 == first.gateways[0].modules[0].sha256


def test_a_failed_rollback_is_uncertain(ledger: Ledger) -> None:
    ledger.deploy("1.0.0", previous="0.9.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.ROLLBACK_FAILED)
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)


def test_an_old_version_installed_by_hand_is_current_after_a_rollback(ledger: Ledger) -> None:
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.ROLLED_BACK)
    found = only(ledger.history.deployed("production"))
    assert (found.version, found.outcome) == ("1.0.0", Outcome.ROLLED_BACK)


def test_an_uninstalled_module_is_not_current(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    ledger.deploy("", previous="1.0.0", kind=DeploymentKind.ROLLBACK)
    assert ledger.history.deployed("production") == []


def test_environments_and_gateways_are_separate(ledger: Ledger) -> None:
    staging = Ledger(ledger.documents, environment="staging")
    ledger.deploy("1.0.0")
    ledger.deploy("1.1.0", gateway="https://plant-2:8043")
    staging.deploy("2.0.0")
    assert ledger.history.environments() == ["production", "staging"]
    assert [each.version for each in ledger.history.deployed("production")] == ["1.0.0", "1.1.0"]
    assert [each.version for each in ledger.history.deployed("staging")] == ["2.0.0"]


def before(ledger: Ledger) -> dict[tuple[str, str], str]:
    return dict(ledger.history.state("production").unfinished)


@pytest.mark.parametrize("outcome", [None, Outcome.RESTART_PENDING, Outcome.ROLLBACK_FAILED])
def test_the_version_before_an_unconfirmed_deployment_is_known(
    ledger: Ledger, outcome: Outcome | None
) -> None:
    started = ledger.begin("1.1.0", previous="1.0.0")
    if outcome is not None:
        ledger.end(started, outcome)
    assert before(ledger) == {(PLANT, PUMP): "1.0.0"}


@pytest.mark.parametrize(
    "outcome",
    [Outcome.DEPLOYED, Outcome.UNCHANGED, Outcome.ROLLED_BACK],
)
def test_a_deployment_that_succeeded_or_was_rolled_back_confirms_the_version(
    ledger: Ledger, outcome: Outcome
) -> None:
    ledger.begin("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), outcome)
    assert before(ledger) == {}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNTOUCHED])
def test_a_deployment_that_changed_nothing_confirms_nothing(
    ledger: Ledger, outcome: Outcome
) -> None:
    ledger.begin("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.2.0", previous="1.1.0"), outcome)
    assert before(ledger) == {(PLANT, PUMP): "1.0.0"}


def test_current_and_rollback_versions_are_protected(ledger: Ledger) -> None:
    for version, previous in [("1.0.0", ""), ("1.1.0", "1.0.0"), ("1.2.0", "1.1.0")]:
        ledger.deploy(version, previous=previous)
    assert ledger.history.protected() == {(PUMP, "1.2.0"), (PUMP, "1.1.0")}
    ledger.begin("1.3.0", previous="1.2.0")
    assert ledger.history.protected() == {(PUMP, each) for each in ("1.3.0", "1.2.0", "1.1.0")}


def test_after_a_failed_rollback_both_versions_are_protected(ledger: Ledger) -> None:
    ledger.deploy("1.0.0", previous="0.9.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.ROLLBACK_FAILED)
    assert ledger.history.protected() == {(PUMP, each) for each in ("1.1.0", "1.0.0", "0.9.0")}


def test_every_environment_protects_its_versions(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    Ledger(ledger.documents, environment="staging").deploy("1.1.0")
    assert ledger.history.protected() == {(PUMP, "1.0.0"), (PUMP, "1.1.0")}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{" * 10_000,
        b"null",
        record("6.6.6", id="other").to_json(),
        record("6.6.6", environment="staging").to_json(),
        record("6.6.6").to_json().replace(b"12:00:00.000000Z", b"12:00:00.000000Z-x"),
    ],
    ids=range(7),
)
def test_a_damaged_or_hostile_document_is_skipped_with_a_warning(
    ledger: Ledger, data: bytes
) -> None:
    ledger.deploy("1.0.0")
    reported = ledger.reporter = Recorder()
    name = record("1.0.0").file_name
    ledger.documents.files[f"{ROOT}/production/{name}"] = data
    ledger.documents.files[f"{ROOT}/production/notes.txt"] = b"no record by its name"
    assert deployed(ledger) == ("1.0.0", "", False)
    assert len(reported.warnings) == 1
    assert name in reported.warnings[0]


def test_a_name_that_would_leave_the_folder_is_rejected(ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError):
        ledger.history.deployments("../x")
    with pytest.raises(ConfigurationError):
        ledger.history.append(record("1.0.0").model_copy(update={"environment": "../x"}))


def test_a_hostile_name_among_the_environments_is_a_warning(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    reported = ledger.reporter = Recorder()
    ledger.documents.files[f"{ENVIRONMENTS}/..json"] = b"{}\n"
    assert ledger.history.environments() == ["production"]
    assert ledger.history.protected() == {(PUMP, "1.0.0")}
    assert len(reported.warnings) == 2


def forge(ledger: Ledger, forged: DeploymentRecord) -> None:
    """Write a document as someone does who can write to the store, and nothing more."""
    ledger.documents.files[f"{ROOT}/production/{forged.file_name}"] = forged.to_json()


def ended(started: DeploymentRecord, **changes: object) -> DeploymentRecord:
    """Return the document of a deployment's end, with some fields changed."""
    gateways = tuple(
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
    )
    end = {"phase": Phase.ENDED, "outcome": Outcome.DEPLOYED, "gateways": gateways}
    return started.model_copy(update={**end, "ended_at": started.started_at, **changes})


FUTURE = "2099-01-01T00:00:00.000000Z"
FORGED = {
    "no beginning": ([ended(record("1.1.0", previous="6.6.6", id="f0"))], "has no beginning"),
    "from the future": (
        [
            record("1.1.0", previous="1.0.0", id="f0", started_at=FUTURE),
            ended(record("1.1.0", previous="1.0.0", id="f0", started_at=FUTURE)),
        ],
        "from the future",
    ),
    "ends in the future": (
        [ended(record("1.1.0", id="00000000"), ended_at=FUTURE)],
        "from the future",
    ),
    "another deployment's end": (
        [
            record("1.1.0", previous="1.0.0", id="f0", started_at="2026-02-01T00:00:00.000000Z"),
            ended(
                record("1.1.0", previous="0.1.0", id="f0", started_at="2026-02-01T00:00:00.000000Z")
            ),
        ],
        "contradicts the deployment's start",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_record_is_reported_and_not_used(ledger: Ledger, name: str) -> None:
    forged, text = FORGED[name]
    ledger.deploy("0.9.0")
    ledger.deploy("1.0.0", previous="0.9.0")
    for each in forged:
        forge(ledger, each)
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert any(text in line for line in reported.warnings), reported.warnings
    assert (found.version, found.previous) == ("1.0.0", "0.9.0")


EARLY = "2026-01-01T00:00:00.000000Z"


def pair(version: str, *, ended_at: str = "", **fields: Any) -> list[DeploymentRecord]:
    """Return the documents of a deployment that fit together, of which none is genuine."""
    started = record(version, **{"id": "f0", "started_at": EARLY, **fields})
    return [started, ended(started, ended_at=ended_at or started.started_at)]


@pytest.mark.parametrize("version", ["6.6.6", "1.0.0"])
@pytest.mark.parametrize("previous", ["", "6.6.6", "1.0.0"])
def test_a_backdated_pair_before_the_first_installation_is_no_version_to_roll_back_to(
    ledger: Ledger, version: str, previous: str
) -> None:
    for each in pair(version, previous=previous):
        forge(ledger, each)
    ledger.deploy("1.0.0")
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.rollback_version) == ("1.0.0", "")
    assert "was not installed before" in found.contradiction
    assert found.contradiction in reported.warnings[0]


def test_a_backdated_pair_that_ends_late_is_no_version_to_roll_back_to(ledger: Ledger) -> None:
    for each in pair("6.6.6", ended_at="2026-02-01T00:00:00.000000Z"):
        forge(ledger, each)
    ledger.deploy("1.0.0")
    assert deployed(ledger) == ("1.0.0", "", False)


def test_a_module_that_vanished_between_two_deployments_is_reported(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    ledger.deploy("1.1.0")  # it says that the gateway had none
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.rollback_version) == ("1.1.0", "")
    assert "was not installed before; according to" in found.contradiction
    assert len(reported.warnings) == 1
    ledger.deploy("1.2.0", previous="1.1.0")
    assert deployed(ledger) == ("1.2.0", "1.1.0", False)


def test_two_first_installations_at_once_do_not_contradict_each_other(ledger: Ledger) -> None:
    first, second = ledger.begin("1.0.0"), ledger.begin("1.1.0")
    ledger.end(first, Outcome.DEPLOYED, ended_at="2026-01-31T12:30:00.000000Z")
    ledger.end(second, Outcome.DEPLOYED, ended_at="2026-01-31T12:31:00.000000Z")
    ledger.reporter = reported = Recorder()
    assert deployed(ledger) == ("1.1.0", "", False)
    assert reported.warnings == []


@pytest.mark.parametrize(
    ("is_killed", "at"),
    [
        (False, EARLY),
        (False, "2026-01-31T12:00:30.000000Z"),
        (False, "2026-02-01T00:00:00.000000Z"),
        (True, "2026-02-01T00:00:00.000000Z"),
    ],
)
def test_a_second_start_with_the_id_of_a_deployment_is_reported_and_not_used(
    ledger: Ledger, is_killed: bool, at: str
) -> None:
    ledger.deploy("0.9.0")
    genuine = ledger.begin("1.0.0", previous="0.9.0")
    if not is_killed:
        ledger.end(genuine, Outcome.DEPLOYED)
    expected = ledger.history.deployed("production")
    forge(ledger, record("6.6.6", previous="1.0.0", id=genuine.id, started_at=at))
    ledger.reporter = reported = Recorder()
    assert ledger.history.deployed("production") == expected
    (line,) = reported.warnings
    assert f"another deployment has the id {genuine.id}" in line


@pytest.mark.parametrize("at", [EARLY, "2026-02-01T00:00:00.000000Z"])
def test_a_second_deployment_with_the_same_id_hides_none_and_needs_a_person(
    ledger: Ledger, at: str
) -> None:
    ledger.deploy("0.9.0")
    genuine = ledger.deploy("1.0.0", previous="0.9.0")
    for each in pair("6.6.6", previous="1.0.0", id=genuine.id, started_at=at):
        forge(ledger, each)
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert found.rollback_version == ""
    assert "have the id" in found.contradiction
    assert reported.warnings
    assert (PUMP, "1.0.0") in ledger.history.protected()


def twice(one: DeploymentRecord, **changes: object) -> DeploymentRecord:
    """Return the record with its gateway a second time, where the module has other values."""
    (gateway,) = one.gateways
    (module,) = gateway.modules
    other = gateway.model_copy(update={"modules": (module.model_copy(update=changes),)})
    return one.model_copy(update={"gateways": (gateway, other)})


def test_a_record_that_has_a_gateway_or_a_module_twice_is_reported_and_not_used(
    ledger: Ledger,
) -> None:
    ledger.deploy("0.9.0")
    killed = ledger.begin("1.0.0", previous="0.9.0")
    expected = ledger.history.deployed("production")
    (module,) = killed.gateways[0].modules
    doubled = killed.gateways[0].model_copy(update={"modules": (module, module)})
    forged = [
        twice(ended(killed), outcome=Outcome.ROLLED_BACK, restored="6.6.6"),
        ended(killed, gateways=(doubled,)),
        twice(record("1.1.0", previous="0.9.0", id="f1"), version="6.6.6"),
    ]
    for each in forged:
        ledger.documents.files.pop(f"{ROOT}/production/{ended(killed).file_name}", None)
        forge(ledger, each)
        ledger.reporter = reported = Recorder()
        assert ledger.history.deployed("production") == expected
        assert "not a valid deployment record" in reported.warnings[0]


def test_a_start_that_says_how_it_ended_is_reported_and_not_used(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    at = "2026-02-01T00:00:00.000000Z"
    started = record("6.6.6", id="f0", started_at=at, kind=DeploymentKind.ROLLBACK,
                     previous="1.0.0")  # fmt: skip
    forge(ledger, started.model_copy(update={"outcome": Outcome.DEPLOYED}))
    ledger.reporter = reported = Recorder()
    assert deployed(ledger) == ("1.0.0", "", False)
    assert "not a valid deployment record" in reported.warnings[0]


def test_an_end_that_restored_what_was_not_there_before_is_reported_and_not_used(
    ledger: Ledger,
) -> None:
    ledger.deploy("1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.ROLLED_BACK, restored="6.6.6")
    ledger.reporter = reported = Recorder()
    assert deployed(ledger) == ("1.0.0", "1.0.0", True)
    assert "contradicts the deployment's start" in reported.warnings[0]


def test_what_a_record_replaced_must_be_what_ran_before(ledger: Ledger) -> None:
    ledger.deploy("0.9.0")
    ledger.deploy("1.0.0", previous="0.9.0")
    ledger.deploy("1.1.0", previous="6.6.6")
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.previous, found.rollback_version) == ("1.1.0", "1.0.0", "")
    assert "was 6.6.6 before" in found.contradiction
    assert len(reported.warnings) == 1
    assert (PUMP, "6.6.6") not in ledger.history.protected()


def test_a_deployment_may_replace_what_a_later_one_brought_while_it_waited(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    slow = ledger.begin("1.2.0", previous="1.1.0")
    ledger.deploy("1.1.0", previous="1.0.0")  # begins and ends before the slow one gets to it
    ledger.end(slow, Outcome.DEPLOYED, ended_at="2026-01-31T12:59:00.000000Z")
    ledger.reporter = reported = Recorder()
    ledger.history.deployed("production")
    assert reported.warnings == []


def test_an_unfinished_record_that_contradicts_the_others_steers_no_automatic_rollback(
    ledger: Ledger,
) -> None:
    ledger.deploy("1.0.0")
    ledger.begin("1.1.0", previous="6.6.6")
    assert before(ledger) == {}


def test_an_unfinished_rollback_to_what_never_ran_there_steers_no_rollback(
    ledger: Ledger,
) -> None:
    ledger.deploy("1.0.0")
    ledger.begin("6.6.6", previous="1.0.0", kind=DeploymentKind.ROLLBACK)
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.rollback_version) == ("1.0.0", "")
    assert "never had" in found.contradiction


def test_another_digest_of_the_same_version_is_reported_and_neither_is_believed(
    ledger: Ledger,
) -> None:
    ledger.deploy("1.0.0")
    ledger.end(ledger.begin("1.0.0", previous="1.0.0"), Outcome.UNCHANGED)
    assert ledger.history.state("production").digests == {(PLANT, PUMP, "1.0.0"): "ab" * 32}
    forged = record("1.0.0", previous="1.0.0", id="f0", started_at="2026-02-01T00:00:00.000000Z")
    module = forged.gateways[0].modules[0].model_copy(update={"sha256": "66" * 32})
    gateways = (forged.gateways[0].model_copy(update={"modules": (module,)}),)
    forged = forged.model_copy(update={"gateways": gateways})
    forge(ledger, forged)
    forge(ledger, ended(forged))
    ledger.reporter = reported = Recorder()
    assert ledger.history.state("production").digests == {}
    assert any("another SHA-256" in line for line in reported.warnings)


def test_deployments_at_the_same_time_do_not_contradict_each_other(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    first = ledger.begin("1.1.0", previous="1.0.0")
    second = ledger.begin("1.2.0", previous="1.0.0")
    ledger.end(first, Outcome.DEPLOYED, ended_at="2026-01-31T12:30:00.000000Z")
    ledger.end(second, Outcome.DEPLOYED)
    ledger.reporter = reported = Recorder()
    assert ledger.history.deployed("production")[0].version == "1.2.0"
    assert reported.warnings == []


def test_a_forgotten_environment_is_hidden_until_it_is_used_again(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    Ledger(ledger.documents, environment="staging").deploy("1.0.0")
    ledger.history.forget("production", actor="someone")
    assert ledger.history.environments() == ["staging"]
    assert ledger.history.deployments("production") == []
    now = timestamp(datetime.now(UTC))
    ledger.history.append(record("2.0.0", started_at=now))
    assert ledger.history.environments() == ["production", "staging"]
    assert [each.started.started_at for each in ledger.history.deployments("production")] == [now]


def test_what_forgets_an_environment_in_the_future_is_not_used(ledger: Ledger) -> None:
    ledger.deploy("1.0.0")
    later = replace(ledger.history, clock=lambda: datetime(2099, 1, 1, tzinfo=UTC))
    later.forget("production", actor="someone")
    ledger.reporter = reported = Recorder()
    assert ledger.history.environments() == ["production"]
    assert any("forgotten" in line for line in reported.warnings)


def test_an_unfinished_deployment_is_of_interest_until_another_one_completed_or_undid_it(
    ledger: Ledger,
) -> None:
    def unfinished() -> list[str]:
        state = ledger.history.state("production")
        return [each.started.id for each in state.unfinished_deployments]

    ledger.deploy("1.0.0")
    killed = ledger.begin("1.1.0", previous="1.0.0")
    ledger.end(ledger.begin("1.1.0", previous="1.0.0"), Outcome.FAILED)
    assert unfinished() == [killed.id]
    ledger.deploy("1.1.0", previous="1.0.0")
    assert unfinished() == []
    ledger.begin("1.2.0", previous="1.1.0")
    ledger.end(ledger.begin("1.2.0", previous="1.1.0"), Outcome.ROLLED_BACK, restored="1.1.0")
    assert unfinished() == []
