"""GitHub's GraphQL API, as far as the backend uses it: queries are parsed, and checked strictly.

What isn't in ``_FIELDS``, which is a part of GitHub's schema, is refused, as GitHub refuses what
isn't in all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.github.state import Refused, SimulatedRepository, blob_sha
from tests.support.serving import Reply, json_reply

PATH = "/graphql"
LONGEST_TEXT = 512_000
"""Bytes after which the text of a file is cut off."""
_FIELDS: dict[str, dict[str, dict[str, str]]] = {
    "Query": {"repository": {"owner": "String!", "name": "String!"}},
    "Repository": {"object": {"expression": "String"}},
    "Blob": {name: {} for name in ("oid", "text", "isTruncated", "isBinary", "byteSize")},
}
_COMPOSITE = {"repository": "Repository", "object": "GitObject"}
_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_]\w*|[$!:(){},])")


class InvalidQuery(Exception):
    """What GitHub says of a query that it doesn't run."""


@dataclass
class _Field:
    """A requested field; ``arguments`` are names of variables. ``on`` is for a fragment."""

    alias: str
    name: str
    arguments: dict[str, str]
    fields: list[_Field]
    on: str = ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise InvalidQuery("Parse error")
        self.variables: dict[str, str] = {}

    def query(self) -> list[_Field]:
        self._take("query")
        self._list("(", ")", self._variable)
        fields = self._list("{", "}", self._field)
        if self._tokens:
            raise InvalidQuery(f"Expected one operation, got {self._tokens[0]}")
        return fields

    def _variable(self) -> None:
        self._take("$")
        name, _, kind = self._take(), self._take(":"), self._take()
        self.variables[name] = kind + (self._take("!") if self._next() == "!" else "")

    def _field(self) -> _Field:
        if self._next() == "...":
            self._take("...")
            self._take("on")
            on = self._take()
            return _Field("", "", {}, self._list("{", "}", self._field), on)
        alias = name = self._take()
        if self._next() == ":":
            self._take(":")
            name = self._take()
        arguments: dict[str, str] = {}
        if self._next() == "(":
            arguments = dict(self._list("(", ")", self._argument))
        fields = self._list("{", "}", self._field) if self._next() == "{" else []
        return _Field(alias, name, arguments, fields)

    def _argument(self) -> tuple[str, str]:
        name, _, _ = self._take(), self._take(":"), self._take("$")
        return name, self._take()

    def _list(self, begin: str, end: str, item: Callable[[], Any]) -> list[Any]:
        self._take(begin)
        found = []
        while self._next() != end:
            found.append(item())
            if self._next() == ",":
                self._take(",")
        self._take(end)
        return found

    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self, wanted: str = "") -> str:
        if not self._tokens or (wanted and self._tokens[0] != wanted):
            raise InvalidQuery(f"Expected {wanted or 'a name'}, got {self._next() or 'the end'}")
        return str(self._tokens.pop(0))


def answer(body: bytes, repository: SimulatedRepository) -> Reply:
    """Run a query about the one repository; raises InvalidQuery."""
    document = json.loads(body)
    parser = _Parser(document["query"])
    fields = parser.query()
    values = document.get("variables", {})
    _require_sound(fields, "Query", parser.variables, values)
    data: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []
    for each in fields:
        owner, name = (values[each.arguments[part]] for part in ("owner", "name"))
        full_name = f"{owner}/{name}".lower()
        known = {repository.full_name.lower(), repository.former_name.lower()} - {""}
        if full_name not in known:
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            errors.append({"type": "NOT_FOUND", "path": [each.alias], "message": message})
            data[each.alias] = None
            continue
        data[each.alias] = {
            inner.alias: _object(inner, values[inner.arguments["expression"]], repository)
            for inner in each.fields
        }
    return json_reply(200, {"data": data} | ({"errors": errors} if errors else {}))


def _object(field: _Field, expression: str, repository: SimulatedRepository) -> object:
    branch, _, path = expression.partition(":")
    try:
        files = repository.files(branch)
    except Refused:
        return None
    if path not in files:
        is_folder = any(name.startswith(f"{path}/") for name in files)
        return {} if is_folder else None
    content = files[path]
    text = _text(content)
    values = {
        "oid": blob_sha(content),
        "text": text,
        "isTruncated": len(content) > LONGEST_TEXT,
        "isBinary": text is None,
        "byteSize": len(content),
    }
    return {leaf.alias: values[leaf.name] for part in field.fields for leaf in part.fields}


def _text(content: bytes) -> str | None:
    try:
        return content[:LONGEST_TEXT].decode()
    except UnicodeDecodeError:
        return None


def _require_sound(
    fields: list[_Field], kind: str, variables: dict[str, str], values: dict[str, Any]
) -> None:
    unused, pending = set(variables), [(each, kind) for each in fields]
    while pending:
        field, on = pending.pop()
        if field.on:
            if on != "GitObject" or field.on not in _FIELDS:
                raise InvalidQuery(f"Fragment on {field.on} can't be spread inside {on}")
            pending += [(each, field.on) for each in field.fields]
            continue
        known = _FIELDS.get(on, {}).get(field.name)
        if known is None:
            raise InvalidQuery(f"Field '{field.name}' doesn't exist on type '{on}'")
        if bool(field.fields) != (field.name in _COMPOSITE):
            raise InvalidQuery(f"Field '{field.name}' must have selections, or must not")
        for name, variable in field.arguments.items():
            if name not in known or variable not in variables:
                raise InvalidQuery(f"'{name}' of '{field.name}' or its variable isn't declared")
            if known[name] not in {variables[variable], variables[variable].rstrip("!")}:
                raise InvalidQuery(f"Type mismatch on variable ${variable} and argument {name}")
            unused.discard(variable)
        if missing := [
            name for name, each in known.items()
            if each.endswith("!") and name not in field.arguments
        ]:  # fmt: skip
            raise InvalidQuery(f"Field '{field.name}' is missing required arguments: {missing[0]}")
        pending += [(each, _COMPOSITE[field.name]) for each in field.fields]
    if unused:
        raise InvalidQuery(f"Variable ${min(unused)} is declared but not used")
    for name, each in variables.items():
        if not (isinstance(values.get(name), str) or (name not in values and each[-1] != "!")):
            raise InvalidQuery(f"Variable ${name} of type {each} was provided invalid value")
