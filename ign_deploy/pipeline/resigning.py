"""A published version that is signed again with another certificate, under a build number."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ign_deploy.errors import ConfigurationError, NotInRepository, VersionConflict
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.version import ModuleVersion, parsed_version
from ign_deploy.pipeline.context import RunContext

if TYPE_CHECKING:
    from pathlib import Path


def original_version(module: VerifiedModule, context: RunContext) -> str:
    """Return the published version that ``module`` has the content of, if it is signed again.

    It is empty unless the settings say so. Raises ConfigurationError if the module has another
    build number, NotInRepository if no lower one is published, VersionConflict if the content
    differs, compared file by file, or if the certificate is the same.
    """
    number, descriptor = context.settings.resign, module.descriptor
    if not number:
        return ""
    version = ModuleVersion.parse(descriptor.version)
    if version.numbers[3] != number:
        raise ConfigurationError(
            f"--resign {number} was given, but {module.path.name} has the version {version}",
            hint=f"sign it again first: ign-deploy sign --resign {number} FILE.",
        )
    original = _published_before(descriptor.id, version, context)
    _require_same_but_signer(module, original, context)
    context.reporter.info(
        f"{descriptor.id} {version} is re-signed from {original}: same content, compared file by "
        "file"
    )
    return original


def _published_before(module_id: str, version: ModuleVersion, context: RunContext) -> str:
    """Return the published version with the highest lower build number."""
    found: list[ModuleVersion] = []
    for entry in context.repository.catalogue(module_id):
        other = parsed_version(entry.version)
        if other is not None and _without_build(other) == _without_build(version):
            found.append(other)
    lower = [each for each in found if each < version]
    if not lower:
        raise NotInRepository(
            f"{module_id} {version} can't be published as re-signed: the repository has no version "
            "of it with a lower build number",
            hint="publish it without --resign.",
        )
    return max(lower).text


def _without_build(version: ModuleVersion) -> tuple[object, ...]:
    return version.numbers[:3], version.stage, version.count


def _require_same_but_signer(module: VerifiedModule, original: str, context: RunContext) -> None:
    from ign_deploy.module.archive import Archive
    from ign_deploy.module.build_number import differences_but_version

    descriptor = module.descriptor
    name = f"{descriptor.id} {descriptor.version}"
    published = _fetch(descriptor.id, original, context)
    if published.certificate.sha256 == module.certificate.sha256:
        raise VersionConflict(
            f"{name} has the same certificate as {original}, so it isn't re-signed; nothing was "
            "changed",
            hint="sign it with the new key; to publish other content, raise the version.",
        )
    with Archive.open(module.path) as ours, Archive.open(published.path) as theirs:
        differing = differences_but_version(ours, theirs)
        is_stable = (ours.digest(), theirs.digest()) == (module.sha256, published.sha256)
    if differing or not is_stable:
        names = ", ".join(f"{each[:200]!a}" for each in differing) or "a file changed meanwhile"
        raise VersionConflict(
            f"{name} doesn't have the content of {original}; what differs: {names}; nothing was "
            "changed",
            hint=f"sign the published file: ign-deploy download {descriptor.id}@{original}; for "
            "other content, raise the version instead of --resign.",
        )


def _fetch(module_id: str, version: str, context: RunContext) -> VerifiedModule:
    """Return the published file, intact; the run's trust anchors may be for the new signer only."""
    from ign_deploy.pipeline.verify import validate
    from ign_deploy.repositories.download import download
    from ign_deploy.signing.verifier import verify_module

    def verify(path: Path) -> VerifiedModule:
        return verify_module(validate(path)[1], now=context.now)

    return download(
        context.repository,
        module_id,
        version=version,
        output_dir=context.folder / f"original-{secrets.token_hex(4)}",
        verify=verify,
        reporter=context.reporter,
    )
