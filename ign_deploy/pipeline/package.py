"""Packaging in a run: build and validate a project's modules, and bundle them for distribution."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.artifacts import Bundle, UnsignedModule, VerifiedModule
from ign_deploy.module.packer import DosTime
from ign_deploy.module.stable_file import changed_error
from ign_deploy.pipeline.context import RunContext, repository_url
from ign_deploy.pipeline.preflight import check_packaging
from ign_deploy.pipeline.run_report import ModuleRecord
from ign_deploy.pipeline.verify import require_no_errors, validate, verify_file

if TYPE_CHECKING:
    from ign_deploy.packaging.project import Project
    from ign_deploy.packaging.protected import Protected


def package(path: Path, context: RunContext) -> Sequence[UnsignedModule]:
    """Build and validate the modules of the project at ``path``; none in a dry run."""
    with context.report.stage("preflight"):
        found = check_packaging(path, context)
    if context.settings.dry_run:
        context.reporter.info("dry run: nothing is built")
        return ()
    return build_modules(found.project, context)


def build_modules(project: Project, context: RunContext) -> Sequence[UnsignedModule]:
    """Build the project's modules and validate what came out."""
    settings, report = context.settings, context.report
    with report.stage("package"):
        modules = _run_build(project, context)
        for module in modules:
            report.note(ModuleRecord(module.path, module.descriptor, "packaged"))
            report.add_findings(module.findings, file=module.path)
    with report.stage("validate"):
        for module in modules:
            findings, checked = validate(
                module.path,
                expected_version=settings.version,
                expected_id=settings.module_id,
                is_release=not settings.skip_upload,
            )
            report.add_findings(findings, file=module.path)
            require_no_errors(module.path, findings)
            if (checked.descriptor, checked.sha256) != (module.descriptor, module.sha256):
                raise changed_error(module.path)
            context.reporter.info(f"{module.descriptor.id} {module.descriptor.version} is valid")
    return modules


def _run_build(project: Project, context: RunContext) -> Sequence[UnsignedModule]:
    from ign_deploy.packaging.build import PackageOptions, package_project
    from ign_deploy.packaging.commands import split_arguments

    settings = context.settings
    options = PackageOptions(
        output_dir=settings.output_dir,
        arguments=split_arguments(settings.gradle_args),
        expected_version=settings.version,
        expected_id=settings.module_id,
        timeout=settings.build_timeout,
        isolate=settings.isolation(),
        protected=protected_paths(context),
        verbose=context.verbose,
    )
    return package_project(project, options=options, env=context.env, reporter=context.reporter)


def protected_paths(context: RunContext) -> Protected:
    """Return what a build must not change or read, although it may lie in the project's folder."""
    from ign_deploy.packaging.protected import Protected

    settings = context.settings
    repository = repository_url(settings).removeprefix("file:")
    local = [repository, settings.audit_file, settings.metrics_file]
    # They may hold the key itself instead of its path.
    given = (settings.key, settings.key_path, settings.keystore, settings.old_key)
    keys = [each for each in given if os.path.isfile(each)]
    return Protected(
        kept=tuple(Path(each) for each in local if each and "://" not in each),
        secret=(*map(Path, keys), *settings.secret_files),
    )


def make_bundle(module: VerifiedModule, context: RunContext) -> Bundle:
    """Write the distribution bundle of a module into the output folder."""
    from ign_deploy.packaging.bundle import write_bundle

    published = context.published
    return write_bundle(
        module,
        output_dir=context.settings.output_dir,
        notes=published.notes,
        build=published.provenance.build,
        commit=published.provenance.commit,
        timestamp=DosTime.from_environment(context.env),
        redact=context.redact,
    )


def bundle_signed_file(path: Path, context: RunContext) -> str:
    """Verify a signed module file and make its bundle; returns the result's name."""
    if not path.is_file():
        raise ConfigurationError(
            f"cannot bundle {path}: the bundle contains the signed module, which isn't built yet",
            hint="use `ign-deploy module --format both`, or give a signed .modl as PATH.",
        )
    if context.settings.dry_run:
        return "dry-run"
    report = context.report
    with report.stage("verify"):
        module = verify_file(path, context)
        report.add_findings(module.findings, file=path)
    with report.stage("bundle"):
        bundle = make_bundle(module, context)
        report.note(ModuleRecord(path, module.descriptor, "packaged", module, bundle.path))
        context.reporter.info(f"made {bundle.path}")
    return "packaged"
