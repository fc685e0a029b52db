"""Findings: observations about a module, as data; they are rendered elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

_SHOWN = 100
MOST_ALIKE = 100


class Severity(IntEnum):
    """How much a finding matters; ordered from the worst."""

    ERROR = 0
    WARNING = 1
    INFO = 2

    @property
    def label(self) -> str:
        """The lower-case name used in JSON and logs."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation.

    ``code`` is stable and kebab-case, ``location`` names the entry (``lib.jar``), element
    (``module.xml: version``) or file it is about and may be empty, ``hint`` says what to do.
    ``line`` and ``column`` are the place in the file, counted from 1; 0 where there is none.
    """

    code: str
    severity: Severity
    message: str
    location: str = ""
    hint: str = ""
    line: int = 0
    column: int = 0

    def worded(self, wording: Callable[[str], str]) -> Finding:
        """Return the finding with its message and hint in other words."""
        return replace(self, message=wording(self.message), hint=wording(self.hint))

    def as_dict(self) -> dict[str, str | int]:
        """Return the finding as JSON values; line and column only where there are any."""
        place = {"line": self.line, "column": self.column}
        return {
            "code": self.code,
            "severity": self.severity.label,
            "message": self.message,
            "location": self.location,
            "hint": self.hint,
            **{name: number for name, number in place.items() if number},
        }


def error(code: str, message: str, *, location: str = "", hint: str = "") -> Finding:
    """Make an error finding: the module must not be released like this."""
    return Finding(code, Severity.ERROR, message, location, hint)


def warning(code: str, message: str, *, location: str = "", hint: str = "") -> Finding:
    """Make a warning: worth a look, but it stops nothing."""
    return Finding(code, Severity.WARNING, message, location, hint)


def info(code: str, message: str, *, location: str = "", hint: str = "") -> Finding:
    """Make an informational finding."""
    return Finding(code, Severity.INFO, message, location, hint)


def errors_among(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return only the errors, in their order."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings ordered by severity, then as they were found."""
    return tuple(sorted(findings, key=lambda finding: finding.severity))


def bounded(findings: Iterable[Finding]) -> list[Finding]:
    """Return at most 100 findings of each code, and how many more there are.

    A hostile file has room for a million mistakes: too many to read or to keep in memory.
    """
    kept: dict[str, list[Finding]] = {}
    more: Counter[str] = Counter()
    for finding in findings:
        alike = kept.setdefault(finding.code, [])
        if len(alike) < MOST_ALIKE:
            alike.append(finding)
        else:
            more[finding.code] += 1
    for code, count in more.items():
        message = f"{count} more findings of this kind are not shown"
        kept[code].append(Finding(code, kept[code][0].severity, message, hint=kept[code][0].hint))
    return [finding for alike in kept.values() for finding in alike]


def legible(text: str) -> str:
    """Return untrusted text as it is, but for control and other invisible characters, escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def legible_bytes(text: bytes) -> str:
    r"""Return a name in an archive, in the encoding that it probably has: ``Gr\xfc\xdfe`` is Grüße.

    Java and Unix write UTF-8, some tools ISO 8859-1, and the others what DOS had.
    """
    for encoding in ("utf-8", "iso-8859-1"):
        try:
            decoded = text.decode(encoding)
        except UnicodeDecodeError:
            continue
        if decoded.isprintable():
            return decoded
    is_utf8 = text.decode("utf-8", "ignore").encode() == text
    return legible(text.decode("utf-8" if is_utf8 else "cp437"))


def quoted(text: str) -> str:
    """Quote untrusted text for a message: at most 100 characters, control characters escaped."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
