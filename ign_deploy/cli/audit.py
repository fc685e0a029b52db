"""The command audit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ign_deploy.cli.formatting import findings_document
from ign_deploy.cli.options import common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, VerificationError


@click.command("audit", short_help="Verify the audit trail.")
@click.argument("action", type=click.Choice(["verify"]))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@settings_options("audit_file", "expect_head", "expect_count")
@common_options
def audit_command(session: Session, action: str, file: Path | None) -> None:
    """Check the audit trail's chain: `audit verify [FILE]`, default --audit-file.

    Exit code 5 when a line was changed, removed, inserted or moved. With --expect-head or
    --expect-count, recorded elsewhere, also when the end was cut off or the whole file rewritten.
    """
    from ign_deploy.audit.verify import verify_trail

    del action  # there is one
    path = file or (Path(session.settings.audit_file) if session.settings.audit_file else None)
    if path is None:
        raise ConfigurationError("no audit trail given", hint="give FILE or --audit-file.")
    report = verify_trail(
        path,
        expect_head=session.settings.expect_head,
        expect_count=session.settings.expect_count,
    )
    for finding in report.findings:
        session.reporter.finding(finding, file=str(path))
    document = {
        "result": "verified" if report.is_intact else "failed",
        "file": str(path),
        "entries": report.count,
        "first": asdict(report.first) if report.first else None,
        "last": asdict(report.last) if report.last else None,
        "head": report.head,
        "findings": findings_document(report.findings),
    }
    state = "intact" if report.is_intact else "NOT intact"
    text = f"{path}: {report.count} entries, {state}\nhead: {report.head}"
    session.answer(document, text, outputs={"audit-head": report.head})
    if not report.is_intact:
        click.get_current_context().exit(VerificationError.exit_code)
