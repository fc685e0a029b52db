"""What may be said of a gateway: shapes, its own words, and nothing that names anyone."""

from __future__ import annotations

from typing import Any

import pytest

from ign_deploy.deployment.conformance import PROBE_FILE, PROBE_ID
from ign_deploy.deployment.conformance.redaction import Redactor, merged

REDACTOR = Redactor(("plant-1", "gw1.plant.example:8043", "k3y"))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Certificate has not been accepted.", "Certificate has not been accepted."),
        (f"there is no module {PROBE_ID}", f"there is no module {PROBE_ID}"),
        (f"{PROBE_FILE} is too large", f"{PROBE_FILE} is too large"),
        ("java.lang.ClassNotFoundException: com.example.Hook",) * 2,
        ("Plant-1 says no", "<private> says no"),
        ("see https://gw1.plant.example/x?y", "see <url>"),
        ("from 10.1.2.3:8088 and ::1", "from <address> and <address>"),
        ("ask eve@plant.example", "ask <address>"),
        ("no route to db.plant.local", "no route to <host>"),
        ("in /home/eve/ignition and C:\\Users\\eve", "in <path> and <path>"),
        ("licence 1A2B3C4D-9F8E7D6C", "licence <key>"),
        ("token abcdefghijklmnopqrstuvwxyz0123", "token <value>"),
        ("two\nlines\x1b[31m", "two lines [31m"),
    ],
)
def test_an_explanation_is_kept_without_what_names_anyone(said: str, shown: str) -> None:
    assert REDACTOR.text(said) == shown


def test_an_explanation_is_short() -> None:
    assert len(REDACTOR.text("no " * 1000)) <= 160


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"name": "plant-9", "port": 8043}, {"name": "<string>", "port": "<number>"}),
        ({"state": "ACTIVE"}, {"state": "ACTIVE"}),
        ({"state": "plant-1"}, {"state": "<string>"}),
        ({"state": "an own word!"}, {"state": "<string>"}),
        ({"ignitionVersion": "8.3.8 (b2026071409)"},) * 2,
        ({"deploymentMode": "Line 4"}, {"deploymentMode": "<string>"}),
        ({"deploymentMode": "production"},) * 2,
        ({"gw1.plant.example": 1}, {"<name>": "<number>"}),
        ({"plant-1": 1}, {"<name>": "<number>"}),
        ({"user": None, "success": True}, {"user": None, "success": True}),
        (
            {"items": [{"id": "com.a", "state": "ACTIVE"}, {"id": "com.b", "free": True}]},
            {"items": [{"id": "<string>", "state": "<string>", "free": "<boolean>"}]},
        ),
        (
            {"items": [{"id": PROBE_ID, "version": "1.0.0 (b0)"}, {"id": "x", "version": "1.0.0"}]},
            {
                "items": [
                    {"id": "<string>", "version": "<string>"},
                    {"id": PROBE_ID, "version": "1.0.0 (b0)"},
                ]
            },
        ),
        ({"pending": [f"Module Installed: {PROBE_ID}", "Module Removed: com.a"]},
         {"pending": ["<string>", f"Module Installed: {PROBE_ID}"]}),
        ([[[[[[[[[[1]]]]]]]]]], [[[[[[[["<mixed>"]]]]]]]]),
    ],
)  # fmt: skip
def test_a_document_is_reduced_to_its_shape_and_to_known_words(said: Any, shown: Any) -> None:
    assert REDACTOR.document(said) == shown


def test_what_is_learnt_later_is_private_too() -> None:
    redactor = Redactor()
    redactor.learn(["bench-7", None, 17, "ab"])
    assert redactor.text("bench-7 and ab") == "<private> and ab"


def test_a_large_document_stays_small() -> None:
    wide = REDACTOR.document({f"f{number}": "x" for number in range(1000)})
    assert len(wide) == 50
    assert REDACTOR.document(["x"] * 100_000) == ["<string>"]


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([{"a": 1}, {"b": None}], {"a": 1, "b": None}),
        (["<string>", None], "<string>"),
        (["<string>", "ACTIVE"], "<string>"),
        (["<string>", "<number>"], "<mixed>"),
        ([[{"a": True}], [{"a": False}]], [{"a": "<boolean>"}]),
        ([], None),
    ],
)
def test_shapes_are_merged(values: list[Any], shape: Any) -> None:
    assert merged(values) == shape
