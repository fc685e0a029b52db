"""The main job: preflight → package → sign → verify → bundle → upload, each stage from the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.module.artifacts import SignedModule, UnsignedModule, VerifiedModule
from ign_deploy.pipeline.guards import check_unpublished, identities
from ign_deploy.pipeline.identity import load_trust_anchors
from ign_deploy.pipeline.publishing import (
    build_of,
    commit_of,
    open_configured_repository,
    read_notes,
)
from ign_deploy.pipeline.release_checks import PreflightResult, check_release
from ign_deploy.pipeline.run_report import ModuleRecord, RunReport
from ign_deploy.pipeline.verify import require_no_errors, validate
from ign_deploy.report import Reporter
from ign_deploy.settings import Settings

if TYPE_CHECKING:
    from ign_deploy.pipeline.events import RunEvents
    from ign_deploy.signing.identity import SigningIdentity


@dataclass(frozen=True)
class RunContext:
    """What every stage needs to know of the run."""

    settings: Settings
    env: Mapping[str, str]
    now: datetime
    report: RunReport
    published: Settings | None = None
    """What names the repository to compare with, where a rehearsal publishes elsewhere."""
    redact: Callable[[str], str] = str
    """Replaces secrets in a text that leaves the machine."""

    @property
    def reporter(self) -> Reporter:
        """Where to tell what happens."""
        return self.report.reporter

    @cached_property
    def events(self) -> RunEvents:
        """Who is told what the run changed."""
        from ign_deploy.pipeline.events import open_events

        return open_events(self.settings, env=self.env, reporter=self.reporter, redact=self.redact)


@dataclass(frozen=True, slots=True)
class PreparedModules:
    """Modules that may be published, and their bundles by id; none if only a build was wanted."""

    modules: Sequence[VerifiedModule] = ()
    bundles: Mapping[str, Path] = field(default_factory=dict)


def release(path: Path, run: RunContext) -> str:
    """Take the project (or module file) at ``path`` as far as the settings say.

    Returns ``uploaded``, ``unchanged`` (the same bytes were published before), ``verified``,
    ``packaged`` or ``dry-run``. All modules of a project are verified before the first one is
    published. Raises our errors; what was done until then is in ``run.story``.
    """
    with run.report.stage("preflight"):
        ready = check_release(path, settings=run.settings, env=run.env, reporter=run.reporter)
    if run.settings.dry_run:
        run.reporter.info("dry run: nothing is built, signed or uploaded")
        return "dry-run"
    return publish(prepare(ready, run), run)


def prepare(ready: PreflightResult, run: RunContext) -> PreparedModules:
    """Build, sign and verify the project's modules, as far as the settings say."""
    unsigned = _package(ready, run)
    if run.settings.require_unpublished:
        # Where the id was known before the build, this has been checked once already.
        real = run.published or run.settings
        check_unpublished(identities(unsigned), settings=real, env=run.env, reporter=run.reporter)
    is_bundled = run.settings.format != "modl"  # then the module must be signed, and is verified
    if run.settings.skip_signing and run.settings.skip_upload and not is_bundled:
        run.report.skip("sign", "asked to skip signing")
        return PreparedModules()
    signed = _sign(unsigned, ready.identity, run)
    verified = _verify(signed, run)
    return PreparedModules(verified, _bundle(verified, run))


def publish(prepared: PreparedModules, run: RunContext) -> str:
    """Publish what was prepared, unless the settings say not to; see ``release`` for the result."""
    if run.settings.skip_upload:
        run.report.skip("upload", "asked to skip the upload")
        return "verified" if prepared.modules else "packaged"
    if run.settings.gateway:
        from ign_deploy.pipeline.delivery import look_ahead

        with run.report.stage("look at gateways"):
            look_ahead(prepared.modules, run)
    with run.report.stage("upload"):
        outcomes = {upload_module(module, prepared, run) for module in prepared.modules}
    uploaded = "uploaded" if "uploaded" in outcomes else "unchanged"
    return deploy_modules(prepared.modules, run) or uploaded


def deploy_modules(modules: Sequence[VerifiedModule], run: RunContext) -> str:
    """Deploy what was published to the gateways that were asked for; returns the outcome.

    Without a gateway, an environment is only recorded; without either, it is only told that they
    were published, and the outcome is empty. Raises DeploymentError or RollbackError;
    ``run.report`` has the record then, too.
    """
    if not (run.settings.gateway or run.settings.environment):
        uploaded = [each for each in run.report.modules.values() if each.result == "uploaded"]
        run.events.released(
            [
                (each.descriptor.id, each.descriptor.version, each.verified.sha256)
                for each in uploaded
                if each.verified is not None
            ],
            begin=run.now,
        )
        return ""
    from ign_deploy.pipeline.delivery import deliver

    with run.report.stage("deploy"):
        return deliver(modules, run)


