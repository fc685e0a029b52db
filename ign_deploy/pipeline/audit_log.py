"""The run's line to the audit trail: what it changed, by whom, with which bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ign_deploy.errors import IgnDeployError
from ign_deploy.pipeline.provenance import Provenance
from ign_deploy.report import Reporter

Redact = Callable[[str], str]


@dataclass(slots=True)
class AuditLog:
    """Appends to the audit trail, if the settings name one.

    When ``record`` is called, the change is made already: what fails then is a warning. ``head`` is
    the trail's head after the last entry.
    """

    file: str
    provenance: Provenance
    reporter: Reporter
    redact: Redact
    head: str = ""
    _warned: set[str] = field(default_factory=set)

    def check(self) -> None:
        """Raise ConfigurationError if an entry can't be added; call it before any change."""
        if self.file:
            from ign_deploy.audit.trail import check_trail

            check_trail(Path(self.file))

    def record(
        self,
        action: str,
        result: str,
        *,
        now: datetime,
        subject: Mapping[str, str],
        sha256: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Append one entry; ``subject`` has the fields of ``audit.entry.Subject``."""
        if not self.file:
            return
        from ign_deploy.audit.entry import AuditEntry, Subject
        from ign_deploy.audit.trail import append_entry

        entry = AuditEntry(
            action=action,
            result=result,
            actor=self.provenance.actor,
            host=socket.gethostname(),
            subject=Subject(**subject),
            digests={"sha256": sha256} if sha256 else {},
            details={**self.provenance.build, **(details or {})},
        )
        try:
            self.head = append_entry(Path(self.file), entry, time=now, redact=self.redact).head
        except IgnDeployError as problem:
            self._warn(problem.message)

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self.reporter.warning(f"the change was made, but isn't in the audit trail: {message}")
