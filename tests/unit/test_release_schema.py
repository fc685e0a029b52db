"""The published JSON Schema of release.json matches the model and accepts the same records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from ign_deploy.errors import RepositoryError
from ign_deploy.module.artifacts import Bundle
from ign_deploy.repositories.record import is_safe_component, make_release, parse_release
from ign_deploy.repositories.upload import describe_release
from tests.support.pages import ROOT, blocks, code_words, page_text
from tests.support.releases import PUBLISHED_AT, release_fields, verified_module
from tools.release_schema import release_schema, schema_text

PUBLISHED = ROOT / "docs" / "release.schema.json"
SCHEMA: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
Fields = dict[str, Any]


def is_accepted(document: object) -> bool:
    accepted: bool = VALIDATOR.is_valid(document)
    return accepted


def is_read(document: object) -> bool:
    try:
        parse_release(json.dumps(document).encode(), location="here")
    except RepositoryError:
        return False
    return True


def test_the_published_schema_matches_the_model() -> None:
    assert PUBLISHED.read_text("utf-8") == schema_text(), (
        "run: .venv/bin/python -m tools.release_schema >docs/release.schema.json"
    )


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(release_schema())
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]


def test_every_field_is_described_and_none_has_a_generated_title() -> None:
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        for name, stated in part["properties"].items():
            assert stated["description"][-1] in ".:", name
            assert "title" not in stated
    assert r"\z" not in PUBLISHED.read_text("utf-8")
    assert "``" not in PUBLISHED.read_text("utf-8")


def test_our_records_are_valid(tmp_path: Path) -> None:
    path, bundle = tmp_path / "thing.modl", tmp_path / "thing.zip"
    path.write_bytes(b"module")
    bundle.write_bytes(b"zip")
    written = Bundle(bundle, hashlib.sha256(b"zip").hexdigest(), 3)
    module = verified_module(path)
    release = describe_release(
        module, published_at=PUBLISHED_AT, tags=("a",), notes="Größe", bundle=written
    )
    assert is_accepted(json.loads(release.to_json()))


def test_a_minimal_record_and_newer_fields_are_valid() -> None:
    needed = {name: release_fields()[name] for name in SCHEMA["required"]}
    assert is_accepted(needed)
    assert is_read(needed)
    fields = release_fields() | {"schema_version": 2, "later": [1]}
    fields["certificate"]["log_index"] = 17
    fields["files"].append({**fields["files"][0], "name": "vex.json", "role": "vex"})
    assert is_accepted(fields)
    assert is_accepted(json.loads(make_release(**fields).to_json()))


HOSTILE: dict[str, Callable[[Fields], object]] = {
    "no object": lambda fields: [fields],
    "no id": lambda fields: fields.pop("id"),
    "an id that climbs": lambda fields: fields.update(id="../../etc"),
    "an id that is a path": lambda fields: fields.update(id="a/b"),
    "an id with a line feed at its end": lambda fields: fields.update(id="com.acme.thing\n"),
    "an id that is our own file": lambda fields: fields.update(id="Release.JSON"),
    "an id of other digits": lambda fields: fields.update(id="١٢"),
    "a version that is too long": lambda fields: fields.update(version="1" * 201),
    "a version that is a number": lambda fields: fields.update(version=1.2),
    "no file": lambda fields: fields.update(files=[]),
    "two modules": lambda fields: fields["files"].append(fields["files"][0] | {"name": "b.modl"}),
    "a file elsewhere": lambda fields: fields["files"][0].update(name="../other/x.modl"),
    "a file at another host": lambda fields: fields["files"][0].update(name="https://evil/x.modl"),
    "a digest in capitals": lambda fields: fields["files"][0].update(sha256="A" * 64),
    "a digest with a line feed": lambda fields: fields["files"][0].update(sha256="a" * 64 + "\n"),
    "a negative size": lambda fields: fields["files"][0].update(size=-1),
    "a huge size": lambda fields: fields["files"][0].update(size=2**63),
    "a size that is a text": lambda fields: fields["files"][0].update(size="1"),
    "no signer": lambda fields: fields.update(certificate=None),
    "a short fingerprint": lambda fields: fields["certificate"].update(sha1="ab"),
    "a local time": lambda fields: fields.update(published_at="2026-01-31T12:00:00+02:00"),
    "a time without seconds": lambda fields: fields.update(published_at="2026-01-31T12:00Z"),
    "a CRC of 33 bits": lambda fields: fields.update(licence_crc=2**32),
    "tags that are a text": lambda fields: fields.update(tags="a,b"),
    "a build of numbers": lambda fields: fields.update(build={"run": 1}),
    "version zero of the format": lambda fields: fields.update(schema_version=0),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_schema_and_model_reject_hostile_records(case: str) -> None:
    fields = release_fields()
    made = HOSTILE[case](fields)
    document = made if isinstance(made, list) else fields
    assert not is_accepted(document)
    assert not is_read(document)


@given(st.text(st.sampled_from("aZ09._+-/\\ \n\x00é٣"), max_size=12) | st.text(max_size=4))
def test_schema_and_model_agree_on_names(text: str) -> None:
    assert is_accepted(release_fields() | {"id": text}) == is_safe_component(text)


def test_every_field_is_documented() -> None:
    words = code_words(page_text("release-record.md"))
    parts = (SCHEMA, *SCHEMA["$defs"].values())
    assert {name for part in parts for name in part["properties"]} <= words


def test_the_record_in_the_documentation_is_valid() -> None:
    [shown] = [block for block in blocks("json") if block.page == "docs/release-record.md"]
    document = json.loads(shown.text)
    assert is_accepted(document)
    assert is_read(document)
    assert set(document) == set(SCHEMA["properties"])
