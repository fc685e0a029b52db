"""The index of an environment: as good as reading all of its records, at the cost of a few."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.deployment.environment_index import RECENT, EnvironmentIndex
from ign_deploy.deployment.history import INDEXES
from ign_deploy.deployment.record_reader import IndexChange
from ign_deploy.deployment.records import DeploymentKind, DeploymentRecord, Outcome
from tests.support.records import PLANT, PUMP, Ledger, MemoryDocuments, Stored, record
from tests.support.reporting import Recorder

INDEX = f"{INDEXES}/production.json"
ENDS = [Outcome.DEPLOYED] * 6 + [
    Outcome.UNCHANGED, Outcome.RESTART_PENDING, Outcome.ROLLED_BACK, Outcome.FAILED,
    Outcome.ROLLBACK_FAILED, Outcome.UNTOUCHED,
]  # fmt: skip


class Killed(BaseException):
    """No code of ours catches it."""


@dataclass
class Network(MemoryDocuments):
    """A store in which a listing is expensive; ``kills_index`` is a run killed before the index."""

    lists_cheaply: bool = False
    requests: Counter[str] = field(default_factory=Counter)
    kills_index: bool = False

    def read(self, path: str) -> Stored | None:
        self.requests["read"] += 1
        return super().read(path)

    def names(self, folder: str) -> list[str]:
        self.requests[f"names {folder.split('/')[1]}"] += 1
        return super().names(folder)

    def update(self, path: str, *, key: str, change: IndexChange) -> None:
        if self.kills_index:
            raise Killed
        super().update(path, key=key, change=change)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def ledger(network: Network) -> Ledger:
    return Ledger(network)


def deploy_many(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.deploy(f"1.{number}.0", previous=f"1.{number - 1}.0" if number else "")


def deploy_by_chance(ledger: Ledger, seed: int, count: int) -> None:
    """Deploy to three gateways, two modules each; some runs are killed, some overlap."""
    chance = random.Random(seed)
    current: dict[tuple[str, str], str] = {}
    waiting: list[tuple[DeploymentRecord, Outcome]] = []
    for number in range(count):
        place = (f"https://plant-{chance.randrange(3)}:8043", f"{PUMP}{chance.randrange(2)}")
        previous = current.get(place, "")
        started = ledger.begin(
            f"1.{number}.0",
            previous=previous,
            gateway=place[0],
            module_id=place[1],
            kind=chance.choice([DeploymentKind.DEPLOYMENT, DeploymentKind.PROMOTION]),
        )
        outcome = chance.choice(ENDS)
        if chance.random() < 0.1:
            continue
        if chance.random() < 0.1:
            waiting.append((started, outcome))
            continue
        restored = {"restored": previous} if outcome is Outcome.ROLLED_BACK else {}
        ledger.end(started, outcome, **restored)
        if outcome in (Outcome.DEPLOYED, Outcome.UNCHANGED, Outcome.RESTART_PENDING):
            current[place] = f"1.{number}.0"
        if waiting and chance.random() < 0.5:
            ledger.end(*waiting.pop(0))


@pytest.mark.parametrize("lists_cheaply", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_state_is_that_of_all_records(
    ledger: Ledger, network: Network, seed: int, lists_cheaply: bool
) -> None:
    network.lists_cheaply = lists_cheaply
    deploy_by_chance(ledger, seed, 50 + 30 * (seed % 3))
    found = ledger.history.state("production")
    whole = ledger.history.state("production", is_whole=True)
    assert found.modules == whole.modules
    assert found.unfinished == whole.unfinished
    assert found.unconfirmed == whole.unconfirmed
    assert found.last_modules == whole.last_modules
    assert found.digests.items() <= whole.digests.items()
    for each in found.deployed:
        key = (each.gateway, each.id, each.version)
        assert found.digests.get(key) == whole.digests.get(key)
    everything = [each.started.id for each in ledger.history.deployments("production")]
    newest = ledger.history.latest("production", limit=1000)
    assert [each.started.id for each in newest] == everything[::-1]
    ends = [each.ended for each in ledger.history.deployments("production")]
    assert [each.ended for each in newest] == ends[::-1]


def test_the_cost_does_not_grow(ledger: Ledger, network: Network) -> None:
    costs = []
    for count in (10, 150):
        deploy_many(ledger, count)
        network.requests.clear()
        ledger.history.state("production")
        found = ledger.history.latest("production", limit=10)
        assert len(found) == 10
        costs.append((network.requests, len(network.files[INDEX])))
        network.requests = Counter()
    assert costs[0][0] == costs[1][0] == {"read": 2}
    assert costs[1][1] < 100_000


def test_writing_costs_as_much_with_many_deployments_as_with_few(
    ledger: Ledger, network: Network
) -> None:
    deploy_many(ledger, RECENT * 2)
    network.requests.clear()
    ledger.deploy("2.0.0", previous=f"1.{RECENT * 2 - 1}.0")
    assert network.requests == {}  # the index is read by ``update``


def test_forgetting_an_environment_that_a_killed_run_forgot_is_completed(
    ledger: Ledger, network: Network
) -> None:
    ledger.deploy("1.0.0")
    network.kills_index = True
    with pytest.raises(Killed):
        ledger.history.forget("production", actor="someone")
    network.kills_index = False
    assert len(ledger.history.latest("production", limit=10)) == 1  # not in effect yet
    ledger.history.forget("production", actor="someone")
    assert ledger.history.latest("production", limit=10) == []


def test_what_is_only_recorded_has_one_document(ledger: Ledger, network: Network) -> None:
    for number in range(2):
        minute = f"2026-01-31T12:0{number}:00.000000Z"
        started = record(f"1.{number}.0", gateway="", id=f"{number:02x}", started_at=minute)
        network.requests.clear()
        ledger.history.append(ledger.ended(started, Outcome.RECORDED))
    assert network.requests == {}
    ledger.history.reindex()
    for is_whole in (False, True):
        state = ledger.history.state("production", is_whole=is_whole)
        (deployed,) = state.deployed
        assert (deployed.version, deployed.uncertain) == ("1.1.0", False)
        assert state.unfinished_deployments == []


def test_older_deployments_are_read_page_by_page(ledger: Ledger, network: Network) -> None:
    deploy_many(ledger, 150)
    network.requests.clear()
    found = ledger.history.latest("production", limit=100)
    versions = [each.started.gateways[0].modules[0].version for each in found]
    assert versions == [f"1.{number}.0" for number in range(149, 49, -1)]
    assert network.requests["read"] < 200
    old = ledger.history.find("production", f"{3:012x}")
    assert old is not None
    assert old.ended is not None
    assert old.ended.gateways[0].modules[0].version == "1.3.0"
    assert ledger.history.find("production", "unknown") is None


def test_deployments_of_a_module_are_found_among_many(ledger: Ledger) -> None:
    ledger.deploy("1.0.0", module_id="com.example.rare")
    deploy_many(ledger, 80)
    (found,) = ledger.history.latest("production", limit=10, module_id="com.example.rare")
    assert found.started.gateways[0].modules[0].id == "com.example.rare"
    assert ledger.history.latest("production", limit=10, module_id="unknown") == []


def test_a_run_killed_before_the_index_has_its_start_changed_nothing(
    ledger: Ledger, network: Network
) -> None:
    ledger.deploy("1.0.0")
    network.kills_index = True
    with pytest.raises(Killed):
        ledger.begin("1.1.0", previous="1.0.0")
    network.kills_index = False
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.uncertain) == ("1.0.0", False)
    ledger.history.reindex()
    assert ledger.history.deployed("production")[0].uncertain


def test_the_end_of_a_run_killed_before_the_index_has_it_is_found(
    ledger: Ledger, network: Network
) -> None:
    ledger.deploy("1.0.0")
    started = ledger.begin("1.1.0", previous="1.0.0")
    network.kills_index = True
    with pytest.raises(Killed):
        ledger.end(started, Outcome.DEPLOYED)
    network.kills_index = False
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.previous, found.uncertain) == ("1.1.0", "1.0.0", False)


def test_the_end_of_a_deployment_of_long_ago_counts(ledger: Ledger, network: Network) -> None:
    slow = ledger.begin("9.0.0", gateway="https://far:8043")
    deploy_many(ledger, 70)
    (far,) = [each for each in ledger.history.deployed("production") if "far" in each.gateway]
    assert far.uncertain
    network.kills_index = True
    with pytest.raises(Killed):
        ledger.end(slow, Outcome.DEPLOYED)
    network.kills_index = False
    (far,) = [each for each in ledger.history.deployed("production") if "far" in each.gateway]
    assert (far.version, far.uncertain) == ("9.0.0", False)
    ledger.deploy("2.0.0", previous="1.69.0")
    found = ledger.history.deployed("production")
    assert {each.version for each in found} == {"9.0.0", "2.0.0"}
    assert found == ledger.history.state("production", is_whole=True).deployed


def test_the_digest_of_a_version_of_long_ago_is_in_the_records(ledger: Ledger) -> None:
    deploy_many(ledger, 80)
    state = ledger.history.state("production")
    assert not state.may_lack_digests("1.79.0")
    assert state.may_lack_digests("1.1.0")
    whole = ledger.history.state("production", is_whole=True)
    assert not whole.may_lack_digests("6.6.6")
    assert whole.digests[PLANT, PUMP, "1.1.0"] == "ab" * 32


def test_a_large_fleet_is_folded_at_once(ledger: Ledger, network: Network) -> None:
    for number in range(3):
        one = record(f"1.{number}.0", previous=f"1.{number - 1}.0" if number else "",
                     id=f"{number:012x}",
                     started_at=f"2026-01-31T12:{number:02}:00.000000Z")  # fmt: skip
        modules = tuple(
            one.gateways[0].modules[0].model_copy(update={"id": f"m{each}"}) for each in range(20)
        )
        gateways = tuple(
            one.gateways[0].model_copy(
                update={"gateway": f"https://plant-{each}.example:8043", "modules": modules}
            )
            for each in range(200)
        )
        started = one.model_copy(update={"gateways": gateways})
        ledger.history.append(started)
        ledger.end(started, Outcome.DEPLOYED)
    assert len(network.files[INDEX]) < 2_500_000
    found = ledger.history.deployed("production")
    assert len(found) == 4000
    assert {(each.version, each.previous, each.uncertain) for each in found} == {
        ("1.2.0", "1.1.0", False)
    }
    assert found == ledger.history.state("production", is_whole=True).deployed


def _changed(data: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(data) | changes).encode()


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"[]",
        lambda data: _changed(data, environment="staging"),
        lambda data: _changed(data, api_version="9"),
        lambda data: _changed(data, recent=[{"id": "x"}]),
        lambda data: _changed(data, unfinished={"../x": "2026-01-31T12:00:00.000000Z"}),
        lambda data: _changed(data, checkpoint={**json.loads(data)["checkpoint"], "texts": []}),
        lambda data: _changed(
            data,
            checkpoint={**json.loads(data)["checkpoint"], "through": "99991231T000000000000Z-ff"},
        ),
        lambda data: data.replace(b'"production"', b'"staging"'),
    ],
    ids=range(10),
)
def test_without_a_valid_index_all_records_are_read(
    ledger: Ledger, network: Network, forge: Any
) -> None:
    deploy_many(ledger, 66)
    before = ledger.history.deployed("production")
    network.files[INDEX] = forge(network.files[INDEX])
    ledger.reporter = reported = Recorder()
    assert ledger.history.deployed("production") == before
    assert any("is not valid" in line for line in reported.warnings)
    assert len(reported.warnings) == 1
    ledger.deploy("2.0.0", previous="1.65.0")
    assert EnvironmentIndex.parse(network.files[INDEX], "production") is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_index_or_none(data: bytes) -> None:
    EnvironmentIndex.parse(data, "production")


def test_a_forged_record_in_the_index_is_not_used_from_the_future(
    ledger: Ledger, network: Network
) -> None:
    ledger.deploy("1.0.0")
    future = record("6.6.6", previous="1.0.0", id="f0", started_at="2099-01-01T00:00:00.000000Z")
    document = json.loads(network.files[INDEX])
    document["recent"].append(future.to_document())
    network.files[INDEX] = json.dumps(document).encode()
    ledger.reporter = reported = Recorder()
    (found,) = ledger.history.deployed("production")
    assert (found.version, found.uncertain) == ("1.0.0", False)
    assert any("from the future" in line for line in reported.warnings)


def test_a_forgotten_environment_begins_with_a_new_index(ledger: Ledger) -> None:
    deploy_many(ledger, 66)
    then = replace(ledger.history, clock=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    then.forget("production", actor="someone")
    assert ledger.history.environments() == []
    assert ledger.history.deployed("production") == []
    assert ledger.history.latest("production", limit=10) == []
    ledger.history.append(record("7.0.0", id="aa", started_at="2026-02-02T00:00:00.000000Z"))
    found = ledger.history.latest("production", limit=10)
    assert [each.started.id for each in found] == ["aa"]
    assert ledger.history.environments() == ["production"]
