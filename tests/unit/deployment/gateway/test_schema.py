"""Responses are untrusted: whatever they contain, parsing them never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.deployment.gateway import schema

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MODELS = (
    schema.ChangeResponse,
    schema.UploadResponse,
    schema.CertificateResponse,
    schema.InstallResponse,
    schema.ModuleListing,
    schema.ModuleItem,
    schema.PendingRestart,
    schema.StatusPing,
    schema.GatewayInfo,
    schema.ApiDescription,
)
KEYS = sorted(
    {field.alias or name for model in MODELS for name, field in model.model_fields.items()}
)


@given(st.dictionaries(st.sampled_from(KEYS), ANY))
def test_any_values_of_the_known_fields_are_read(document: dict[str, Any]) -> None:
    for model in MODELS:
        answer = model.model_validate(document)
        if isinstance(answer, schema.ChangeResponse):
            answer.failure_reason()
        if isinstance(answer, schema.GatewayInfo):
            assert isinstance(answer.license_mode(), str)
    item = schema.ModuleItem.model_validate(document)
    assert all(
        isinstance(module.id, str) for module in schema.join_listings([item], quarantined=[item])
    )


@pytest.mark.parametrize(
    ("document", "is_failure"),
    [
        ({}, False),
        ({"success": True}, False),
        ({"success": None, "problem": None}, False),
        ({"problem": {}}, False),
        ({"success": False}, True),
        ({"success": "false"}, True),
        ({"problem": {"message": "x"}}, True),
    ],
)
def test_only_a_stated_failure_is_one(document: dict[str, Any], is_failure: bool) -> None:
    assert (
        schema.ChangeResponse.model_validate(document).failure_reason() is not None
    ) == is_failure


def test_fields_of_newer_gateways_are_ignored() -> None:
    item = schema.ModuleItem.model_validate(
        json.loads('{"id":"a","version":"1.0.0","shouldUpgrade":"true","news":{"x":1}}')
    )
    assert (item.id, item.should_upgrade) == ("a", True)
