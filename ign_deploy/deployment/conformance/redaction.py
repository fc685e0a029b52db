"""What a conformance report may say of a gateway: shapes, and values that can't be private.

Of a JSON document, names of fields and types stay. A value stays only if its field is known to hold
none but the gateway's own words, or if it is about the probe. In explanations, whatever may name a
host, a person, a path or a key is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ign_deploy.deployment.conformance import PROBE_ID, PROBE_NAME

STRING, NUMBER, BOOLEAN, MIXED = "<string>", "<number>", "<boolean>", "<mixed>"
_MOST_FIELDS, _MOST_ITEMS, _DEEPEST, _LONGEST = 50, 200, 8, 160
_SHORTEST_PRIVATE = 3
# Words of the gateway itself, as far as a value looks like one.
_WORDS = frozenset(
    {
        *("state", "onStartup", "licenseState", "redundancyRole", "edition", "details", "status"),
        *("mode", "ContextStatus", "RequireSsl"),
        *("RedundancyStatus", "RedundantState", "RedundantNodeActiveStatus"),
    }
)
_WORD = re.compile(r"[A-Za-z0-9_]{1,24}")
_VERSIONS = frozenset({"ignitionVersion", "version", "upgradeVersion", "openapi", "Version"})
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,10}){1,3}[-A-Za-z0-9]{0,16}( \(b[0-9]{1,20}\))?")
_MODES = frozenset({"production", "development", "test", "testing", "staging"})
_EXPLANATIONS = frozenset({"message", "reason", "faultCause"})
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_PRIVATE_TEXT = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]+@[\w.-]+"), "<address>"),
    (re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.I), "<address>"),
    (re.compile(r"(?<![\w<])(?:[A-Za-z]:\\|\\\\|~?/)[^\s'\",;]{2,}"), "<path>"),
    (
        re.compile(
            r"(?<![\w.-])(?:[\w-]+\.)+(?:local|lan|internal|corp|home|com|net|org|io|eu|de|uk|us)"
            r"(?::\d+)?(?![\w.-])",
            re.IGNORECASE,
        ),
        "<host>",
    ),
    (re.compile(r"(?<![\w-])[A-Z0-9]{4,}(?:-[A-Z0-9]{4,})+(?![\w-])"), "<key>"),
    (re.compile(r"(?<![\w.+/=-])[A-Za-z0-9+/=_-]{24,}(?![\w.+/=-])"), "<value>"),
)


@dataclass
class Redactor:
    """Reduces answers to what may be published; ``private`` are texts that never may."""

    private: Iterable[str] = ()
    _known: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.learn(self.private)

    def learn(self, private: Iterable[object]) -> None:
        """Add texts that are never to be published; short ones would be found everywhere."""
        texts = {each for each in private if isinstance(each, str)}
        texts = {each for each in texts if len(each) >= _SHORTEST_PRIVATE} | {*self._known}
        self._known = sorted(texts, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return an explanation without what may be private, on one line and short."""
        for each in self._known:
            text = re.sub(re.escape(each), "<private>", text, flags=re.IGNORECASE)
        kept, text = text.count(PROBE_ID), text.replace(PROBE_ID, "\0")
        for pattern, shown in _PRIVATE_TEXT:
            text = pattern.sub(shown, text)
        text = text.replace("\0", PROBE_ID) if kept else text
        text = "".join(each if each.isprintable() else " " for each in text)
        return " ".join(text.split())[:_LONGEST]

    def document(self, value: Any) -> Any:
        """Return a JSON value reduced to its shape and to what may be said."""
        return self._reduced(value, name="", is_foreign=False, depth=0)

    def _reduced(self, value: Any, *, name: str, is_foreign: bool, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return BOOLEAN if is_foreign and value is not None else value
        if isinstance(value, int | float):
            return NUMBER
        if isinstance(value, str):
            return self._string(value, name=name, is_foreign=is_foreign)
        if depth >= _DEEPEST:
            return MIXED
        if isinstance(value, list):
            return self._list(value, name=name, is_foreign=is_foreign, depth=depth + 1)
        is_foreign = is_foreign or value.get("id", PROBE_ID) != PROBE_ID
        return {
            self._key(key): self._reduced(each, name=key, is_foreign=is_foreign, depth=depth + 1)
            for key, each in list(value.items())[:_MOST_FIELDS]
        }

    def _list(self, values: list[Any], *, name: str, is_foreign: bool, depth: int) -> list[Any]:
        """Return one item for all of others, and each of the probe's own."""
        own: list[Any] = []
        others: list[Any] = []
        for each in values[:_MOST_ITEMS]:
            reduced = self._reduced(each, name=name, is_foreign=is_foreign, depth=depth)
            is_own = PROBE_ID in (reduced.get("id", "") if isinstance(reduced, dict) else str(each))
            (own if is_own else others).append(reduced)
        return [*([merged(others)] if others else []), *own]

    def _string(self, value: str, *, name: str, is_foreign: bool) -> str:
        is_word = name in _WORDS and _WORD.fullmatch(value) and not self._is_private(value)
        is_version = name in _VERSIONS and _VERSION.fullmatch(value)
        if not is_foreign and (is_word or is_version):
            return value
        if name == "deploymentMode" and value.lower() in _MODES:
            return value
        if not is_foreign and name in _EXPLANATIONS:
            return self.text(value)
        if value == PROBE_NAME or (PROBE_ID in value and len(value) <= _LONGEST):
            return self.text(value)
        return STRING

    def _is_private(self, value: str) -> bool:
        return any(each.lower() == value.lower() for each in self._known)

    def _key(self, key: str) -> str:
        return key if _KEY.fullmatch(key) and not self._is_private(key) else "<name>"


def merged(values: Iterable[Any]) -> Any:
    """Return one shape for several values: all fields that any of them has."""
    found: Any = None
    for value in values:
        found = _merged_two(found, value)
    return found


def _merged_two(first: Any, second: Any) -> Any:
    if first is None or second is None or first == second:
        return second if first is None else first
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = dict.fromkeys((*first, *second))
        return {key: _merged_two(first.get(key), second.get(key)) for key in keys}
    if isinstance(first, list) and isinstance(second, list):
        return [merged((*first, *second))] if first or second else []
    kinds = {kind_of(first), kind_of(second)}
    return kinds.pop() if len(kinds) == 1 else MIXED


def kind_of(value: Any) -> str:
    """Return the type of a reduced value."""
    if value is None:
        return "<null>"
    if isinstance(value, bool) or value == BOOLEAN:
        return BOOLEAN
    if isinstance(value, list):
        return "<list>"
    if isinstance(value, Mapping):
        return "<object>"
    return value if value in (NUMBER, MIXED) else STRING
