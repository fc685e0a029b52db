"""Print the JSON Schema of release.json, which is published as docs/release.schema.json.

    .venv/bin/python -m tools.release_schema >docs/release.schema.json

It is the schema of the model that reads records, plus what pydantic can't express: the patterns of
our own validators, and that exactly one file is the module. Its texts are for authors of other
programs, so they are here and not in the model.
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

# What our validators require, by type of field.
_REQUIREMENTS: tuple[tuple[Any, dict[str, Any]], ...] = (
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
            "documentation_url": "A web page with its documentation, as the publisher gives it: "
            "untrusted; empty: not stated.",
            "required_ignition_version": "The minimum version of Ignition; the gateway must be of "
            "the same line (8.1, 8.3). Empty: not stated.",
            "required_framework_version": "As the module states it; empty: not stated.",
            "max_ignition_version": "The newest version or line of Ignition that the vendor "
            "supports; empty: not stated.",
            "tested_on": "Versions or lines of Ignition that the vendor tested the module on.",
            "scopes": "Where the module has code: G (gateway), D (designer), C (client), A (all).",
            "dependencies": "Modules that this one requires.",
            "free": "Whether the module runs without a licence.",
            "certificate": "Who signed the module.",
            "licence_crc": "The CRC-32 of the licence file, by which gateways identify an accepted "
            "licence; null without one.",
            "resigned_from": "The version with the same content that another certificate had "
            "signed; null for any other version.",
            "files": "All files of the version, besides the record. Exactly one has the role "
            "module; names are unique, ignoring letter case.",
            "notes": "The release notes: untrusted text, maybe Markdown. Neutralise it before "
            "you show it.",
            "tags": "Tags given by the publisher.",
            "published_at": "Publication time, ISO 8601 in UTC.",
            "commit": "The commit it was built from; empty if unknown.",
            "build": "What is known about the CI run: ref, run, url, actor, source, environment.",
        },
    ),
    ReleaseFile: (
        "A file of the version.",
        {
            "name": "Its name: a plain file name in the version's folder.",
            "sha256": "The SHA-256 of its bytes, in lower-case hex.",
            "size": "Its size in bytes.",
            "role": f"{', '.join(FileRole)}, or one that only newer versions know.",
        },
    ),
    Signer: (
        "The signing certificate.",
        {
            "subject": "Its subject, as text.",
            "sha1": "Its SHA-1 fingerprint, which gateways show; lower-case hex.",
            "sha256": "Its SHA-256 fingerprint, in lower-case hex.",
            "not_after": "When it expires, ISO 8601 in UTC; null if unknown.",
        },
    ),
    ReleaseDependency: (
        "Another module that this one requires.",
        {
            "id": "Its id.",
            "scope": "The scopes that need it, as letters; empty: not stated.",
            "required": "Whether the module fails to start without it; null: not stated.",
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
    """Return the schema as in the published file."""
    return json.dumps(release_schema(), indent=2, ensure_ascii=False) + "\n"


def _complete(model: type[BaseModel], part: dict[str, Any]) -> None:
    """Add texts, and the requirements of the fields' validators, to a model's schema."""
    part["description"], texts = _ABOUT[model]
    part.pop("title")
    for name, field in model.model_fields.items():
        # Text next to a reference is allowed since draft 2019-09.
        stated: dict[str, Any] = part["properties"][name]
        stated.pop("title", None)
        for kind, requirements in _REQUIREMENTS:
            if any(item in field.metadata for item in get_args(kind)[1:]):
                stated.update(requirements)
        if "pattern" in stated:
            # Rust's end anchor, which other languages don't know.
            stated["pattern"] = stated["pattern"].replace(r"\z", _END)
        stated["description"] = texts[name]


if __name__ == "__main__":
    sys.stdout.write(schema_text())
