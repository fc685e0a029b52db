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
    Outcome,
    check_environment,
)
from ign_deploy.errors import ConfigurationError
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
