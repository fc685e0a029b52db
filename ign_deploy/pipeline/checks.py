"""The checks of a preflight: each returns what it found, or raises with what to correct."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ign_deploy.errors import (
    CombinedError,
    ConfigurationError,
    IgnDeployError,
    PackagingError,
    RepositoryError,
    SigningError,
    VerificationError,
    reworded,
    with_subject,
)
from ign_deploy.files import can_write_in, is_same_file, nearest_existing, os_error_reason
from ign_deploy.module.findings import Finding, errors_among
from ign_deploy.module.packer import DosTime
from ign_deploy.module.version import ModuleVersion
from ign_deploy.pipeline.context import RunContext

if TYPE_CHECKING:
    from ign_deploy.packaging.project import Project
    from ign_deploy.repositories import Capabilities, Repository
    from ign_deploy.signing.identity import SigningIdentity

_MIN_FREE_BYTES = 256 << 20
# A build needs its outputs, the rewritten module, the signed one and perhaps a bundle.
_COPIES = 4


@dataclass(frozen=True, slots=True)
class Check:
    """A thing to try before the start; ``run`` returns what it found, or raises our errors."""

    title: str
    run: Callable[[], Any]
    is_quiet: bool = False
    """Whether its success is reported only with --verbose."""


def run_checks(checks: Sequence[Check], context: RunContext) -> dict[str, Any]:
    """Run every check; return what each found, by title. Raises CombinedError with all problems."""
    problems: list[IgnDeployError] = []
    found: dict[str, Any] = {}
    for check in checks:
        try:
            found[check.title] = check.run()
            if context.verbose or not check.is_quiet:
                context.reporter.info(f"ok: {check.title}")
        except CombinedError as several:
            problems += several.causes
        except IgnDeployError as problem:
            problems.append(problem)
    require_no_problems(problems)
    return found


def require_no_problems(problems: Sequence[IgnDeployError]) -> None:
    """Raise CombinedError with all problems, if there are any."""
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        raise CombinedError(
            f"{len(problems)} {noun} found before the start; nothing was built, signed or uploaded",
            causes=problems,
        )


def given_or_found(paths: Sequence[Path], context: RunContext) -> Sequence[Path]:
    """Return the paths, or without any, those of the config file, else of all projects below.

    Raises PackagingError when there are none.
    """
    if paths:
        return paths
    from ign_deploy.packaging.discovery import expand_patterns, find_projects

    if context.settings.paths:
        chosen = expand_patterns(context.settings.paths)
        for path in chosen.left_out:
            context.reporter.info(f"{path} is left out: no Gradle or Maven build, no module.xml")
        count = len(chosen.projects)
        noun = "project" if count == 1 else "projects"
        context.reporter.info(f"`paths` in the config file chooses {count} {noun}")
        return chosen.projects

    found = find_projects(Path())
    for path in found.left_out:
        context.reporter.warning(f"{path} was not searched for projects")
    if not found.projects:
        raise PackagingError(
            "found no project: no Gradle or Maven build and no module.xml",
            hint="run it in the folder of your projects, or name their paths.",
        )
    names = ", ".join(map(str, found.projects))
    context.reporter.info(f"no path given; found {len(found.projects)}: {names}")
    return found.projects


def name_path(problem: IgnDeployError, path: Path) -> IgnDeployError:
    """Return the problem with the path in its message, and as the file of its findings."""
    message = with_subject(str(path), problem.message)
    named = reworded(problem, message=message, hint=problem.hint)
    if isinstance(named, VerificationError):
        named.file = named.file or str(path)
    return named


def check_version(context: RunContext) -> None:
    """Raise ConfigurationError for a version that a gateway can't install."""
    if context.settings.version:
        ModuleVersion.parse(context.settings.version)


def check_values(context: RunContext) -> None:
    """Raise CombinedError for every argument, time stamp and file that can't be used."""
    from ign_deploy.packaging.commands import split_arguments

    problems: list[IgnDeployError] = []
    for attempt in (
        lambda: split_arguments(context.settings.gradle_args),
        lambda: DosTime.from_environment(context.env),
        lambda: context.workspace.notes,
        lambda: context.workspace.trust,
    ):
        try:
            attempt()
        except IgnDeployError as problem:
            problems.append(problem)
    require_no_problems(problems)


def check_identity(context: RunContext) -> SigningIdentity:
    """Load the signing identity and say who will sign."""
    identity = context.identity
    from ign_deploy.module.certificate_info import subject_text

    context.reporter.info(f"signing as {subject_text(identity.leaf)}")
    return identity


@dataclass(frozen=True, slots=True)
class SigningProbe:
    """Who signs, and how many signatures per second: a module has one for each file."""

    identity: SigningIdentity
    rate: float


def probe_identity(context: RunContext) -> SigningProbe:
    """Sign a digest, and throw the signature away; raises what keeps a module from being signed."""
    identity = check_identity(context)
    begin = time.perf_counter()
    identity.sign_digests([hashlib.sha256().digest()], reporter=context.reporter)
    return SigningProbe(identity, 1 / max(time.perf_counter() - begin, 1e-6))


