"""The commands sign, verify and inspect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ign_deploy.ci.summary import FindingRow, ModuleRow, Summary
from ign_deploy.cli.formatting import (
    describe_verification,
    findings_document,
    plain,
    succession_document,
    verification_document,
)
from ign_deploy.cli.options import REPOSITORY, SIGNING, common_options, settings_options
from ign_deploy.cli.page import write_page
from ign_deploy.cli.session import Session
from ign_deploy.errors import ConfigurationError, SigningError, VerificationError
from ign_deploy.module.findings import Finding, legible

if TYPE_CHECKING:
    from ign_deploy.module.trust_policy import TrustPolicy
    from ign_deploy.signing.verdict import SignatureStatus
    from ign_deploy.signing.verifier import VerificationReport


_MOST_FILES = 50
"""How many files ``inspect`` shows to a person."""
_FILES = click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path)
)


@click.command("sign")
@_FILES
@settings_options(*SIGNING, "resign", "output_dir", "dry_run")
@common_options
def sign_command(session: Session, files: tuple[Path, ...]) -> None:
    """Sign modules in the vendor's format.

    Each FILE (a .modl) is signed into --output-dir under its name without ".unsigned"; an old
    signature is dropped. Passwords come from MODULE_SIGNING_PASSWORD and IGN_DEPLOY_KEY_PASSWORD.
    With --resign N, the version gets the build number N: a published version never changes.
    """
    from ign_deploy.signing.signer import inspect_unsigned, sign_file

    identity = session.context.identity
    output_dir, resign = session.settings.output_dir, session.settings.resign
    inspected = [inspect_unsigned(file, output_dir=output_dir, resign=resign) for file in files]
    _refuse_equal_names([module.path for module in inspected])
    documents: list[dict[str, Any]] = []
    lines: list[str] = []
    for file, module in zip(files, inspected, strict=True):
        output, found = module.path, module
        if not session.settings.dry_run:
            found = sign_file(
                file,
                identity=identity,
                output_dir=output_dir,
                now=session.now,
                reporter=session.reporter,
                resign=resign,
            )
        _report(session, found.findings, file)
        documents.append(
            {
                "input": str(file),
                "file": str(output),
                "id": found.descriptor.id,
                "version": found.descriptor.version,
                "findings": findings_document(found.findings),
            }
        )
        lines.append(f"{'would sign' if session.settings.dry_run else 'signed'} {output}")
    result = "dry-run" if session.settings.dry_run else "signed"
    session.answer({"result": result, "modules": documents}, "\n".join(lines))


@click.command("verify", short_help="Check that nothing was changed, and who signed it.")
@_FILES
@settings_options("trust_anchor", "allow_expired", "follow_succession", *REPOSITORY)
@common_options
def verify_command(session: Session, files: tuple[Path, ...]) -> None:
    """Check that a module is as it was signed, and with --trust-anchor who signed it.

    Exit code 5 when anything is wrong with any FILE, also when it isn't signed at all. With
    --follow-succession, statements in the repository may lead from the anchor to the signer.
    """
    from ign_deploy.signing.verdict import worst_status

    trust = session.context.workspace.trust
    if session.settings.follows_succession() and not trust.anchors:
        raise ConfigurationError(
            "--follow-succession was given without a trust anchor",
            hint="give the certificate that you trust with --trust-anchor.",
        )
    verdicts = [_examine(session, file, trust) for file in files]
    for file, verdict in zip(files, verdicts, strict=True):
        _report(session, verdict.findings, file)
    worst = worst_status(verdict.status for verdict in verdicts)
    text = "\n\n".join(verdict.text for verdict in verdicts)
    _write_verdicts(session, verdicts, files)
    session.answer(
        {"result": worst.value, "modules": [verdict.document for verdict in verdicts]}, text
    )
    if not worst.is_good:
        click.get_current_context().exit(VerificationError.exit_code)


@click.command("inspect", short_help="Show what is in a module and who signed it.")
@click.argument("file", type=click.Path(path_type=Path))
@settings_options("trust_anchor", "allow_expired")
@common_options
def inspect_command(session: Session, file: Path) -> None:
    """Show what is in a module, who signed it, and what a gateway will ask to accept."""
    from ign_deploy.module.archive import Archive
    from ign_deploy.module.checks import check_module
    from ign_deploy.module.findings import worst_first
    from ign_deploy.signing.verifier import inspect_archive

    trust = session.context.workspace.trust
    with Archive.open(file) as archive:
        report = inspect_archive(archive, now=session.now, trust=trust)
        checked = check_module(archive)
        names = [(entry.name, entry.size) for entry in archive.entries if not entry.is_directory]
    findings = worst_first(dict.fromkeys((*report.findings, *checked)))
    _report(session, findings, file)
    document = {
        **verification_document(report),
        "files": [{"name": name, "size": size} for name, size in names],
        "findings": findings_document(findings),
    }
    lines = [f"  {size:>12,}  {legible(name)}" for name, size in names[:_MOST_FILES]]
    if len(names) > _MOST_FILES:
        lines.append(f"  and {len(names) - _MOST_FILES} more (--json lists all)")
    listing = "\n".join(lines)
    session.answer(document, f"{describe_verification(report)}\n\nFiles (bytes):\n{listing}")


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is said of one file; ``line`` comes first in ``text``."""

    status: SignatureStatus
    line: str
    findings: tuple[Finding, ...]
    document: dict[str, Any]
    text: str


