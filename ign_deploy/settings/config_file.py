"""The config file: ign-deploy.toml, or the table [tool.ign-deploy] of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ign_deploy.errors import CombinedError, ConfigurationError, docs_url
from ign_deploy.files import decode_text, os_error_reason, read_regular
from ign_deploy.settings.config_paths import gateway_from_file, value_from_file
from ign_deploy.settings.deployment import GatewayEntry
from ign_deploy.settings.model import Settings
from ign_deploy.settings.source import Source, default_variable
from ign_deploy.settings.toml_positions import (
    KeyPath,
    excerpt,
    excerpt_at,
    find_marks,
    offset_of,
)

CONFIG_FILE = "ign-deploy.toml"
_PATH = Source("Projects of a batch or plan.", metavar="PATH")
_MAX_CONFIG_SIZE = 1 << 20
_GATEWAYS = "gateways"
_PATHS = "paths"
_MOST_KEY_PARTS = 100
_TEXT = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'")
_POSITION = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)")
_SYNTAX_HINTS = {
    "Invalid value": 'put text into quotes: key = "value".',
    "Expected '=' after a key": 'write key = "value".',
    "Cannot overwrite a value": "give each key once.",
    "Cannot declare": "give each table once.",
}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config file: its text, our table in it, and the keys that lead to the table."""

    path: Path
    table: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    prefix: KeyPath = ()

    def excerpt(self, *keys: str | int, is_value: bool = False) -> str:
        """Return the line of a key and a caret, after a line break; nothing if it isn't known."""
        marks, _ = find_marks(self.text)
        for length in range(len(keys), 0, -1):
            path = (*self.prefix, *keys[:length])
            # A table may have no header of its own, only those of the tables in it.
            found = [each for each in marks if each[: len(path)] == path]
            if found:
                is_exact = is_value and found[0] == path and length == len(keys)
                return "\n" + excerpt(self.text, marks[found[0]], is_value=is_exact)
        return ""


@dataclass(frozen=True, slots=True)
class ConfigLayer:
    """The settings of a config file by name: each value and its origin."""

    values: Mapping[str, tuple[object, str]]
    file: ConfigFile
    keys: Mapping[str, str]

    def excerpt(self, name: str, *inner: str | int) -> str:
        """Return the line of a setting's value, or of something in it; see ``ConfigFile``."""
        return self.file.excerpt(self.keys.get(name, name), *inner, is_value=True)


def config_layer(chosen: Path | None, folder: Path) -> ConfigLayer:
    """Return the file's settings.

    ``chosen`` is the user's ``--config``; otherwise ``folder`` is searched. Paths in the file are
    relative to it. Raises ConfigurationError for an unreadable file, an unknown setting, or a
    secret; CombinedError for several.
    """
    file = _read_config(chosen, folder)
    values: dict[str, tuple[object, str]] = {}
    keys: dict[str, str] = {}
    problems: list[ConfigurationError] = []
    known = {name.replace("_", "-"): (name, source) for name, _, source in Settings.names()}
    gateways, gateway_problems = _gateways(file, known)
    for key, value in file.table.items():
        if key == _GATEWAYS:
            values[_GATEWAYS] = (gateways, f"[[gateways]] in {file.path}")
            problems += gateway_problems
            continue
        if key == _PATHS:
            moved = value_from_file(value, _PATH, file.path.parent, name=key, gateway_names=())
            values[_PATHS] = (moved, f"{key} in {file.path}")
            continue
        name, source = known.get(key.replace("_", "-"), ("", Source("")))
        if not name or _has_tables(value):
            problems.append(_unknown(file, key, value, known))
        elif source.secret:
            problems.append(_secret(file, key, source.env or default_variable(name)))
        names = {each.name for each in gateways}
        own = value_from_file(value, source, file.path.parent, name=name, gateway_names=names)
        values[name], keys[name] = (own, f"{key} in {file.path}"), key
    if len(problems) > 1:
        raise CombinedError(f"{file.path} has {len(problems)} errors", causes=problems)
    if problems:
        raise problems[0]
    return ConfigLayer(values, file, keys)


def _has_tables(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) for item in items)


def _unknown(
    file: ConfigFile, key: str, value: object, known: Mapping[str, object]
) -> ConfigurationError:
    """Return the error for a key that isn't a setting, or a table where none can be."""
    if _has_tables(value):
        what, hint = "unknown table", _hint_for_table(key, value, known)
    else:
        what, hint = "unknown setting", _hint_for_key(key, known)
    return ConfigurationError(f"{what} {key!r} in {file.path}{file.excerpt(key)}", hint=hint)


def _hint_for_key(key: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(key.replace("_", "-"), [*known, _GATEWAYS, _PATHS], n=1)
    return f"did you mean '{near[0]}'?" if near else f"see {docs_url('settings.md')}"


def _hint_for_table(key: str, value: object, known: Mapping[str, object]) -> str:
    inner = [str(each) for each in value] if isinstance(value, dict) else []
    meant = next((name for each in inner for name in (f"{key}-{each}", each) if name in known), "")
    if meant:
        return f"settings are not in tables: write {meant} = … at the top of the file."
    if get_close_matches(key, [_GATEWAYS], n=1):
        return "did you mean '[[gateways]]'?"
    return "settings are not in tables, except those of [[gateways]]."


def _secret(file: ConfigFile, key: str, variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file.path} contains the secret setting {key!r}, but config files get committed"
        f"{file.excerpt(key)}",
        hint=f"set the environment variable {variable}.",
    )


