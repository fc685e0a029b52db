"""How a finding reads in a log: one wording for every host."""

from __future__ import annotations

from ign_deploy.module.findings import Finding, Severity

_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def finding_headline(finding: Finding, *, file: str = "") -> str:
    """Return ``error[code]: file: place: message``; empty parts are omitted."""
    about = [part for part in (file, finding.location, finding.message) if part]
    return f"{_WORDS[finding.severity]}[{finding.code}]: {': '.join(about)}"


def finding_message(finding: Finding) -> str:
    """Return what an annotation says: place, message, and the hint on its own line."""
    message = f"{finding.location}: {finding.message}" if finding.location else finding.message
    return f"{message}\nhint: {finding.hint}" if finding.hint else message
