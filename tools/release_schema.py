"""Print the JSON Schema of release.json, which is published as docs/release.schema.json.

    .venv/bin/python -m tools.release_schema >docs/release.schema.json

The schema is that of the model which reads records, with what pydantic can't say: the patterns of
our own validators, and that exactly one file is the module. Its texts are for other programs'
authors, so they stand here and not in the model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from ign_deploy.repositories.record import (
    Component,
    FileName,
    FileRole,
    Release,
    ReleaseDependency,
    ReleaseFile,
    Signer,
    UtcTime,
)

# "$" alone would match before a line feed at the end in some languages.
_END = r"$(?!\n)"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-]))*"
_OURS = r"(?:[Rr][Ee][Ll][Ee][Aa][Ss][Ee]|[Ii][Nn][Dd][Ee][Xx])\.[Jj][Ss][Oo][Nn]"
_NAME = rf"^(?!{_OURS}{_END}){_PART}{_END}"
_TIME = rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{{1,6}})?Z{_END}".replace(r"\d", "[0-9]")

# What our validators demand, by the type of a field.
_DEMANDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (Component, {"pattern": _NAME, "maxLength": 200}),
    (FileName, {"pattern": _NAME, "maxLength": 255}),
    (UtcTime, {"pattern": _TIME, "format": "date-time"}),
)

_ABOUT: Mapping[type[BaseModel], tuple[str, Mapping[str, str]]] = {
    Release: (
        "A published version of an Ignition module. Written once, never changed.",
        {
            "schema_version": "Raised when a field changes its meaning. New fields don't raise it.",
            "id": "The module's id.",
            "name": "The module's name, for people.",
            "version": "The module's version, as in its module.xml.",
            "description": "One sentence.",
            "required_ignition_version": "The least version of Ignition; the gateway must be of "
            "the same line (8.1, 8.3). Empty: not stated.",
            "required_framework_version": "As the module states it; empty: not stated.",
            "scopes": "Where the module has code: G (gateway), D (designer), C (client), A (all).",
            "dependencies": "Modules that this one needs.",
            "free": "Whether the module runs without a licence.",
            "certificate": "Who signed the module.",
            "licence_crc": "The CRC-32 of the licence file, which gateways name when they ask for "
            "consent; null without one.",
            "files": "All files of the version, beside the record. Exactly one has the role "
            "module; no name is there twice, whatever its letter case.",
            "notes": "The release notes: foreign text, maybe Markdown. Make it harmless before "
            "you show it.",
            "tags": "Words that the publisher gave it.",
            "published_at": "When it was published, ISO 8601 in UTC.",
            "commit": "The commit it was built from; empty if it isn't known.",
            "build": "What is known of the CI run: ref, run, url, actor, source, environment.",
        },
    ),
    ReleaseFile: (
        "A file of the version.",
        {
            "name": "Its name: a plain file name in the version's own folder.",
            "sha256": "The SHA-256 of its bytes, in lower-case hex.",
            "size": "Its size in bytes.",
            "role": f"{', '.join(FileRole)}, or one that only newer versions know.",
        },
    ),
    Signer: (
        "The certificate that the module is signed with.",
        {
            "subject": "Its subject, as text.",
            "sha1": "Its SHA-1 fingerprint, which gateways show; lower-case hex.",
            "sha256": "Its SHA-256 fingerprint, in lower-case hex.",
        },
    ),
    ReleaseDependency: (
        "Another module that this one needs.",
        {
            "id": "Its id.",
            "scope": "Where it is needed, as letters; empty: not stated.",
            "required": "Whether the module doesn't start without it; null: not stated.",
        },
    ),
}


def release_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as JSON values."""
    made = Release.model_json_schema(ref_template="#/$defs/{model}")
    definitions = made.pop("$defs")
    for model in _ABOUT:
        _complete(model, made if model is Release else definitions[model.__name__])
    made["properties"]["files"]["contains"] = {
        "required": ["role"],
        "properties": {"role": {"const": FileRole.MODULE.value}},
    }
    made["properties"]["files"] |= {"minContains": 1, "maxContains": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ign-deploy:release:1",
        "title": "release.json",
        "description": made.pop("description"),
        **made,
        "$defs": definitions,
    }


def schema_text() -> str:
    """Return the schema as the published file has it."""
    return json.dumps(release_schema(), indent=2, ensure_ascii=False) + "\n"


def _complete(model: type[BaseModel], part: dict[str, Any]) -> None:
    """Give a model's schema its texts, and the demands of its fields' validators."""
    part["description"], texts = _ABOUT[model]
    part.pop("title")
    for name, field in model.model_fields.items():
        # A reference with a text beside it is allowed since draft 2019-09.
        stated: dict[str, Any] = part["properties"][name]
        stated.pop("title", None)
        for kind, demands in _DEMANDS:
            if any(item in field.metadata for item in get_args(kind)[1:]):
                stated.update(demands)
        if "pattern" in stated:
            # Rust's word for the end, which other languages don't know.
            stated["pattern"] = stated["pattern"].replace(r"\z", _END)
        stated["description"] = texts[name]


if __name__ == "__main__":
    sys.stdout.write(schema_text())