def package(path: Path, run: RunContext) -> Sequence[UnsignedModule]:
    """Only build and validate the modules of the project at ``path``."""
    from ign_deploy.pipeline.release_checks import check_packaging

    with run.report.stage("preflight"):
        ready = check_packaging(path, settings=run.settings, env=run.env, reporter=run.reporter)
    if run.settings.dry_run:
        run.reporter.info("dry run: nothing is built")
        return ()
    return _package(ready, run)


def _package(ready: PreflightResult, run: RunContext) -> Sequence[UnsignedModule]:
    from ign_deploy.pipeline.build import build_modules

    with run.report.stage("package"):
        modules = build_modules(
            ready.project, settings=run.settings, env=run.env, reporter=run.reporter
        )
        for module in modules:
            run.report.note(ModuleRecord(module.path, module.descriptor, "packaged"))
            run.report.add_findings(module.findings, file=module.path)
    with run.report.stage("validate"):
        for module in modules:
            findings, _ = validate(
                module.path,
                expected_version=run.settings.version,
                expected_id=run.settings.module_id,
                is_release=not run.settings.skip_upload,
            )
            run.report.add_findings(findings, file=module.path)
            require_no_errors(module.path, findings)
            run.reporter.info(f"{module.descriptor.id} {module.descriptor.version} is sound")
    return modules


def _sign(
    modules: Sequence[UnsignedModule], identity: SigningIdentity | None, run: RunContext
) -> Sequence[SignedModule]:
    if identity is None:
        run.report.skip("sign", "asked to skip signing")
        return [SignedModule(module.path, module.descriptor) for module in modules]
    from ign_deploy.signing.signer import sign

    signed: list[SignedModule] = []
    with run.report.stage("sign"):
        for module in modules:
            done = sign(
                module,
                identity=identity,
                output_dir=run.settings.output_dir,
                now=run.now,
                reporter=run.reporter,
            )
            signed.append(done)
            run.report.note(ModuleRecord(done.path, done.descriptor, "signed"))
            run.report.add_findings(done.findings, file=done.path)
            run.reporter.info(f"signed {done.path}")
    return signed


def _verify(modules: Sequence[SignedModule], run: RunContext) -> Sequence[VerifiedModule]:
    from ign_deploy.signing.verifier import verify

    anchors = load_trust_anchors(run.settings.trust_anchor)
    verified: list[VerifiedModule] = []
    with run.report.stage("verify"):
        for module in modules:
            done = verify(module, now=run.now, trust_anchors=anchors)
            verified.append(done)
            run.report.note(ModuleRecord(done.path, done.descriptor, "verified", done))
            run.report.add_findings(done.findings, file=done.path)
            run.reporter.info(f"{done.path} is signed by {done.certificate.subject}")
            run.reporter.info(f"the gateway will show SHA-1 {done.certificate.sha1}")
    return verified


def _bundle(modules: Sequence[VerifiedModule], run: RunContext) -> Mapping[str, Path]:
    """Make the distribution bundles that were asked for; return them by module id."""
    if run.settings.format == "modl":
        return {}
    from ign_deploy.pipeline.bundle import make_bundle

    bundles: dict[str, Path] = {}
    with run.report.stage("bundle"):
        for module in modules:
            bundle = make_bundle(module, settings=run.settings, env=run.env)
            bundles[module.descriptor.id] = bundle
            record = ModuleRecord(module.path, module.descriptor, "verified", module, bundle)
            run.report.note(record)
            run.reporter.info(f"made {bundle}")
    return bundles


def upload_module(module: VerifiedModule, prepared: PreparedModules, run: RunContext) -> str:
    """Publish one module; returns ``uploaded``, or ``unchanged`` when it was published before."""
    from ign_deploy.repositories import Outcome
    from ign_deploy.repositories.upload import upload

    bundle = prepared.bundles.get(module.descriptor.id)
    publication = upload(
        module,
        open_configured_repository(run.settings, env=run.env, reporter=run.reporter),
        published_at=run.now,
        notes=read_notes(run.settings),
        description=run.settings.description,
        tags=run.settings.tags,
        commit=commit_of(run.env),
        build=build_of(run.env, run.settings),
        bundle=bundle,
        reporter=run.reporter,
    )
    result = "uploaded" if publication.outcome is Outcome.PUBLISHED else "unchanged"
    run.events.audit(
        "upload",
        result,
        now=run.now,
        subject={"module": module.descriptor.id, "version": module.descriptor.version},
        sha256=module.sha256,
        details={"location": publication.location},
    )
    run.report.audit_head = run.events.head
    run.report.note(
        ModuleRecord(module.path, module.descriptor, result, module, bundle, publication.location)
    )
    return result
