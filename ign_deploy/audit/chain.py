"""The chain's rules: from the order of lines to what was changed, removed, inserted or moved."""

from __future__ import annotations

from ign_deploy.audit.entry import FIRST_PREVIOUS, Line
from ign_deploy.module.findings import Finding, error

_MOST_FINDINGS = 100
_MOST_GAPS = 1000
_RESTORE = "restore the trail from a backup, and find out who can write the file."


class ChainCheck:
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

    def take(self, number: int, line: Line | None, digest: str) -> None:
        """Take the line with that number in the file; None for one that can't be read."""
        if line is None:
            self._wrong("audit-unreadable", number, "is not a valid audit entry")
        elif not line.hash_matches:
            self._wrong("audit-changed", number, "was changed: its hash doesn't match")
        else:
            self._place(number, line)
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

    def _place(self, number: int, line: Line) -> None:
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
