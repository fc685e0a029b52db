"""Print the JSON Schema of ign-deploy.toml, which is published as docs/ign-deploy.schema.json.

    .venv/bin/python -m tools.config_schema >docs/ign-deploy.schema.json

It is made from the settings: every one that isn't a secret is a key, with hyphens.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ign_deploy.settings import GatewayEntry, Settings

_GATEWAY = {
    "name": "Name of the gateway, for --gateway and messages.",
    "url": "URL of the gateway, or its modules folder.",
    "environment": "Environment that it belongs to.",
    "token-variable": "Environment variable that contains its API token (NAME:KEY).",
    "ca": "CA certificates (PEM file), if its CA is private.",
    "pin": "SHA-256 fingerprint of its TLS certificate.",
    "manifest": "File modules.json of an 8.3 gateway, if the URL is its modules folder.",
    "insecure-http": "Allow plain http to it on another machine, without a token.",
}


def config_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as JSON values."""
    settings = Settings.model_json_schema()["properties"]
    keys = {
        _key(name): {"description": source.help, **_value(settings[name])}
        for name, _, source in Settings.names()
        if not source.secret
    }
    gateway = GatewayEntry.model_json_schema()
    fields = {
        _key(name): {"description": _GATEWAY[_key(name)], **_without_title(stated)}
        for name, stated in gateway["properties"].items()
    }
    keys["paths"] = {
        "description": "Projects of `plan` and `batch` without PATH: paths or patterns.",
        **_value(settings["paths"]),
    }
    keys["gateways"] = {
        "description": "The gateways, one table each.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": fields,
            "required": gateway["required"],
            "additionalProperties": False,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ign-deploy:config:1",
        "title": "ign-deploy.toml",
        "description": "Settings of ign-deploy. Secrets don't belong in this file.",
        "type": "object",
        "properties": dict(sorted(keys.items())),
        "additionalProperties": False,
    }


def schema_text() -> str:
    """Return the schema as in the published file."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"


def _key(name: str) -> str:
    return name.replace("_", "-")


def _value(stated: dict[str, Any]) -> dict[str, Any]:
    """Return what the values of a setting must be; a list may be a text with one value a line."""
    if stated.get("items") == {"type": "string"}:
        return {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}
    return _without_title(stated)


def _without_title(stated: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in stated.items() if name not in {"title", "default", "format"}
    }


if __name__ == "__main__":
    sys.stdout.write(schema_text())
