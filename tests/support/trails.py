"""Audit trails for tests: written by several processes, and damaged in every way."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from ign_deploy.audit.entry import AuditEntry, Subject
from ign_deploy.audit.trail import Appended, append_entry

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def entry(number: int = 1, **details: str) -> AuditEntry:
    """Return an entry about an installation."""
    return AuditEntry(
        "install",
        "deployed",
        actor="octocat",
        host="runner-1",
        subject=Subject("com.example.pump", f"1.0.{number}", "production", "https://gw1:8043"),
        digests={"sha256": "ab" * 32},
        details=details,
    )


def as_is(text: str) -> str:
    """Redact nothing."""
    return text


def add(path: Path, number: int = 1, **details: str) -> Appended:
    """Append one entry."""
    return append_entry(path, entry(number, **details), time=NOON, redact=as_is)


def trail(path: Path, *, length: int = 6) -> list[bytes]:
    """Write a trail; returns its lines."""
    for number in range(1, length + 1):
        add(path, number)
    return path.read_bytes().splitlines(keepends=True)


def start_writer(path: Path, *, count: int, name: str) -> subprocess.Popen[bytes]:
    """Start a process that appends ``count`` entries."""
    code = (
        "import sys; from pathlib import Path; from tests.support.trails import add\n"
        "for number in range(int(sys.argv[2])): add(Path(sys.argv[1]), number, writer=sys.argv[3])"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(path), str(count), name], cwd=ROOT)
