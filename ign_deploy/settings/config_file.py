"""The config file: ign-deploy.toml, or the table [tool.ign-deploy] of pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ign_deploy.errors import ConfigurationError
from ign_deploy.files import decode_text, os_error_reason, read_regular
from ign_deploy.settings.deployment import GatewayEntry
from ign_deploy.settings.model import Settings
from ign_deploy.settings.source import Source, default_variable

CONFIG_FILE = "ign-deploy.toml"
_MAX_CONFIG_SIZE = 1 << 20
_GATEWAYS = "gateways"
_MOST_KEY_PARTS = 100
_TEXT = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'")


def config_layer(chosen: Path | None, folder: Path) -> dict[str, tuple[object, str]]:
    """Return the file's settings by name: the value and its origin.

    ``chosen`` is the user's ``--config``; otherwise ``folder`` is searched. Raises
    ConfigurationError for an unreadable file, an unknown setting, or a secret.
    """
    path, table = _read_config(chosen, folder)
    layer: dict[str, tuple[object, str]] = {}
    known = {name.replace("_", "-"): (name, source) for name, _, source in Settings.names()}
    for key, value in table.items():
        if key == _GATEWAYS:
            layer[_GATEWAYS] = (_gateways(value, path), f"[[gateways]] in {path}")
            continue
        name, source = known.get(key.replace("_", "-"), ("", Source("")))
        if not name:
            near = get_close_matches(key, known, n=1)
            raise ConfigurationError(
                f"unknown setting {key!r} in {path}",
                hint=f"did you mean '{near[0]}'?" if near else f"use one of: {', '.join(known)}.",
            )
        if source.secret:
            raise ConfigurationError(
                f"{path} contains the secret setting {key!r}, but config files get committed",
                hint=f"set the environment variable {source.env or default_variable(name)}.",
            )
        layer[name] = (value, f"{key} in {path}")
    return layer


def _gateways(value: object, path: Path) -> tuple[GatewayEntry, ...]:
    """Read the tables of gateways; raises ConfigurationError, naming the table and the key."""
    tables = value if isinstance(value, list) else [value]
    found: list[GatewayEntry] = []
    for number, table in enumerate(tables, start=1):
        fields = (
            {str(key).replace("-", "_"): item for key, item in table.items()}
            if isinstance(table, dict)
            else table
        )
        try:
            found.append(GatewayEntry.model_validate(fields))
        except ValidationError as cause:
            problems = cause.errors(include_input=False, include_url=False, include_context=False)
            shown = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'the table'}: {each['msg']}"
                for each in problems
            )
            known = ", ".join(name.replace("_", "-") for name in GatewayEntry.model_fields)
            raise ConfigurationError(
                f"gateway {number} in {path} is not valid: {shown}",
                hint=f"use only these keys: {known}.",
            ) from None
    names = [each.name for each in found]
    if again := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigurationError(
            f"two gateways in {path} share the name {again[:100]!r}",
            hint="give each gateway a unique name.",
        )
    return tuple(found)


def _read_config(chosen: Path | None, folder: Path) -> tuple[Path, Mapping[str, Any]]:
    if chosen is not None:
        return chosen, _config_table(chosen)
    own = folder / CONFIG_FILE
    if own.is_file():
        return own, _config_table(own)
    project = folder / "pyproject.toml"
    return project, _config_table(project, is_named=False) if project.is_file() else {}


def _require_shallow(data: bytes) -> None:
    """Raise ValueError for keys with very many parts, which take tomllib minutes."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        # Lists of URLs have many dots as well.
        if (
            line.count(b".") > _MOST_KEY_PARTS
            and _TEXT.sub(b"", line).count(b".") > _MOST_KEY_PARTS
        ):
            raise ValueError(f"line {number} has a key with more than {_MOST_KEY_PARTS} parts")


def _config_table(path: Path, *, is_named: bool = True) -> Mapping[str, Any]:
    """Read our table; raises ConfigurationError.

    A project file that can't be read matters only if it was named, or speaks of us.
    """
    import tomllib

    data = b""
    try:
        data = read_regular(path, limit=_MAX_CONFIG_SIZE)
        _require_shallow(data)
        document = tomllib.loads(decode_text(data))
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read {path}: {os_error_reason(cause)}", hint="check --config."
        ) from cause
    except (ValueError, RecursionError) as cause:  # TOMLDecodeError is a ValueError
        if not is_named and b"ign-deploy" not in data:
            return {}
        raise ConfigurationError(
            f"{path} is not valid TOML: {cause}", hint="fix the file, and save it as UTF-8."
        ) from cause
    if path.name != "pyproject.toml":
        return document
    tools = document.get("tool", {})
    table = tools.get("ign-deploy", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"tool.ign-deploy in {path} is not a table",
            hint="put the settings below [tool.ign-deploy].",
        )
    return table
