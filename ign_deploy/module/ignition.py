"""Ignition's own versions and lines, and what a vendor says about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.version import MAX_NUMBER, ModuleVersion, parsed_version

Line = tuple[int, ...]

# Lines used to be named by two numbers (8.1, 8.3); from 2027 on, a line is named by its year.
_FIRST_YEAR = 1000
_SHORT = re.compile(r"[0-9]{1,10}\.[0-9]{1,10}|[1-9][0-9]{3,9}")
_BEGIN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:[.-]|\Z)")


def parsed_ignition(text: str) -> ModuleVersion | None:
    """Return a version of Ignition, None for anything else; ``8.3`` is read as ``8.3.0``."""
    return parsed_version(text + ".0" * (2 - text.count(".")) if _SHORT.fullmatch(text) else text)


def require_ignition_version(text: str) -> ModuleVersion:
    """Return a version of Ignition; raises ConfigurationError for anything else."""
    version = parsed_ignition(text)
    if version is None:
        raise ConfigurationError(
            f"{text[:40]!a} is not a valid Ignition version",
            hint="use a version such as 8.3.4, or a line such as 8.3.",
        )
    return version


def ignition_line(version: ModuleVersion) -> Line:
    """Return the line of an Ignition version: ``(8, 3)``, or ``(2027,)``; newer ones are greater.

    A gateway runs modules that were built for its own line only.
    """
    return version.numbers[: 1 if version.numbers[0] >= _FIRST_YEAR else 2]


def line_name(version: ModuleVersion) -> str:
    """Return the name of an Ignition version's line: ``8.3``, or ``2027``."""
    return ".".join(map(str, ignition_line(version)))


@lru_cache(maxsize=256)
def line_required(required: str) -> str:
    """Return the name of the line that a required Ignition version belongs to; else ''.

    Unlike a version, the text may end with what no gateway can install.
    """
    match = _BEGIN.match(required)
    if match is None:
        return ""
    if int(match[1]) >= _FIRST_YEAR:
        return str(int(match[1]))
    return f"{int(match[1])}.{int(match[2])}" if match[2] else ""


@dataclass(frozen=True, slots=True)
class IgnitionSupport:
    """What a module's vendor says beyond its descriptor.

    ``maximum`` is the newest Ignition that it supports, ``tested_on`` those it was tested on. Each
    is a version (``8.3.4``) or a line (``8.3``) with all of its versions; empty: not stated.
    """

    maximum: str = ""
    tested_on: tuple[str, ...] = ()

    def includes(self, running: ModuleVersion) -> bool:
        """Return whether the gateway's version is at most the ``maximum``."""
        newest = _written_numbers(self.maximum)
        return newest is None or running.numbers[: len(newest)] <= newest

    def is_tested_on(self, running: ModuleVersion) -> bool:
        """Return whether it was tested on the gateway's version, or nothing is stated."""
        tested = [_written_numbers(each) for each in self.tested_on]
        return not tested or any(each == running.numbers[: len(each)] for each in tested if each)


NOT_STATED = IgnitionSupport()


def runs_on(required: str, running: ModuleVersion, *, maximum: str = "") -> bool:
    """Return whether a gateway of version ``running`` can run a module that requires ``required``.

    It must be of the same line, not older, and not newer than ``maximum``.
    """
    oldest = parsed_ignition(required)
    return (
        oldest is not None
        and ignition_line(oldest) == ignition_line(running)
        and oldest.numbers <= running.numbers
        and IgnitionSupport(maximum).includes(running)
    )


def newest_of_line(text: str) -> ModuleVersion:
    """Return a gateway's version; a line such as ``8.3`` means the newest version of it.

    Raises ConfigurationError.
    """
    version = require_ignition_version(text)
    written = _written_numbers(text) or ()
    major, minor, revision, build = (*written, *[MAX_NUMBER] * 4)[:4]
    return replace(version, numbers=(major, minor, revision, build))


def require_support(maximum: str, tested_on: Sequence[str]) -> IgnitionSupport:
    """Return what the settings say; raises ConfigurationError if that isn't possible."""
    if maximum:
        require_ignition_version(maximum)
    found = IgnitionSupport(maximum, tuple(dict.fromkeys(tested_on)))
    for each in found.tested_on:
        if not found.includes(require_ignition_version(each)):
            raise ConfigurationError(
                f"tested on Ignition {each}, but the newest that is supported is {maximum}",
                hint="correct --max-ignition or --tested-on.",
            )
    return found


def _written_numbers(text: str) -> tuple[int, ...] | None:
    """Return the numbers of a version, or only the first ones of a line: they cover all of it."""
    version = parsed_ignition(text)
    if version is None:
        return None
    return version.numbers[: text.count(".") + 1] if _SHORT.fullmatch(text) else version.numbers
