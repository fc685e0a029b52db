"""The published JSON Schema of ign-deploy.toml matches the settings and accepts the same files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from ign_deploy.errors import ConfigurationError
from ign_deploy.settings import Inputs
from tests.support.pages import ROOT
from tools.config_schema import config_schema, schema_text

PUBLISHED = ROOT / "docs" / "ign-deploy.schema.json"
VALIDATOR = Draft202012Validator(json.loads(PUBLISHED.read_text("utf-8")))
EXAMPLES = sorted((ROOT / "examples" / "config").glob("*.toml"))


def is_accepted(text: str) -> bool:
    accepted: bool = VALIDATOR.is_valid(tomllib.loads(text))
    return accepted


def is_read(text: str, folder: Path) -> bool:
    file = folder / "ign-deploy.toml"
    file.write_text(text)
    try:
        Inputs(env={}, flags={}, folder=folder, use_action_inputs=False).resolve()
    except ConfigurationError:
        return False
    return True


def test_the_published_schema_matches_the_settings() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text(), (
        "run: .venv/bin/python -m tools.config_schema >docs/ign-deploy.schema.json"
    )


def test_the_schema_is_valid_and_every_key_described() -> None:
    schema: dict[str, Any] = config_schema()
    Draft202012Validator.check_schema(schema)
    gateway = schema["properties"]["gateways"]["items"]["properties"]
    for name, stated in (schema["properties"] | gateway).items():
        assert stated["description"].endswith("."), name


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_and_name_the_schema(path: Path) -> None:
    text = path.read_text("utf-8")
    assert is_accepted(text)
    assert text.startswith("#:schema https://")
    assert text.partition("\n")[0].endswith("/docs/ign-deploy.schema.json")


@pytest.mark.parametrize(
    "text",
    [
        'tags = ["a", "b"]',
        'tags = "a,b"',
        'paths = ["modules/*"]',
        "build-timeout = 10",
        '[[gateways]]\nname = "a"\nurl = "https://a"\ntoken-variable = "TOKEN"',
        'format = "both"\nrestart = "if-needed"',
    ],
)
def test_schema_and_program_accept(text: str, tmp_path: Path) -> None:
    assert is_accepted(text)
    assert is_read(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        'tag = ["a"]',
        "paths = [1]",
        "build-timeout = 0",
        'unknown = "x"',
        'signing-password = "x"',
        'format = "tar"',
        '[[gateways]]\nname = "a"',
        '[[gateways]]\nname = "a"\nurl = "https://a"\ntoken = "x"',
        "health-status = 99",
    ],
)
def test_schema_and_program_reject(text: str, tmp_path: Path) -> None:
    assert not is_accepted(text)
    assert not is_read(text, tmp_path)
