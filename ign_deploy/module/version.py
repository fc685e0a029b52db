"""The gateway's version grammar; whatever a gateway can't install is rejected here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from ign_deploy.errors import ConfigurationError

_NUMBERS = re.compile(
    r"(?P<numbers>[0-9]{1,10}\.[0-9]{1,10}\.[0-9]{1,10}(?:\.[0-9]{1,10})?)"
    r"(?:-(?P<stage>rc|beta|SNAPSHOT)(?P<count>[0-9]{1,10})?)?"
)
MAX_NUMBER = 2**31 - 1
# How git tags write versions.
_TAG_PREFIX = re.compile(r"(?:refs/tags/)?[vV]?(?=[0-9])")
_DEVELOPMENT = "dev"
# A final release ranks above every stage before it.
_STAGES = {_DEVELOPMENT: 0, "SNAPSHOT": 1, "beta": 2, "rc": 3, "": 4}

GRAMMAR = "MAJOR.MINOR.REV[.BUILD], optionally followed by -rcN, -betaN or -SNAPSHOT, or just 'dev'"


class VersionSyntaxError(ConfigurationError):
    """The text is not a version that a gateway can install."""

    code = "version-syntax"


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class ModuleVersion:
    """A module's version: four numbers, a stage (``rc``, ``beta``, ``SNAPSHOT``) and its count.

    Equality and order ignore how it was written: ``1.2.3`` equals ``1.2.3.0``.
    """

    text: str
    numbers: tuple[int, int, int, int]
    stage: str = ""
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version; raises VersionSyntaxError for what a gateway can't install."""
        if text == _DEVELOPMENT:
            return cls(text, (0, 0, 0, 0), _DEVELOPMENT)
        match = _NUMBERS.fullmatch(text)
        if match is None or ((match["stage"] in ("rc", "beta")) != (match["count"] is not None)):
            meant = plain_version(text)
            raise VersionSyntaxError(
                f"{text[:100]!a} is not a version a gateway can install",
                hint=f"use {GRAMMAR}; for example 1.4.2 or 1.5.0-rc1."
                if meant == text
                else f"write {meant}: the prefix belongs to git tags only.",
            )
        parts = [int(part) for part in match["numbers"].split(".")]
        count = int(match["count"] or 0)
        if max(*parts, count) > MAX_NUMBER:
            raise VersionSyntaxError(
                f"{text!a} has a number above {MAX_NUMBER}; a gateway can't store it",
                hint="use smaller numbers; a time stamp fits as YYYYMMDDHH.",
            )
        major, minor, revision, build = (*parts, 0)[:4]
        return cls(text, (major, minor, revision, build), match["stage"] or "", count)

    @property
    def is_prerelease(self) -> bool:
        """Whether it carries a stage such as ``-rc1``, or is ``dev``."""
        return self.stage != ""

    def _key(self) -> tuple[tuple[int, int, int, int], int, int]:
        return self.numbers, _STAGES[self.stage], self.count

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ModuleVersion) else NotImplemented

    def __lt__(self, other: ModuleVersion) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.text


def plain_version(text: str) -> str:
    """Return the version in a git tag such as ``v1.4.2``; any other text as it is.

    No version that a gateway can install begins like a tag, so nothing else can be meant.
    """
    prefix = _TAG_PREFIX.match(text)
    version = text[prefix.end() :] if prefix else text
    return version if version != text and parsed_version(version) else text


def without_build_number(text: str) -> str:
    """Return the version with the build number 0; any other text as it is."""
    parsed = parsed_version(text)
    if parsed is None or parsed.text == _DEVELOPMENT:
        return text
    stage = "".join(text.partition("-")[1:])
    return ".".join(map(str, parsed.numbers[:3])) + stage


def parsed_version(text: str) -> ModuleVersion | None:
    """Return the version, None when a gateway can't install it."""
    try:
        return ModuleVersion.parse(text)
    except VersionSyntaxError:
        return None


def same_version(first: str, second: str) -> bool:
    """Return whether two versions are the same, however written (``1.2.3``, ``1.2.3.0``)."""
    if first == second:
        return True
    left, right = parsed_version(first), parsed_version(second)
    return left is not None and left == right