def _examine(session: Session, file: Path, trust: TrustPolicy) -> _Verdict:
    from ign_deploy.signing.verdict import SignatureStatus, unreadable_line
    from ign_deploy.signing.verifier import inspect_signature, unsigned_finding

    try:
        report = inspect_signature(file, now=session.now, trust=trust)
    except VerificationError as problem:
        line = unreadable_line(problem.findings)
        document = {
            "file": str(file),
            "status": SignatureStatus.INVALID.value,
            "verdict": line,
            "findings": findings_document(problem.findings),
        }
        text = f"{plain(line)}\n{'file:':<16}{plain(str(file))}"
        return _Verdict(SignatureStatus.INVALID, line, problem.findings, document, text)
    followed: list[dict[str, Any]] = []
    if session.settings.follows_succession() and report.status is SignatureStatus.UNTRUSTED:
        report, followed = _follow(session, report, trust)
    findings = report.findings
    if report.status is SignatureStatus.UNSIGNED:
        findings = (*findings, unsigned_finding(file))
    document = {
        **verification_document(report),
        "findings": findings_document(findings),
        "succession": followed,
    }
    text = describe_verification(report)
    return _Verdict(report.status, report.verdict, findings, document, text)


def _follow(
    session: Session, report: VerificationReport, trust: TrustPolicy
) -> tuple[VerificationReport, list[dict[str, Any]]]:
    """Return the report on a signer that statements lead to, and these; else the given report."""
    from ign_deploy.pipeline.succession import follow_succession
    from ign_deploy.signing.verifier import inspect_signature

    signer = report.certificates[0].sha256
    found = follow_succession(signer, report.descriptor.id, session.context)
    if found is None:
        session.reporter.info(
            f"no valid statement leads from a trust anchor to {report.certificates[0].subject}"
        )
        return report, []
    again = inspect_signature(report.path, now=session.now, trust=found.policy(trust))
    if again.descriptor.id != report.descriptor.id:
        return report, []  # the file was replaced meanwhile, by a module that no statement is for
    return again, [succession_document(each) for each in found.statements]


def _write_verdicts(session: Session, verdicts: Sequence[_Verdict], files: Sequence[Path]) -> None:
    """Write the run's summary page: the verdict of one file, or a count, and all findings."""
    good = sum(verdict.status.is_good for verdict in verdicts)
    write_page(
        session,
        Summary(
            headline=verdicts[0].line.partition(" ")[2]
            if len(verdicts) == 1
            else f"{good} of {len(verdicts)} modules are intact",
            succeeded=good == len(verdicts),
            modules=[
                ModuleRow(id=str(file), version="", result=verdict.line)
                for file, verdict in zip(files, verdicts, strict=True)
            ],
            findings=[
                FindingRow(finding, str(file))
                for file, verdict in zip(files, verdicts, strict=True)
                for finding in verdict.findings
            ],
        ),
    )


def _report(session: Session, findings: tuple[Finding, ...], file: Path) -> None:
    for finding in findings:
        session.reporter.finding(finding, file=str(file))


def _refuse_equal_names(outputs: list[Path]) -> None:
    for output in outputs:
        if outputs.count(output) > 1:
            raise SigningError(
                f"two of the files would be signed as {output}",
                hint="sign them one at a time, with different --output-dir.",
            )
