"""The release: preflight → package → sign → verify → bundle → upload → deploy, in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ign_deploy.module.artifacts import Bundle, SignedModule, UnsignedModule, VerifiedModule
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.guards import check_unpublished, identities
from ign_deploy.pipeline.package import build_modules, make_bundle
from ign_deploy.pipeline.preflight import PreflightResult, check_release
from ign_deploy.pipeline.run_report import ModuleRecord
from ign_deploy.pipeline.transfer import publication_result, publish_module
from ign_deploy.pipeline.verify import warn_of_expiry, with_support

if TYPE_CHECKING:
    from ign_deploy.signing.identity import SigningIdentity


@dataclass(frozen=True, slots=True)
class PreparedModules:
    """Modules that may be published, and their bundles by id; none if only a build was wanted."""

    modules: Sequence[VerifiedModule] = ()
    bundles: Mapping[str, Bundle] = field(default_factory=dict)


def release(path: Path, context: RunContext) -> str:
    """Take the project (or module file) at ``path`` as far as the settings say.

    Returns ``uploaded``, ``unchanged`` (the same content was published before), ``verified``,
    ``packaged``, ``dry-run``, or the outcome of the deployment. All modules of a project are
    verified before the first one is published. Raises our errors; ``context.report`` tells how far
    it came.
    """
    with context.report.stage("preflight"):
        found = check_release(path, context)
    if context.settings.dry_run:
        context.reporter.info("dry run: nothing is built, signed or uploaded")
        return "dry-run"
    return publish(prepare(found, context), context)


def prepare(found: PreflightResult, context: RunContext) -> PreparedModules:
    """Build, sign and verify the project's modules, as far as the settings say."""
    settings = context.settings
    unsigned = build_modules(found.project, context)
    if settings.require_unpublished:
        # Where the id was known before the build, this has been checked once already.
        check_unpublished(identities(unsigned, resign=settings.resign), context)
    is_bundled = settings.format != "modl"  # then the module must be signed, and is verified
    if settings.skip_signing and settings.skip_upload and not is_bundled:
        context.report.skip("sign", "--skip-signing was given")
        return PreparedModules()
    signed = _sign(unsigned, found.identity, context)
    verified = _verify(signed, context)
    return PreparedModules(verified, _bundle(verified, context))


def publish(prepared: PreparedModules, context: RunContext) -> str:
    """Publish what was prepared, unless the settings say not to; see ``release`` for the result."""
    if context.settings.skip_upload:
        context.report.skip("upload", "--skip-upload was given")
        return "verified" if prepared.modules else "packaged"
    if context.settings.gateway:
        from ign_deploy.pipeline.deploy import check_deployment

        with context.report.stage("check gateways"):
            check_deployment(prepared.modules, context)
    with context.report.stage("upload"):
        published = [upload_module(module, prepared, context) for module in prepared.modules]
    results = {context.report.modules[module.descriptor.id].result for module in published}
    uploaded = "uploaded" if "uploaded" in results else "unchanged"
    return deploy_modules(published, context) or uploaded


def deploy_modules(modules: Sequence[VerifiedModule], context: RunContext) -> str:
    """Deploy what was published to the requested gateways; returns the outcome.

    Without a gateway, the publication is announced, and the outcome is empty, unless the settings
    say to record it as deployed. Raises DeploymentError or RollbackError; ``context.report`` has
    the record then, too.
    """
    settings = context.settings
    if not (settings.gateway or settings.track_only):
        if settings.environment:
            context.reporter.info(
                f"not deployed to {settings.environment}: neither --gateway was given, nor "
                "--track-only, which records the versions"
            )
        _announce_release(context)
        return ""
    from ign_deploy.pipeline.deploy import deploy_release

    with context.report.stage("deploy"):
        return deploy_release(modules, context)


def _announce_release(context: RunContext) -> None:
    uploaded = [each for each in context.report.modules.values() if each.result == "uploaded"]
    context.events.released(
        [
            (each.descriptor.id, each.descriptor.version, each.verified.sha256)
            for each in uploaded
            if each.verified is not None
        ],
        begin=context.now,
    )


def _sign(
    modules: Sequence[UnsignedModule], identity: SigningIdentity | None, context: RunContext
) -> Sequence[SignedModule]:
    if identity is None:
        context.report.skip("sign", "--skip-signing was given")
        return [SignedModule(module.path, module.descriptor, module.sha256) for module in modules]
    from ign_deploy.signing.signer import sign_module

    signed: list[SignedModule] = []
    with context.report.stage("sign"):
        for module in modules:
            done = sign_module(
                module,
                identity=identity,
                output_dir=context.settings.output_dir,
                now=context.now,
                reporter=context.reporter,
                resign=context.settings.resign,
            )
            signed.append(done)
            context.report.note(ModuleRecord(done.path, done.descriptor, "signed"))
            context.report.add_findings(done.findings, file=done.path)
            context.reporter.info(f"signed {done.path}")
    return signed


def _verify(modules: Sequence[SignedModule], context: RunContext) -> Sequence[VerifiedModule]:
    from ign_deploy.signing.verifier import verify_module

    trust = context.workspace.trust
    verified: list[VerifiedModule] = []
    with context.report.stage("verify"):
        for module in modules:
            done = verify_module(module, now=context.now, trust=trust)
            done = with_support(done, context)
            verified.append(done)
            context.report.note(ModuleRecord(done.path, done.descriptor, "verified", done))
            context.report.add_findings(done.findings, file=done.path)
            warn_of_expiry(done, context)
            context.reporter.info(f"{done.path} is signed by {done.certificate.subject}")
            context.reporter.info(f"the gateway will show SHA-1 {done.certificate.sha1}")
    return verified


def _bundle(modules: Sequence[VerifiedModule], context: RunContext) -> Mapping[str, Bundle]:
    """Make the distribution bundles that the settings ask for; return them by module id."""
    if context.settings.format == "modl":
        return {}
    bundles: dict[str, Bundle] = {}
    with context.report.stage("bundle"):
        for module in modules:
            bundle = make_bundle(module, context)
            bundles[module.descriptor.id] = bundle
            record = ModuleRecord(module.path, module.descriptor, "verified", module, bundle.path)
            context.report.note(record)
            context.reporter.info(f"made {bundle.path}")
    return bundles


def upload_module(
    module: VerifiedModule, prepared: PreparedModules, context: RunContext
) -> VerifiedModule:
    """Publish one module, and return it as it is in the repository; the report has the result.

    That is ``uploaded``, or ``unchanged`` when its content was published before.
    """
    bundle = prepared.bundles.get(module.descriptor.id)
    done = publish_module(module, context, bundle=bundle, folder=context.settings.output_dir)
    if bundle is not None and done.module is not module:
        bundle = make_bundle(done.module, context)
    context.report.note(
        ModuleRecord(
            done.module.path,
            done.module.descriptor,
            publication_result(done.publication),
            done.module,
            None if bundle is None else bundle.path,
            done.publication.location,
        )
    )
    return done.module
