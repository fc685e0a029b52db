"""Versions: their order, the newest of them, and ranges such as ``>=1.2,<2``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError

VersionKey = tuple[bool, ModuleVersion, str]

_DEVELOPMENT = ModuleVersion.parse("dev")


def version_key(text: str) -> VersionKey:
    """Return the sort key of a version, oldest first.

    Versions that no gateway can install come before all others; ``1.2.3`` and ``1.2.3.0`` are the
    same version to a gateway, so their spelling decides, to have one order.
    """
    try:
        return True, ModuleVersion.parse(text), text
    except VersionSyntaxError:
        return False, _DEVELOPMENT, text


def is_final(text: str) -> bool:
    """Return whether the version is an installable release without a stage such as ``-rc1``."""
    installable, version, _ = version_key(text)
    return installable and not version.is_prerelease


def newest(versions: Iterable[str]) -> str | None:
    """Return the newest final release, else the newest prerelease, None when there is neither."""
    return newest_of_sorted(sorted(versions, key=version_key))


def newest_of_sorted(versions: Sequence[str]) -> str | None:
    """Like ``newest``, for sorted versions, oldest first."""
    if not versions:
        return None
    return next((version for version in reversed(versions) if is_final(version)), versions[-1])


_CONDITION = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(?:[vV](?=[0-9]))?([0-9A-Za-z.-]{1,100})\s*")
_SHORT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10})?")
_COMPARE: Mapping[str, Callable[[ModuleVersion, ModuleVersion], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Conditions that all have to hold, as written in ``text``."""

    text: str
    conditions: tuple[tuple[str, ModuleVersion], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``>=1.2,<2``: ``>=``, ``>``, ``<=``, ``<``, ``==`` and ``!=``, with commas between.

        ``1.2`` means ``1.2.0``. Raises ConfigurationError.
        """
        conditions: list[tuple[str, ModuleVersion]] = []
        for part in text.split(","):
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise ConfigurationError(
                    f"{text[:100]!a} is not a valid version range",
                    hint="use a range such as '>=1.2,<2', in quotes because of the shell.",
                )
            conditions.append((match[1], _version(match[2])))
        return cls(text, tuple(conditions))

    def pick(self, versions: Iterable[str]) -> str | None:
        """Return the newest final release inside, else the newest prerelease, None for neither."""
        return newest(version for version in versions if self.holds(version))

    def holds(self, text: str) -> bool:
        """Return whether a version is in the range; one that no gateway can install never is.

        A prerelease of the upper bound is outside: ``<2`` doesn't mean ``2.0.0-rc1``.
        """
        try:
            version = ModuleVersion.parse(text)
        except VersionSyntaxError:
            return False
        return all(
            _COMPARE[sign](version, bound)
            and not (sign == "<" and version.is_prerelease and version.numbers == bound.numbers)
            for sign, bound in self.conditions
        )


def is_range(text: str) -> bool:
    """Return whether this is a range rather than a plain version."""
    return any(sign in text for sign in "<>=!,")


def _version(text: str) -> ModuleVersion:
    if _SHORT.fullmatch(text):
        text += ".0" * (2 - text.count("."))
    return ModuleVersion.parse(text)