def check_repository(context: RunContext) -> Capabilities:
    """Return what the repository can do; see ``require_writable``."""
    # Opened in the check: a URL that can't be used is a problem among the others.
    return require_writable(context.repository, context)


def describe_repository(context: RunContext) -> Capabilities:
    """Return all that the repository can do; see ``require_writable``."""
    check_repository(context)
    return context.repository.describe()


def require_writable(repository: Repository, context: RunContext) -> Capabilities:
    """Return what the repository can do; raises RepositoryError unless it is there and writable.

    What its store can't promise is reported.
    """
    found = repository.check()
    if not found.writable:
        raise RepositoryError(
            f"the repository {found.location} is not writable: {found.obstacle}",
            hint="fix its permissions, or choose another --repository-url.",
        )
    report = context.reporter.info if found.create_once else context.reporter.warning
    for remark in found.remarks:
        report(f"repository: {remark}")
    return found


def check_project(path: Path, context: RunContext, *, is_quiet: bool = False) -> Project:
    """Find out how the project is built; raises CombinedError with all that would prevent it."""
    from ign_deploy.packaging.isolation import choose_isolation
    from ign_deploy.packaging.preflight import build_findings
    from ign_deploy.packaging.project import detect_project

    settings, env = context.settings, context.env
    project = detect_project(
        path, env=env, skip_build=settings.skip_packaging, prefer_signed=settings.skip_signing
    )
    if context.verbose or not is_quiet:
        context.reporter.info(f"{path}: {project.reason}")
    account = None
    if project.tool:
        account = choose_isolation(settings.isolation(), project=project, env=env).account
    arguments = _build_arguments(settings.gradle_args)
    found: tuple[Finding, ...] = build_findings(
        project, env=env, account=account, arguments=arguments
    )
    errors = errors_among(found)
    for finding in found:
        if finding not in errors:
            context.reporter.finding(finding, file=str(path))
    require_no_problems([as_error(finding, PackagingError) for finding in errors])
    if settings.dry_run and project.tool:
        _report_command(project, arguments, context)
    return project


def _build_arguments(text: str) -> tuple[str, ...]:
    """Return the build's arguments, none if they can't be split, which has a check of its own."""
    from ign_deploy.packaging.commands import split_arguments

    try:
        return split_arguments(text)
    except ConfigurationError:
        return ()


def _report_command(project: Project, arguments: Sequence[str], context: RunContext) -> None:
    """Say what a dry run doesn't run."""
    from ign_deploy.packaging.commands import build_command, format_command

    command = build_command(
        project, arguments=arguments, env=context.env, private=Path(), verbose=context.verbose
    )
    note = "; the init script is written for the build" if project.kind.is_gradle else ""
    context.reporter.info(f"would run {format_command(command)} in {project.root}{note}")


def as_error(finding: Finding, kind: type[IgnDeployError]) -> IgnDeployError:
    """Turn a finding about the environment into an error of the given kind."""
    return kind(with_subject(finding.location, finding.message), hint=finding.hint)


def check_not_over_input(path: Path, context: RunContext) -> None:
    """Raise SigningError when the signed module would replace the file that was given."""
    from ign_deploy.signing.signer import signed_name

    if not path.is_file() or context.settings.resign:
        return  # signed again, it gets another name
    output = context.settings.output_dir / signed_name(path.name)
    if is_same_file(output, path):
        raise SigningError(
            f"signing would overwrite its input {path}",
            hint="choose another folder with --output-dir.",
        )


def check_output_folder(paths: Sequence[Path], context: RunContext) -> None:
    """Raise ConfigurationError unless the output folder is writable and has room for the paths."""
    require_room(context.settings.output_dir, needed=sum(map(_expected_size, paths)))


def require_room(folder: Path, *, needed: int = 0) -> None:
    """Raise ConfigurationError unless files can be made in ``folder`` and there is room.

    ``needed`` is the expected size in bytes; some reserve is added.
    """
    existing = nearest_existing(folder)
    if not existing.is_dir():
        raise ConfigurationError(
            f"{existing} is not a folder, so {folder} can't be created",
            hint="choose another --output-dir.",
        )
    if not can_write_in(existing):
        raise ConfigurationError(
            f"the folder {existing} is not writable",
            hint="choose another --output-dir, or fix its permissions.",
        )
    free = shutil.disk_usage(existing).free
    if free < needed + _MIN_FREE_BYTES:
        raise ConfigurationError(
            f"{existing} has {free >> 20} MiB free, but {(needed + _MIN_FREE_BYTES) >> 20} MiB are "
            "needed",
            hint="free some disk space.",
        )


def _expected_size(path: Path) -> int:
    """Return the bytes that all files made of a module file take; 0 for what is still built."""
    try:
        return path.stat().st_size * _COPIES if path.is_file() else 0
    except OSError as cause:
        raise ConfigurationError(f"cannot read {path}: {os_error_reason(cause)}") from cause
