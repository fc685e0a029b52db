"""Deployment records: they survive a round trip, and untrusted content does no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.deployment.records import (
    MAX_DEPLOYMENT_RECORD_SIZE,
    DeploymentRecord,
    GatewayRecord,
    ModuleOnGateway,
    Outcome,
    Phase,
    check_environment,
)
from ign_deploy.errors import ConfigurationError, DeploymentError
from tests.support.records import record

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def document(**changes: Any) -> bytes:
    """Return a good record's document with some fields changed."""
    return json.dumps({**json.loads(record("1.0.0").to_json()), **changes}).encode()


@given(data=st.binary(max_size=300))
def test_any_bytes_parse_to_a_record_or_none(data: bytes) -> None:
    found = DeploymentRecord.parse(data)
    assert found is None or DeploymentRecord.parse(found.to_json()) == found


@given(field=st.sampled_from([*DeploymentRecord.model_fields, "foreign"]), value=JSON)
def test_any_value_in_any_field_is_read_or_skipped_and_can_be_written_again(
    field: str, value: object
) -> None:
    found = DeploymentRecord.parse(document(**{field: value}))
    if found is not None:
        written = found.to_json()
        assert DeploymentRecord.parse(written) == found
        assert "/" not in found.file_name
        json.loads(written, parse_constant=lambda word: pytest.fail(f"{word} isn't JSON"))


@given(
    field=st.sampled_from(["gateway", "name", "outcome", "message", "seconds", "modules"]),
    value=JSON,
)
def test_any_value_in_a_field_of_a_gateway_is_read_or_skipped(field: str, value: object) -> None:
    gateways = [{"gateway": "https://plant-1", field: value}]
    found = DeploymentRecord.parse(document(gateways=gateways))
    if found is not None:
        assert DeploymentRecord.parse(found.to_json()) == found


@given(st.text(max_size=80))
def test_an_accepted_environment_is_a_plain_folder_name(name: str) -> None:
    try:
        check_environment(name)
    except ConfigurationError:
        assert DeploymentRecord.parse(document(environment=name)) is None
    else:
        assert name.isascii()
        assert not {"/", "\\", "\0", ":"} & set(name)
        assert not name.startswith(".")
        assert not name.endswith(".")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../a", "a\\b", "a\n", "a\0b", " a", "a b", "-a", ".git", "a..b", "a.",
     "x" * 65, "prod%2F", "C:", "é"],
)  # fmt: skip
def test_an_environment_with_characters_of_paths_is_rejected(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid environment name"):
        check_environment(name)


@pytest.mark.parametrize("name", ["production", "plant-1", "EU.west_2", "0", "x" * 64])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert check_environment(name) == name


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../x"},
        {"id": ""},
        {"phase": "half"},
        {"outcome": "fine"},
        {"environment": "../x"},
        {"schema_version": 0},
        {"gateways": [{"gateway": 1}]},
        {"gateways": [{"gateway": "x", "seconds": float("nan")}]},
        {"gateways": [{"gateway": "x", "seconds": float("inf")}]},
        {"started_at": None},
    ],
    ids=str,
)
def test_an_invalid_record_is_none(changes: dict[str, Any]) -> None:
    assert DeploymentRecord.parse(document(**changes)) is None


def test_an_oversized_record_is_none() -> None:
    assert DeploymentRecord.parse(document(notes="x")) is not None
    assert DeploymentRecord.parse(document() + b" " * MAX_DEPLOYMENT_RECORD_SIZE) is None


def test_unknown_fields_and_long_texts_are_cut() -> None:
    found = DeploymentRecord.parse(
        document(notes="x" * 9000, later={"n": [1, 2]}, schema_version=2)
    )
    assert found is not None
    assert len(found.notes) == 4000
    assert b"later" not in found.to_json()


def test_documents_sort_by_the_start_of_the_deployment() -> None:
    early = record("1.0.0", started_at="2026-01-31T12:00:00.000009Z", id="ff")
    late = record("1.0.0", started_at="2026-01-31T12:00:00.000010Z", id="00")
    assert early.file_name < late.file_name
    assert late.file_name == "20260131T120000000010Z-00-started.json"


def test_a_record_is_written_the_same_way_each_time() -> None:
    found = DeploymentRecord.parse(record("1.0.0").to_json())
    assert found is not None
    assert found == record("1.0.0")
    assert found.to_json() == record("1.0.0").to_json()
    assert found.gateways[0].modules[0].outcome is Outcome.UNTOUCHED


def large(
    gateways: int, modules: int, *, version: str = "1.10.0", **module: Any
) -> DeploymentRecord:
    """Return the start of a deployment of so many modules to so many gateways."""
    installed = tuple(
        ModuleOnGateway(
            id=f"com.example.module-{number}",
            version=version,
            sha256=f"{number:064x}",
            previous="1.9.0",
            **module,
        )
        for number in range(modules)
    )
    records = tuple(
        GatewayRecord(gateway=f"https://plant-{number}.example:8043", modules=installed)
        for number in range(gateways)
    )
    return record("1.0.0").model_copy(update={"gateways": records})


def end_of(started: DeploymentRecord, *, text: str) -> DeploymentRecord:
    """Return the largest end that the deployment may have: everything was rolled back."""
    changed = {"outcome": Outcome.ROLLBACK_FAILED, "restored": "1.9.0", "license_state": text}
    gateways = tuple(
        gateway.model_copy(
            update={
                "outcome": Outcome.ROLLBACK_FAILED,
                "message": text,
                "seconds": 1234.567,
                "modules": tuple(each.model_copy(update=changed) for each in gateway.modules),
            }
        )
        for gateway in started.gateways
    )
    return started.model_copy(
        update={"phase": Phase.ENDED, "ended_at": started.started_at, "gateways": gateways}
    )


def test_20_modules_on_200_gateways_are_written_and_read() -> None:
    started = large(200, 20)
    ended = end_of(started, text="licensed")
    assert DeploymentRecord.parse(started.to_json()) == started
    assert DeploymentRecord.parse(ended.to_json()) == ended
    assert len(ended.to_json()) < 1 << 19


@pytest.mark.parametrize(
    ("gateways", "modules", "text"),
    [(500, 20, "\U0001f600" * 1000), (11_000, 1, "é" * 300), (1, 6000, '"' * 400)],
    ids=["both", "gateways", "modules"],
)
def test_whatever_could_be_started_can_be_ended_and_read_again(
    gateways: int, modules: int, text: str
) -> None:
    started = large(gateways, modules)
    assert DeploymentRecord.parse(started.to_json()) == started
    data = end_of(started, text=text).to_json()
    found = DeploymentRecord.parse(data)
    assert len(data) <= MAX_DEPLOYMENT_RECORD_SIZE
    assert found is not None
    assert found.phase is Phase.ENDED
    restored = {module.restored for gateway in found.gateways for module in gateway.modules}
    assert restored == {"1.9.0"}


def test_what_would_be_too_large_is_refused_at_the_start() -> None:
    with pytest.raises(DeploymentError, match="20 modules on 2000 gateways"):
        large(2000, 20).to_json()


@pytest.mark.parametrize(
    "modules",
    [[{"module": 0}] * 100_000, [{"module": 1}], [{"module": -1}], [{"module": True}]],
    ids=["long", "unknown", "negative", "boolean"],
)
def test_a_hostile_table_of_modules_is_not_expanded(modules: list[Any]) -> None:
    table = [{"id": "x" * 4000, "version": "1"}]
    gateways = [{"gateway": "x", "modules": modules}]
    assert DeploymentRecord.parse(document(gateways=gateways, modules=table)) is None
