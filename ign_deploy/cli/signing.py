"""The commands sign, verify and inspect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ign_deploy.cli.formatting import (
    certificate_lines,
    describe_verification,
    findings_document,
    verification_document,
)
from ign_deploy.cli.options import SIGNING, common_options, settings_options
from ign_deploy.cli.session import Session
from ign_deploy.errors import SigningError, VerificationError
from ign_deploy.module.findings import Finding, errors_among
from ign_deploy.pipeline.identity import load_signing_identity

if TYPE_CHECKING:
    from ign_deploy.signing.verifier import VerificationReport


_FILES = click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path)
)


@click.command("sign")
@_FILES
@settings_options(*SIGNING, "output_dir", "dry_run")
@common_options
def sign_command(session: Session, files: tuple[Path, ...]) -> None:
    """Sign modules in the vendor's format.

    Each FILE (a .modl) is signed into --output-dir under its name without ".unsigned"; an old
    signature is dropped. Passwords come from MODULE_SIGNING_PASSWORD and IGN_DEPLOY_KEY_PASSWORD.
    """
    from ign_deploy.signing.signer import read_unsigned, sign_module, signed_name

    identity = load_signing_identity(session.settings)
    output_dir = session.settings.output_dir
    _refuse_equal_names([output_dir / signed_name(file.name) for file in files])
    modules = [read_unsigned(file) for file in files]
    documents: list[dict[str, Any]] = []
    lines: list[str] = []
    for module in modules:
        output = output_dir / signed_name(module.path.name)
        findings = module.findings
        if not session.settings.dry_run:
            signed = sign_module(
                module,
                identity=identity,
                output_dir=output_dir,
                now=session.now,
                reporter=session.reporter,
            )
            output, findings = signed.path, signed.findings
        _report(session, findings, module.path)
        documents.append(
            {
                "input": str(module.path),
                "file": str(output),
                "id": module.descriptor.id,
                "version": module.descriptor.version,
                "findings": findings_document(findings),
            }
        )
        lines.append(f"{'would sign' if session.settings.dry_run else 'signed'} {output}")
    result = "dry-run" if session.settings.dry_run else "signed"
    session.answer({"result": result, "modules": documents}, "\n".join(lines))


@click.command("verify", short_help="Check that a signature covers every file.")
@_FILES
@settings_options("trust_anchor")
@common_options
def verify_command(session: Session, files: tuple[Path, ...]) -> None:
    """Check that every file of a module is covered by its signature.

    Exit code 5 when anything is wrong with any FILE, also when it isn't signed at all.
    """
    from ign_deploy.signing.verifier import SignatureStatus

    anchors = session.context.workspace.trust_anchors
    documents: list[dict[str, Any]] = []
    texts: list[str] = []
    problems: list[Finding] = []
    for file in files:
        report = _examine(session, file, anchors)
        if isinstance(report, VerificationError):
            problems += report.findings
            _report(session, report.findings, file)
            documents.append(
                {
                    "file": str(file),
                    "status": SignatureStatus.INVALID.value,
                    "findings": findings_document(report.findings),
                }
            )
            texts.append(f"{file}: not a sound module")
            continue
        findings = report.findings
        if report.status is SignatureStatus.UNSIGNED:
            findings = (*findings, _unsigned(file))
        problems += errors_among(findings)
        _report(session, findings, file)
        documents.append({**verification_document(report), "findings": findings_document(findings)})
        texts.append(describe_verification(report))
    session.answer(
        {"result": "failed" if problems else "verified", "modules": documents}, "\n\n".join(texts)
    )
    if problems:
        click.get_current_context().exit(VerificationError.exit_code)


@click.command("inspect", short_help="Show what is in a module and who signed it.")
@click.argument("file", type=click.Path(path_type=Path))
@common_options
def inspect_command(session: Session, file: Path) -> None:
    """Show what is in a module, who signed it, and what a gateway will ask to accept."""
    from ign_deploy.module.archive import Archive
    from ign_deploy.module.checks import check_module
    from ign_deploy.module.findings import worst_first
    from ign_deploy.signing.verifier import inspect_signature

    report = inspect_signature(file, now=session.now)
    with Archive.open(file) as archive:
        checked = check_module(archive)
        names = [(entry.name, entry.size) for entry in archive.entries if not entry.is_directory]
    findings = worst_first(dict.fromkeys((*report.findings, *checked)))
    _report(session, findings, file)
    document = {
        **verification_document(report),
        "files": [{"name": name, "size": size} for name, size in names],
        "findings": findings_document(findings),
    }
    listing = "\n".join(f"  {size:>12,}  {ascii(name)[1:-1]}" for name, size in names)
    session.answer(document, f"{describe_verification(report)}\n\nFiles (bytes):\n{listing}")


def _examine(
    session: Session, file: Path, anchors: tuple[Any, ...]
) -> VerificationReport | VerificationError:
    from ign_deploy.signing.verifier import inspect_signature

    try:
        return inspect_signature(file, now=session.now, trust_anchors=anchors)
    except VerificationError as problem:
        return problem


def _unsigned(file: Path) -> Finding:
    from ign_deploy.module.findings import error

    return error("unsigned", f"{file.name} is not signed", hint="sign it: `ign-deploy sign`.")


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


@click.command("generate-certificate", short_help="Generate a key and a self-signed certificate.")
@click.option("--common-name", required=True, help="Name on the certificate: your company.")
@click.option("--organization", default="", help="Organization on the certificate.")
@click.option(
    "--days",
    default=3650,
    show_default=True,
    type=click.IntRange(1, 36500),
    help="Validity in days.",
)
@click.option(
    "--key-size",
    default="3072",
    show_default=True,
    type=click.Choice(["3072", "4096"]),
    help="Size of the RSA key in bits.",
)
@click.option(
    "--format",
    "kind",
    default="pem",
    show_default=True,
    type=click.Choice(["pem", "pkcs12"]),
    help="Two PEM files, or one PKCS#12 keystore (requires MODULE_SIGNING_PASSWORD).",
)
@click.option(
    "-o",
    "--output-dir",
    "folder",
    default=".",
    show_default="the current folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Output folder.",
)
@common_options
def generate_certificate_command(
    session: Session,
    *,
    common_name: str,
    organization: str,
    days: int,
    key_size: Literal["3072", "4096"],
    kind: Literal["pem", "pkcs12"],
    folder: Path,
) -> None:
    """Make a signing key and a self-signed code-signing certificate.

    The key is encrypted with MODULE_SIGNING_PASSWORD when that is set. Existing files are never
    replaced. Keep the key: gateways accept a certificate once, and ask again for every new one.
    """
    from ign_deploy.signing.generate import generate_certificate

    made = generate_certificate(
        common_name=common_name,
        organization=organization,
        days=days,
        key_size=int(key_size),
        now=session.now,
        password=session.settings.signing_password.get_secret_value() or None,
        folder=folder,
        container=kind,
    )
    paths = [path for path in (made.key, made.certificate) if path is not None]
    document = {
        "result": "generated",
        "files": [str(path) for path in paths],
        "certificate": made.info.as_dict(),
    }
    lines = [*(f"made {path}" for path in paths), *certificate_lines(made.info)]
    session.answer(document, "\n".join(lines))
