"""Verifying the trail line by line, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ign_deploy.audit.entry import (
    FIRST_PREVIOUS,
    MAX_ENTRY_SIZE,
    AuditLine,
    is_digest,
    line_digest,
    read_line,
)
from ign_deploy.audit.trail import may_be_unfinished, open_trail
from ign_deploy.errors import ConfigurationError
from ign_deploy.files import os_error_reason
from ign_deploy.module.findings import Finding, error, errors_among, warning

_PIECE = 1 << 20
_MOST_FINDINGS = 100
_MOST_GAPS = 1000
_RESTORE = "restore the trail from a backup, and find out who can write the file."


@dataclass(frozen=True, slots=True)
class TrailPosition:
    """A line's number in the chain, and its time."""

    seq: int
    time: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result: ``count`` readable entries, and the ``head`` (SHA-256 of the last whole line).

    ``since_anchor`` counts the lines after the expected head; None if none was given or found.
    ``findings`` are in the order of the file; ``end_checked`` says whether a head was
    expected: without one, a cut-off end isn't noticed, or only down to the expected count.
    """

    count: int
    first: TrailPosition | None
    last: TrailPosition | None
    head: str
    since_anchor: int | None
    findings: tuple[Finding, ...]
    end_checked: bool = False

    @property
    def is_intact(self) -> bool:
        """Whether nothing was changed; an unfinished last line alone doesn't count."""
        return not errors_among(self.findings)


def verify_trail(
    path: Path,
    *,
    expect_head: str = "",
    expect_count: int = 0,
    observe: Callable[[int, AuditLine | None], None] | None = None,
) -> AuditReport:
    """Check the whole trail and report every finding.

    ``observe`` is called with each whole line's number and content; None can't be read.

    ``expect_head`` is a head that was noted earlier: if it is in the chain, nothing before it was
    rewritten or cut off. ``expect_count`` is the least number of entries. Raises ConfigurationError
    when the file is missing or can't be read, or the expected head is not a SHA-256.
    """
    if expect_head and not is_digest(expect_head):
        raise ConfigurationError(
            "the expected head is not a SHA-256 in lower-case hex",
            hint="pass the 64 digits noted earlier, such as the output `audit-head`.",
        )
    check = _ChainCheck()
    reading = _Reading(expect_head, observe or (lambda _number, _line: None))
    try:
        with os.fdopen(open_trail(path, os.O_RDONLY), "rb", buffering=_PIECE) as stream:
            for number, data in _lines(stream):
                reading.take(check, number, data)
    except FileNotFoundError as cause:
        raise ConfigurationError(
            f"the audit trail {path} does not exist", hint="check the path."
        ) from cause
    except OSError as cause:
        raise ConfigurationError(
            f"cannot read the audit trail {path}: {os_error_reason(cause)}",
            hint="check its permissions and the disk.",
        ) from cause
    return reading.report(check, expect_count)


class _Reading:
    """What is remembered while reading."""

    def __init__(self, expect_head: str, observe: Callable[[int, AuditLine | None], None]) -> None:
        self._expected = expect_head
        self._observe = observe
        self._count = self._since = 0
        self._first: TrailPosition | None = None
        self._last: TrailPosition | None = None
        self._head = ""
        self._anchored = False
        self._torn = False

    def take(self, check: _ChainCheck, number: int, data: bytes | None) -> None:
        """Take the next line; None means one that is too long to be kept."""
        # What no writer of ours began isn't an unfinished entry.
        if data is not None and not data.endswith(b"\n") and may_be_unfinished(data):
            self._torn = True
            return
        line = read_line(data) if data is not None else None
        digest = line_digest(data) if data is not None else ""
        check.take(number, line, digest)
        self._observe(number, line)
        self._head = digest or self._head
        self._since += 1
        if digest and digest == self._expected:
            self._anchored, self._since = True, 0
        if line is not None:
            self._count += 1
            self._last = TrailPosition(line.seq, line.time)
            self._first = self._first or self._last

    def report(self, check: _ChainCheck, expect_count: int) -> AuditReport:
        """Sum up."""
        findings = [*check.findings(), *self._end_findings(expect_count)]
        since = self._since if self._anchored else None
        return AuditReport(
            count=self._count,
            first=self._first,
            last=self._last,
            head=self._head,
            since_anchor=since,
            findings=tuple(findings),
            end_checked=bool(self._expected),
        )

    def _end_findings(self, expect_count: int) -> Iterator[Finding]:
        if self._torn:
            yield warning(
                "audit-torn",
                "the last line is unfinished: its writer was killed, or is still writing",
                hint="do nothing: the next action moves it to a file of its own and says so.",
            )
        if self._expected and not self._anchored:
            yield error(
                "audit-anchor",
                "the expected head is not in the chain: lines were cut off, or all were rewritten",
                hint="restore the trail from a backup; don't trust what it says now.",
            )
        if self._count < expect_count:
            yield error(
                "audit-truncated",
                f"there are {self._count} entries, but at least {expect_count} were expected",
                hint="restore the trail from a backup; lines were cut off.",
            )


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number; None for one that is too long, which isn't kept."""
    number = 0
    while data := stream.readline(MAX_ENTRY_SIZE + 1):
        number += 1
        if len(data) <= MAX_ENTRY_SIZE:
            yield number, data
            continue
        while data and not data.endswith(b"\n"):
            data = stream.readline(_PIECE)
        yield number, None


