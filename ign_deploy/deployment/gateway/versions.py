"""Versions as a gateway shows them: ``1.2.3 (b45)`` for a module's 1.2.3.45."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ign_deploy.module.subject import same_version

_SHOWN = re.compile(r"(?P<version>.*?)\s*\(b(?P<build>[0-9]{1,20})\)\s*", re.DOTALL)
_NUMBERS = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)(?![0-9]|\.[0-9])(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version in the gateway's way of writing, taken apart.

    ``shown`` is its text, ``version`` what stands before ``(b…)``, and ``build`` the number
    in it, empty when there is none.
    """

    shown: str
    version: str
    build: str = ""

    @property
    def full(self) -> str:
        """The version as module.xml may write it: ``1.2.3.45``, and ``1.2.3`` for ``(b0)``."""
        numbers = _NUMBERS.fullmatch(self.version)
        if numbers is None or not self.build.strip("0"):
            return self.version
        return f"{numbers[1]}.{self.build}{numbers[2]}"

    def is_version(self, text: str) -> bool:
        """Tell whether it is the module.xml version ``text``, however both are written."""
        return same_version(self.full, text) or text in (self.shown, self.version)

    def __str__(self) -> str:
        return self.full


def parse_shown(text: str) -> ShownVersion:
    """Take a gateway's text apart; any text is taken, since modules have any versions."""
    match = _SHOWN.fullmatch(text)
    if match is None:
        return ShownVersion(text, text.strip())
    return ShownVersion(text, match["version"].strip(), match["build"])
