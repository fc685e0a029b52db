"""What must be in order before a release, a build or a signing starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import (
    ConfigurationError,
    IgnDeployError,
    PackagingError,
    SigningError,
)
from ign_deploy.files import is_same_file, os_error_reason
from ign_deploy.module.findings import Finding, errors_among
from ign_deploy.module.packer import DosTime
from ign_deploy.module.version import ModuleVersion
from ign_deploy.pipeline.guards import check_branch, check_tag, check_unpublished
from ign_deploy.pipeline.identity import load_signing_identity, load_trust_anchors
from ign_deploy.pipeline.preflight import (
    Check,
    PreflightFailed,
    as_problem,
    check_output_folder,
    check_repository,
    run_checks,
)
from ign_deploy.pipeline.publishing import open_configured_repository, read_notes
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.packaging.project import Project
    from ign_deploy.repositories import Capabilities
    from ign_deploy.signing.identity import SigningIdentity

# A build needs its outputs, the rewritten module, the signed one and perhaps a bundle.
_COPIES = 4

PROJECT = "build files and tools"
IDENTITY = "signing key and certificates"
REPOSITORY = "repository"
OUTPUT = "output folder"
VERSION = "version"


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What the checks found; ``identity`` is None when nothing is to be signed."""

    project: Project
    identity: SigningIdentity | None = None


def check_release(
    path: Path, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> PreflightResult:
    """Check everything that the whole job needs; raises PreflightFailed with all problems."""
    checks = packaging_checks(path, settings=settings, env=env, reporter=reporter)
    if not settings.skip_signing:
        checks.append(signing_check(settings, reporter=reporter))
        checks.append(
            Check("input and output differ", lambda: check_not_over_input(path, settings))
        )
    if not settings.skip_upload:
        checks.append(repository_check(settings, env=env, reporter=reporter))
    checks += deployment_checks(settings, env=env, reporter=reporter)
    checks += guard_checks(settings, env=env, reporter=reporter)
    checks += branch_checks(path, settings=settings, env=env)
    found = run_checks(checks, reporter=reporter)
    return PreflightResult(found[PROJECT], found.get(IDENTITY))


def check_packaging(
    path: Path, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> PreflightResult:
    """Check what a build needs; raises PreflightFailed with all problems."""
    checks = packaging_checks(path, settings=settings, env=env, reporter=reporter)
    return PreflightResult(run_checks(checks, reporter=reporter)[PROJECT])


def packaging_checks(
    path: Path, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> list[Check]:
    """Return the checks of a build."""
    return [
        Check(VERSION, lambda: check_version(settings)),
        Check("settings", lambda: check_values(settings, env)),
        Check(PROJECT, lambda: check_project(path, settings=settings, env=env, reporter=reporter)),
        Check(OUTPUT, lambda: check_output_folder(settings.output_dir, needed=expected_size(path))),
    ]


def deployment_checks(
    settings: Settings, *, env: Mapping[str, str], reporter: Reporter
) -> list[Check]:
    """Return the checks of who is told, and of the gateways that the release is to end on."""
    from ign_deploy.pipeline.events import open_events
    from ign_deploy.pipeline.gateways import check_gateways

    def telling() -> None:
        open_events(settings, env=env, reporter=reporter, redact=str)

    checks = [Check("notifications, audit trail and metrics", telling)]
    if settings.gateway:
        checks.append(
            Check("gateways", lambda: check_gateways(settings, env=env, reporter=reporter))
        )
    return checks


def guard_checks(settings: Settings, *, env: Mapping[str, str], reporter: Reporter) -> list[Check]:
    """Return the release guards that were asked for and look at no project."""
    checks: list[Check] = []
    if settings.tag_pattern:
        checks.append(Check("tag", lambda: check_tag(settings, env)))
    known = [(settings.module_id, settings.version)]
    if settings.require_unpublished and all(known[0]):
        checks.append(
            Check(
                "version is unpublished",
                lambda: check_unpublished(known, settings=settings, env=env, reporter=reporter),
            )
        )
    return checks


def branch_checks(path: Path, *, settings: Settings, env: Mapping[str, str]) -> list[Check]:
    """Return the guard that looks at the project's checkout, if it was asked for."""
    if not settings.protected_branch:
        return []
    return [Check("protected branch", lambda: check_branch(settings, folder=path, env=env))]


def signing_check(settings: Settings, *, reporter: Reporter) -> Check:
    """Return the check of keystore, passwords and alias."""
    return Check(IDENTITY, lambda: check_identity(settings, reporter=reporter))


def repository_check(settings: Settings, *, env: Mapping[str, str], reporter: Reporter) -> Check:
    """Return the check that the repository is there and writable."""

    def run() -> Capabilities:
        # Opened in the check: a URL that can't be used is a problem among the others.
        repository = open_configured_repository(settings, env=env, reporter=reporter)
        return check_repository(repository, reporter=reporter)

    return Check(REPOSITORY, run)


def check_version(settings: Settings) -> None:
    """Raise ConfigurationError for a version that a gateway can't install."""
    if settings.version:
        ModuleVersion.parse(settings.version)


def check_values(settings: Settings, env: Mapping[str, str]) -> None:
    """Raise PreflightFailed for every argument, time stamp and file that can't be used."""
    from ign_deploy.packaging.arguments import split_arguments

    problems: list[IgnDeployError] = []
    for attempt in (
        lambda: split_arguments(settings.gradle_args),
        lambda: DosTime.from_environment(env),
        lambda: read_notes(settings),
        lambda: load_trust_anchors(settings.trust_anchor),
    ):
        try:
            attempt()
        except IgnDeployError as problem:
            problems.append(problem)
    if problems:
        raise PreflightFailed(tuple(problems))


def check_identity(settings: Settings, *, reporter: Reporter) -> SigningIdentity:
    """Load the identity and tell who will sign."""
    identity = load_signing_identity(settings)
    from ign_deploy.module.certificate_info import subject_text

    reporter.info(f"signing as {subject_text(identity.leaf)}")
    return identity


def check_project(
    path: Path, *, settings: Settings, env: Mapping[str, str], reporter: Reporter
) -> Project:
    """Find out how the project is built, and all that would keep it from building."""
    from ign_deploy.packaging.project import detect, problems

    project = detect(
        path,
        env=env,
        skip_build=settings.skip_packaging,
        prefer_signed=settings.skip_signing,
    )
    reporter.info(f"{path}: {project.reason}")
    found: tuple[Finding, ...] = tuple(problems(project, env=env))
    for finding in found:
        if finding not in errors_among(found):
            reporter.finding(finding, file=str(path))
    errors = errors_among(found)
    if errors:
        raise PreflightFailed(tuple(as_problem(finding, PackagingError) for finding in errors))
    return project


def check_not_over_input(path: Path, settings: Settings) -> None:
    """Raise SigningError when the signed module would replace the file that was given."""
    from ign_deploy.signing.signer import signed_name

    if not path.is_file():
        return
    output = settings.output_dir / signed_name(path.name)
    if is_same_file(output, path):
        raise SigningError(
            f"signing would write over its input {path}",
            hint="choose another folder with --output-dir.",
        )


def expected_size(path: Path) -> int:
    """Return the bytes that all files made of a module file take; 0 for what is still built."""
    try:
        return path.stat().st_size * _COPIES if path.is_file() else 0
    except OSError as cause:
        raise ConfigurationError(f"cannot read {path}: {os_error_reason(cause)}") from cause
