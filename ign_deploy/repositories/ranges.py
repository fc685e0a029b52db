"""Version ranges: ``>=1.2,<2`` picks among published versions, a plain version means itself."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError
from ign_deploy.repositories.ordering import newest

_CONDITION = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([0-9A-Za-z.-]{1,100})\s*")
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

        ``1.2`` stands for ``1.2.0``. Raises ConfigurationError.
        """
        conditions: list[tuple[str, ModuleVersion]] = []
        for part in text.split(","):
            match = _CONDITION.fullmatch(part)
            if match is None:
                raise ConfigurationError(
                    f"{text[:100]!a} is no range of versions",
                    hint="write it like '>=1.2,<2' (in quotes, as a shell takes < and > itself).",
                )
            conditions.append((match[1], _version(match[2])))
        return cls(text, tuple(conditions))

    def pick(self, versions: Iterable[str]) -> str | None:
        """Return the newest final release inside, else the newest prerelease, None for neither."""
        return newest(version for version in versions if self.holds(version))

    def holds(self, text: str) -> bool:
        """Tell whether a version is inside; one that no gateway could install never is.

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
    """Tell a range from a plain version."""
    return any(sign in text for sign in "<>=!,")


def _version(text: str) -> ModuleVersion:
    if _SHORT.fullmatch(text):
        text += ".0" * (2 - text.count("."))
    return ModuleVersion.parse(text)
