"""From a file on disk to a verified module: its signature, its content, the required version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ign_deploy.errors import ConfigurationError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import SignedModule, VerifiedModule
from ign_deploy.module.descriptor import read_descriptor
from ign_deploy.module.expiry import expiry_warning
from ign_deploy.module.findings import Finding, errors_among
from ign_deploy.module.ignition import newest_of_line, parsed_ignition, require_support, runs_on
from ign_deploy.pipeline.context import RunContext


def verify_file(
    path: Path, context: RunContext, *, is_release: bool = False, match_settings: bool = True
) -> VerifiedModule:
    """Validate and verify a signed file; raises VerificationError with every finding.

    ``is_release`` also flags versions that aren't meant for one; ``match_settings`` compares id
    and version with those that the settings require.
    """
    from ign_deploy.signing.verifier import verify_module

    settings = context.settings
    checked, module = validate(
        path,
        expected_version=settings.version if match_settings else "",
        expected_id=settings.module_id if match_settings else "",
        is_release=is_release,
    )
    require_no_errors(path, checked)
    verified = verify_module(module, now=context.now, trust=context.workspace.trust)
    return with_support(verified, context) if match_settings else verified


def warn_of_expiry(module: VerifiedModule, context: RunContext) -> None:
    """Report that the signer's certificate expires soon, early enough to renew it."""
    days = context.settings.expiry_warning_days
    found = expiry_warning(module.certificate, now=context.now, days=days)
    if found is not None:
        context.report.add_findings([found], file=module.path)


def with_support(module: VerifiedModule, context: RunContext) -> VerifiedModule:
    """Return the module with what the settings say of the Ignition versions it supports.

    Raises ConfigurationError if that contradicts the module.
    """
    settings = context.settings
    support = require_support(settings.max_ignition, settings.tested_on)
    required = parsed_ignition(module.descriptor.required_ignition_version)
    if required is not None and not support.includes(required):
        raise ConfigurationError(
            f"{module.descriptor.id} requires Ignition {required}, but the newest that is "
            f"supported is {support.maximum}",
            hint="correct --max-ignition, or requiredIgnitionVersion in the build.",
        )
    for each in support.tested_on:
        if required is not None and not runs_on(str(required), newest_of_line(each)):
            raise ConfigurationError(
                f"{module.descriptor.id} requires Ignition {required}, but was tested on {each}, "
                "which can't run it",
                hint="correct --tested-on, or requiredIgnitionVersion in the build.",
            )
    return replace(module, support=support)


def validate(
    path: Path, *, expected_version: str = "", expected_id: str = "", is_release: bool = False
) -> tuple[tuple[Finding, ...], SignedModule]:
    """Check a module's content; return the findings, and the module with them attached."""
    from ign_deploy.module.checks import check_module

    with Archive.open(path) as archive:
        descriptor = read_descriptor(archive)
        findings = check_module(
            archive,
            expected_version=expected_version or None,
            expected_id=expected_id or None,
            is_release=is_release,
        )
        return findings, SignedModule(path, descriptor, archive.digest(), findings)


def require_no_errors(path: Path, findings: tuple[Finding, ...]) -> None:
    """Raise VerificationError when there are errors among the findings; it holds all of them."""
    if errors_among(findings):
        problem = VerificationError.from_findings(*findings, about=path.name)
        problem.file = str(path)
        raise problem
