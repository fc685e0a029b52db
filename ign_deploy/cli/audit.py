"""The command audit."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.cli.formatting import findings_document, plain, table
from ign_deploy.cli.options import common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, VerificationError

if TYPE_CHECKING:
    from ign_deploy.audit.entry import AuditLine
    from ign_deploy.audit.verify import AuditReport

_MOST_SHOWN = 1000
_TITLES = ("ENTRY", "TIME", "ACTOR", "ACTION", "RESULT", "MODULE", "ENVIRONMENT", "GATEWAY")


@click.command("audit", short_help="Verify or show the audit trail.")
@click.argument("action", type=click.Choice(["verify", "show"]))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@settings_options("audit_file", "expect_head", "expect_count")
@common_options
def audit_command(session: Session, action: str, file: Path | None) -> None:
    """Check the audit trail's chain, or show its newest entries; FILE defaults to --audit-file.

    Exit code 5 when a line was changed, removed, inserted or moved. With --expect-head or
    --expect-count, recorded elsewhere, also when the end was cut off or the whole file rewritten.
    """
    from ign_deploy.audit.verify import verify_trail

    path = file or (Path(session.settings.audit_file) if session.settings.audit_file else None)
    if path is None:
        raise ConfigurationError("no audit trail given", hint="give FILE or --audit-file.")
    shown: deque[tuple[int, AuditLine | None]] = deque(maxlen=_MOST_SHOWN)
    report = verify_trail(
        path,
        expect_head=session.settings.expect_head,
        expect_count=session.settings.expect_count,
        observe=lambda number, line: shown.append((number, line)) if action == "show" else None,
    )
    for finding in report.findings:
        session.reporter.finding(finding, file=str(path))
    document = _document(report, path)
    lines = [_verdict(report), f"file: {path}", *([f"head: {report.head}"] if report.head else [])]
    if action == "show":
        document["lines"] = [_line_document(*each) for each in shown]
        lines += table([_TITLES, *(_row(*each) for each in shown)]) if shown else []
    session.answer(document, "\n".join(lines), outputs={"audit-head": report.head})
    if not report.is_intact:
        click.get_current_context().exit(VerificationError.exit_code)


def _document(report: AuditReport, path: Path) -> dict[str, Any]:
    return {
        "result": "verified" if report.is_intact else "failed",
        "file": str(path),
        "entries": report.count,
        "first": asdict(report.first) if report.first else None,
        "last": asdict(report.last) if report.last else None,
        "head": report.head,
        "verdict": _verdict(report),
        "end_checked": report.end_checked,
        "findings": findings_document(report.findings),
    }


def _verdict(report: AuditReport) -> str:
    """Return what is known of the trail: an intact chain says nothing about its end."""
    entries = f"{report.count} {'entry' if report.count == 1 else 'entries'}"
    if not report.is_intact:
        state = f"✗ NOT INTACT: {entries}"
    elif report.end_checked:
        newer = report.since_anchor
        end = f"{newer} of them after the expected head" if newer else "with the expected end"
        state = f"✓ intact: {entries}, {end}"
    elif report.head:
        state = f"✓ {entries}, none changed; a cut-off end was not checked (give --expect-head)"
    else:
        state = "⚠ EMPTY: whether entries were removed was not checked (give --expect-head)"
    return state


def _line_document(number: int, line: AuditLine | None) -> dict[str, Any]:
    if line is None:
        return {"line": number, "is_valid": False}
    return {"line": number, "is_valid": line.hash_matches, **line.fields}


def _row(number: int, line: AuditLine | None) -> tuple[str, ...]:
    """Return the cells of a line; what can't be trusted says so in place of its number."""
    if line is None:
        return (f"line {number}: not a valid entry", *[""] * (len(_TITLES) - 1))
    subject = line.fields.get("subject")
    about = subject if isinstance(subject, dict) else {}
    cells = (
        str(line.seq) if line.hash_matches else f"{line.seq} (changed)",
        f"{line.time[:19].replace('T', ' ')} UTC",
        line.fields.get("actor", ""),
        line.fields.get("action", ""),
        line.fields.get("result", ""),
        f"{about.get('module', '')} {about.get('version', '')}".strip(),
        about.get("environment", ""),
        about.get("gateway", ""),
    )
    return tuple(plain(str(cell)) for cell in cells)
