"""GitLab: log sections, the dotenv report that later jobs read, and the code quality report.

Only GitLab's runner uploads artifacts, so we just write files; the pipeline lists them under
``artifacts: reports:``.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TextIO

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.summary import FindingRow
from ign_deploy.ci.terminal import TerminalReporter
from ign_deploy.ci.text import safe_lines, variable_name
from ign_deploy.errors import with_subject
from ign_deploy.module.findings import Severity

DOTENV_VARIABLES = 20
"""GitLab rejects a dotenv report with more variables (the smallest plan's default)."""
DOTENV_SIZE = 5 * 1024
"""Bytes; GitLab rejects a larger report."""

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}
_OUTSIDE_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_ERASE_LINE = "\x1b[0K"


class GitLabReporter(TerminalReporter):
    """The terminal's wording, with each stage as a section that GitLab folds and times.

    GitLab's log shows colours although it isn't a terminal; ``NO_COLOR`` and ``color=False`` turn
    them off. ``clock`` gives Unix time in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        env: Mapping[str, str] | None = None,
        color: bool = True,
        masker: Masker | None = None,
        wording: Callable[[str], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(stream, env=None, masker=masker, wording=wording)
        self._color = color and not (env or {}).get("NO_COLOR")
        self._clock = clock
        self._numbers = count(1)

    @property
    def folds(self) -> bool:
        """True: GitLab folds sections."""
        return True

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Enclose the stage's lines in a section; a section may hold others."""
        started = int(self._clock())
        # Two runs in one job must not share a name: the time tells them apart.
        name = f"{_section_name(title)}-{started}-{next(self._numbers)}"
        heading = self._heading(" ".join(self._out.clean(title)))
        opening = f"section_start:{started}:{name}[collapsed=true]"
        self._out.write([f"{_ERASE_LINE}{opening}\r{_ERASE_LINE}{heading}"])
        try:
            yield
        finally:
            closing = f"section_end:{int(self._clock())}:{name}"
            self._out.write([f"{_ERASE_LINE}{closing}\r{_ERASE_LINE}"])


def dotenv_report(outputs: Mapping[str, str], *, masker: Masker) -> tuple[bytes, tuple[str, ...]]:
    """Return the dotenv report, and a sentence for each output that isn't in it.

    It skips values of several lines, with ``$`` (GitLab expands it later) or with a secret, and
    whatever exceeds GitLab's limits. It omits empty values: unset variables read the same.
    """
    lines: list[str] = []
    omitted: list[str] = []
    size = 0
    for name, value in outputs.items():
        if not value:
            continue
        line = f"{variable_name(name)}={value}\n"
        length = len(line.encode("utf-8", "backslashreplace"))
        reason = _unfit(value, masker)
        if not reason and len(lines) >= DOTENV_VARIABLES:
            reason = f"a dotenv report can have at most {DOTENV_VARIABLES} variables"
        if not reason and size + length >= DOTENV_SIZE:
            reason = f"a dotenv report must be smaller than {DOTENV_SIZE} bytes"
        if reason:
            omitted.append(f"{name} is not in the dotenv report: {reason}")
            continue
        lines.append(line)
        size += length
    return "".join(lines).encode("utf-8"), tuple(omitted)


def code_quality_report(findings: Sequence[FindingRow], *, masker: Masker) -> bytes:
    """Return the findings in GitLab's code quality format (JSON), fingerprints all different."""
    seen: dict[str, int] = {}
    issues = [_issue(located, seen, masker) for located in findings]
    return (json.dumps(issues, indent=2) + "\n").encode("ascii")


def _issue(located: FindingRow, seen: dict[str, int], masker: Masker) -> dict[str, Any]:
    finding = located.finding

    def clean(text: str) -> str:
        return " ".join(safe_lines(text, masker=masker))

    description = clean(with_subject(finding.location, finding.message))
    if finding.hint:
        description += f" ({clean(finding.hint)})"
    # GitLab requires a path inside the repository; "." where no file is to blame.
    path = clean(located.file) or "."
    identity = "\n".join((finding.code, path, clean(finding.location), clean(finding.message)))
    seen[identity] = repeated = seen.get(identity, 0) + 1
    return {
        "description": description,
        "check_name": finding.code,
        "fingerprint": hashlib.sha256(f"{identity}\n{repeated}".encode()).hexdigest(),
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": path, "lines": {"begin": finding.line or 1}},
    }


def _unfit(value: str, masker: Masker) -> str:
    """Return why a value can't be in a dotenv report; empty if it can."""
    if masker.redact(value) != value:
        return "it would show a secret"
    if "$" in value:
        return "it has a '$', which later jobs would expand"
    if not value.isprintable():
        return "it has several lines or unprintable characters"
    return ""


def _section_name(title: str) -> str:
    return _OUTSIDE_NAME.sub("-", title).strip("-")[:60] or "section"
