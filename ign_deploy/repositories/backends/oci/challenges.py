"""What a registry asks for (``WWW-Authenticate``, RFC 9110 11.6.1), read from a foreign header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST = 8 << 10
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_PART = re.compile(
    rf'\s*(?:,\s*)*(?:({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))|({_WORD})(?=\s|,|\Z))'
)
_UNQUOTED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme (in lower case) with its parameters, by name in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """Return the challenges up to the first thing that can't be read."""
    found: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = 0
    text = header[:_LONGEST]
    while match := _PART.match(text, position):
        position = match.end()
        name, quoted, plain, scheme = match.groups()
        if scheme is not None:
            parameters = {}
            found.append(Challenge(scheme.lower(), parameters))
        elif found:
            value = plain if quoted is None else _UNQUOTED.sub(r"\1", quoted)
            parameters.setdefault(name.lower(), value)
    return found


def actions_asked(scope: str, *, name: str) -> set[str]:
    """Return the actions that a scope such as ``repository:acme/modules:pull,push`` asks for.

    Another repository's aren't counted.
    """
    found: set[str] = set()
    for each in scope.split():
        kind, _, rest = each.partition(":")
        repository, _, actions = rest.rpartition(":")
        if (kind, repository) == ("repository", name):
            found |= set(actions.split(","))
    return found