def _gateways(
    file: ConfigFile, settings: Mapping[str, object]
) -> tuple[tuple[GatewayEntry, ...], list[ConfigurationError]]:
    """Read the tables of gateways; return them, and what is wrong with others."""
    value = file.table.get(_GATEWAYS, [])
    tables = value if isinstance(value, list) else [value]
    found: list[GatewayEntry] = []
    problems: list[ConfigurationError] = []
    for number, table in enumerate(tables):
        fields = (
            {str(key).replace("-", "_"): item for key, item in table.items()}
            if isinstance(table, dict)
            else table
        )
        try:
            entry = GatewayEntry.model_validate(fields)
        except ValidationError as cause:
            where: KeyPath = (number,) if isinstance(value, list) else ()
            problems += _gateway_problems(cause, table, file, where, settings)
            continue
        if entry.name in {each.name for each in found}:
            problems.append(
                ConfigurationError(
                    f"two gateways in {file.path} share the name {entry.name[:100]!r}"
                    f"{file.excerpt(_GATEWAYS, number, 'name', is_value=True)}",
                    hint="give each gateway a unique name.",
                )
            )
        found.append(gateway_from_file(entry, file.path.parent))
    return tuple(found), problems


def _gateway_problems(
    cause: ValidationError,
    table: object,
    file: ConfigFile,
    where: KeyPath,
    settings: Mapping[str, object],
) -> list[ConfigurationError]:
    """Return an error for each wrong key of a gateway's table."""
    own = [name.replace("_", "-") for name in GatewayEntry.model_fields]
    raw = {str(key).replace("-", "_"): str(key) for key in table} if isinstance(table, dict) else {}
    title = f"gateway {int(where[0]) + 1}" if where else "the table gateways"
    found: list[ConfigurationError] = []
    for each in cause.errors(include_input=False, include_url=False, include_context=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        key = raw.get(name, name.replace("_", "-"))
        hint = f"use only these keys: {', '.join(own)}."
        if each["type"] == "extra_forbidden":
            near = get_close_matches(key.replace("_", "-"), own, n=1)
            message = f"unknown key {key!r} of {title} in {file.path}"
            if near:
                hint = f"did you mean '{near[0]}'?"
            elif key.replace("_", "-") in settings:
                hint = f"{key} is not a key of gateways: write it above the first [[gateways]]."
        elif each["type"] == "missing":
            message = f"{title} in {file.path} has no {key!r}"
            hint = f'add {key} = "…".'
        elif each["type"] == "string_too_short":
            message = f"{key!r} of {title} in {file.path} is empty"
            hint = f"give {key} a value."
        else:
            about = f"{key}: " if key else ""
            message = f"{title} in {file.path} is not valid: {about}{each['msg']}"
        is_value = each["type"] not in ("extra_forbidden", "missing")
        mark = file.excerpt(_GATEWAYS, *where, *([key] if key else []), is_value=is_value)
        found.append(ConfigurationError(f"{message}{mark}", hint=hint))
    return found


def _read_config(chosen: Path | None, folder: Path) -> ConfigFile:
    if chosen is not None:
        return _config_table(chosen)
    own = folder / CONFIG_FILE
    if own.is_file():
        return _config_table(own)
    project = folder / "pyproject.toml"
    return _config_table(project, is_named=False) if project.is_file() else ConfigFile(project)


def _require_shallow(data: bytes) -> None:
    """Raise ValueError for keys with very many parts, which take tomllib minutes."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        # Lists of URLs have many dots as well.
        if (
            line.count(b".") > _MOST_KEY_PARTS
            and _TEXT.sub(b"", line).count(b".") > _MOST_KEY_PARTS
        ):
            raise ValueError(f"line {number} has a key with more than {_MOST_KEY_PARTS} parts")


def _config_table(path: Path, *, is_named: bool = True) -> ConfigFile:
    """Read our table; raises ConfigurationError.

    A project file that can't be read matters only if it was named, or speaks of us.
    """
    data, text = b"", ""
    try:
        data = read_regular(path, limit=_MAX_CONFIG_SIZE)
        _require_shallow(data)
        text = decode_text(data).replace("\r\n", "\n")  # as tomllib counts
        document = tomllib.loads(text)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read {path}: {os_error_reason(cause)}", hint="check --config."
        ) from cause
    except (ValueError, RecursionError) as cause:  # TOMLDecodeError is a ValueError
        if not is_named and b"ign-deploy" not in data:
            return ConfigFile(path)
        raise _not_toml(path, text, cause) from cause
    if path.name != "pyproject.toml":
        return ConfigFile(path, document, text)
    tools = document.get("tool", {})
    table = tools.get("ign-deploy", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        shown = ConfigFile(path, document, text).excerpt("tool", "ign-deploy")
        raise ConfigurationError(
            f"tool.ign-deploy in {path} is not a table{shown}",
            hint="put the settings below [tool.ign-deploy].",
        )
    return ConfigFile(path, table, text, ("tool", "ign-deploy"))


def _not_toml(path: Path, text: str, cause: Exception) -> ConfigurationError:
    """Return the error for a file that isn't TOML, with the line where it stops being so."""
    reason = str(cause)
    hint = next((each for start, each in _SYNTAX_HINTS.items() if reason.startswith(start)), "")
    match = _POSITION.search(reason)
    shown = ""
    if match is not None:
        reason = reason.replace(match[0], "")
        # What isn't finished, or is given twice, is the last statement.
        _, offset = find_marks(text)
        if match[1] is None and not hint.startswith("give"):
            hint = "finish the line: a quote or a bracket may be missing."
        if match[1] and not reason.startswith("Cannot"):
            offset = offset_of(text, int(match[1]), int(match[2]))
        shown = "\n" + excerpt_at(text, offset)
    return ConfigurationError(
        f"{path} is not valid TOML: {reason}{shown}",
        hint=hint or "fix the file, and save it as UTF-8.",
    )