class _ChainCheck:
    """Takes the lines in file order and remembers only what it must.

    A change shows twice: at the line itself and at the next one, which holds its digest. So after
    a wrong line, neither the next one's ``previous`` nor a skipped number means anything new.
    """

    def __init__(self) -> None:
        self._next = 1
        self._previous = FIRST_PREVIOUS
        self._suspects = 0
        self._gaps: dict[int, int] = {}
        self._findings: list[Finding] = []
        self._more = 0

    def take(self, number: int, line: AuditLine | None, digest: str) -> None:
        """Take the line with that number in the file; None for one that can't be read."""
        if line is None:
            self._wrong("audit-unreadable", number, "is not a valid audit entry")
        elif not line.hash_matches:
            self._wrong("audit-changed", number, "was changed: its hash doesn't match")
        else:
            self._advance(number, line)
        self._previous = digest

    def findings(self) -> list[Finding]:
        """Return everything found; call it when all lines have been taken."""
        found = list(self._findings)
        for seq, number in self._gaps.items():
            text = f"entry {seq} was removed before line {number}"
            found.append(error("audit-removed", text, location=f"line {number}", hint=_RESTORE))
        more = self._more + max(0, len(found) - _MOST_FINDINGS)
        found = sorted(found[:_MOST_FINDINGS], key=_line_number)
        if more:
            found.append(error("audit-more", f"{more} more findings are not shown"))
        return found

    def _advance(self, number: int, line: AuditLine) -> None:
        """Check that a line with a valid hash is where it was written."""
        suspects, self._suspects = self._suspects, 0
        if line.seq < self._next:
            self._misplaced(number, line.seq)
            return
        # A wrong line may or may not have been part of the chain.
        if line.seq > self._next + suspects:
            self._miss(number, line.seq)
        elif line.previous != self._previous and not suspects:
            text = (
                f"(entry {line.seq}) doesn't follow the line before it: one of the two was replaced"
            )
            self._wrong("audit-changed", number, text)
        self._next = line.seq + 1

    def _miss(self, number: int, seq: int) -> None:
        missing = seq - self._next
        if len(self._gaps) + missing <= _MOST_GAPS:
            self._gaps |= dict.fromkeys(range(self._next, seq), number)
            return
        text = f"entries {self._next} to {seq - 1} were removed before line {number}"
        self._add(error("audit-removed", text, location=f"line {number}", hint=_RESTORE))

    def _misplaced(self, number: int, seq: int) -> None:
        if self._gaps.pop(seq, None) is not None:
            self._wrong("audit-reordered", number, f"(entry {seq}) was moved: it comes too late")
        else:
            text = f"was inserted: entry {seq} belongs before it"
            self._wrong("audit-inserted", number, text)

    def _wrong(self, code: str, number: int, text: str) -> None:
        self._suspects += 1
        self._add(error(code, f"line {number} {text}", location=f"line {number}", hint=_RESTORE))

    def _add(self, finding: Finding) -> None:
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(finding)
        else:
            self._more += 1


def _line_number(finding: Finding) -> int:
    return int(finding.location.rpartition(" ")[2])
